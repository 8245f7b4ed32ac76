/** @file The one table of a run's settings. Command-line help, validation, documentation and the run id come from it. */
import { CODEC_NAMES } from './codec.ts';
import { SCHEDULE_NAMES } from './neighbours.ts';

interface Common {
  /** One line, as help shows it. */
  readonly about: string;
  /** Why this default. */
  readonly why: string;
  /** Whether a change alters what is computed, and so the run id. */
  readonly arithmetic: boolean;
}
interface NumberSetting extends Common {
  readonly type: 'integer' | 'number';
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly unit?: string;
  /** What 0 means, where it is special. */
  readonly zero?: string;
}
interface TextSetting extends Common {
  readonly type: 'text';
  readonly default: string;
  readonly pattern?: RegExp;
  readonly wanted?: string;
}
interface ChoiceSetting extends Common {
  readonly type: 'choice';
  readonly default: string;
  readonly choices: readonly string[];
}
export type Setting = NumberSetting | TextSetting | ChoiceSetting;

const LABELS = /^[^=,]+=[^=,\s]+(,[^=,]+=[^=,\s]+)+$/;
const EDGES = /^(\d{1,6}-\d{1,6}(,\d{1,6}-\d{1,6})*)?$/;
const NUMBERS = /^(off|(-?\d+(\.\d+)?(e-?\d+)?(,|$))*)$/;

export const SETTINGS = {
  base: text(
    'lorikeet-mini',
    'base model: the bundled one, or a Hugging Face folder',
    'it ships with the package',
    false,
  ),
  baseHash: text(
    '',
    'sha256 of the base; filled in by the first peer',
    'peers of one run must share every weight',
    true,
    /^([0-9a-f]{64})?$/,
    '64 hex digits',
  ),
  prompt: text(
    '{text} it was {mask} .',
    'cloze prompt around a text',
    'the prompt of PET for reviews (Schick and Schuetze 2021)',
    true,
    /\{text\}.*\{mask\}|\{mask\}.*\{text\}/s,
    'a text with {text} and {mask}',
  ),
  labels: text(
    'negative=terrible,positive=great',
    'classes and the one-token word that stands for each',
    'sentiment is the running example',
    true,
    LABELS,
    'class=word,class=word,...',
  ),
  labelPrior: text(
    '',
    'mean logit of each label word on unlabelled text, subtracted; empty: measured by the first peer; off: none is',
    'without it a base leans to one word (Zhao et al. 2021, contextual calibration)',
    true,
    NUMBERS,
    'off, or numbers separated by commas',
  ),
  patterns: text(
    '',
    "more prompts for soft labels, separated by |; their logits are averaged with the prompt's",
    'several ways to ask make fewer mistakes (Schick and Schuetze 2021)',
    true,
    /^$|^[^|]*\{text\}[^|]*(\|[^|]*\{text\}[^|]*)*$/s,
    'prompts with {text} and {mask}, separated by |',
  ),
  softLabels: choice(
    'soft',
    ['none', 'hard', 'soft'],
    'labels for unlabelled texts, given by the mixed adapter',
    "the swarm knows more than a peer's few labels",
    true,
  ),
  temperature: number(
    2,
    0.05,
    100,
    'temperature of soft labels',
    'softens what the model is too sure of (Hinton et al. 2015)',
    true,
  ),
  confidenceWeight: choice(
    'on',
    ['on', 'off'],
    'weight of a soft label in the loss: its largest probability, or 1',
    'a doubtful label should pull less',
    true,
  ),
  generationRounds: integer(
    3,
    1,
    10_000,
    'rounds between draws of the pseudo-labelled set',
    'labels change slowly; scoring costs a forward pass',
    true,
  ),
  pseudoGrowth: number(
    5,
    1,
    1e6,
    'factor by which the pseudo-labelled set grows a generation',
    "iPET's (Schick and Schuetze 2021); everything at once is clearly worse there",
    true,
  ),
  pseudoBase: integer(
    16,
    1,
    1e6,
    'size that stands for the gold set where a peer has none',
    '8 labels of each of two classes',
    true,
  ),
  pseudoMax: integer(200, 1, 1e6, 'largest pseudo-labelled set', 'what a few rounds of small batches can use', true),
  pseudoScored: integer(300, 1, 1e6, 'unlabelled texts scored for a draw', 'seconds on a CPU', true),
  pseudoSharpness: number(
    1,
    0,
    1000,
    'power of its confidence with which a text is drawn: 1 in proportion, more for the surest',
    'in proportion is what iPET does (Schick and Schuetze 2021)',
    true,
    { zero: 'all alike' },
  ),
  pseudoKeep: choice(
    'redraw',
    ['redraw', 'append'],
    'each generation: draw the set afresh, or add to it',
    'early labels are the worst',
    true,
  ),
  maxTokens: integer(
    96,
    8,
    4096,
    'longest prompt; texts are cut to fit',
    'the bundled base was trained on 96 positions',
    true,
    { unit: 'tokens' },
  ),
  rank: integer(8, 1, 256, 'rank of the LoRA factors', 'the usual choice for query and value (Hu et al. 2021)', true),
  alpha: number(
    16,
    1e-6,
    4096,
    'LoRA alpha; the update is scaled by alpha / rank',
    'twice the rank, as is usual',
    true,
  ),
  targets: text(
    'query,value',
    'layers that get an adapter: all, or ends of module names',
    'the pair Hu et al. 2021 recommend',
    true,
    /^[\w.]+(,\s*[\w.]+)*$/,
    'all, or names separated by commas',
  ),
  seed: text(
    '1',
    'seed of the common start of A and of every shuffle',
    'same seed, same run',
    true,
    /^[\x21-\x7e]{1,64}$/,
    'up to 64 printable characters',
  ),
  rounds: integer(12, 1, 1_000_000, 'rounds of training', 'enough for a few labels a peer', true),
  closingRounds: integer(
    2,
    0,
    1000,
    'rounds at the end that mix without training',
    'two bring the peers together',
    true,
  ),
  localSteps: integer(5, 1, 100_000, 'optimiser steps a peer takes a round', 'sixty steps in all by default', true),
  batchSize: integer(
    16,
    1,
    4096,
    'examples of one optimiser step',
    'one pass over 8 labels of each of two classes',
    true,
  ),
  learningRate: number(
    3e-4,
    0,
    1,
    'AdamW learning rate',
    'best of 3e-4, 1e-3 and 2e-3 on development texts of the demo, 3 seeds',
    true,
  ),
  weightDecay: number(0.01, 0, 1, 'AdamW decoupled weight decay', "AdamW's own default", true),
  clipNorm: number(1, 0, 1e9, 'largest global norm of a gradient', 'small batches spike', true, {
    zero: 'no clipping',
  }),
  averaging: choice(
    'factors',
    ['factors', 'freeze-a', 'alternate', 'product'],
    'how LoRA is averaged: both factors; B alone, with A common and frozen; both, but trained one after the other; or the product B A, cut back to the rank',
    'Dec-LoRA (arXiv:2501.15361); freeze-a is exactly linear and sends half (arXiv:2403.12313); alternate suits sparse graphs (arXiv:2511.18291); product lets ranks differ (DeCAF, arXiv:2505.21382)',
    true,
  ),
  localRank: integer(
    0,
    0,
    256,
    'rank this peer trains and keeps, with averaging product; it sends zeros for the rest',
    'a small machine can take part in a run of a higher rank',
    false,
    { zero: 'rank' },
  ),
  alternateRounds: integer(
    5,
    1,
    10_000,
    'rounds a factor is trained before the other, with averaging alternate',
    'as in ADF-LoRA (arXiv:2511.18291)',
    true,
  ),
  schedule: choice(
    'random-regular',
    SCHEDULE_NAMES,
    'who mixes with whom',
    'a fresh random graph needs 8-9 rounds for 1e-3, whatever the size',
    true,
  ),
  redraw: choice(
    'on',
    ['on', 'off'],
    'a schedule with chance in it: draw the graph afresh each round, or keep the first',
    'news then crosses the swarm in a few rounds',
    true,
  ),
  edges: text(
    '',
    'who mixes with whom with schedule edges, by place in the sorted list of members',
    'a graph of your own',
    true,
    EDGES,
    '0-1,1-2,...',
  ),
  degree: integer(
    4,
    2,
    64,
    'neighbours a round, of random-regular, small-world, erdos-renyi and barabasi-albert (even)',
    'four suffice at any size',
    true,
  ),
  codec: choice(
    'int8',
    CODEC_NAMES,
    'how adapters are packed',
    'a quarter of f32; what rounding leaves is sent next time',
    true,
  ),
  maxNorm: number(
    1000,
    0,
    1e30,
    'largest L2 norm of an adapter that is believed',
    'a fresh adapter has a norm of about 5',
    true,
    { zero: 'any' },
  ),
  minPeers: integer(2, 1, 100_000, 'peers to wait for before round 0', 'one peer alone has nobody to mix with', false, {
    unit: 'peers',
  }),
  roundDeadlineMs: integer(
    60_000,
    50,
    86_400_000,
    'longest wait for neighbours; what comes later is mixed in later',
    'a round never stalls',
    false,
    { unit: 'ms' },
  ),
  retryMs: integer(
    3000,
    20,
    3_600_000,
    'pause between reminders about unfinished exchanges',
    'a reminder is 60 bytes',
    false,
    { unit: 'ms' },
  ),
  announceMs: integer(
    5000,
    50,
    3_600_000,
    'pause between membership announcements',
    'everybody hears everybody, so they must be rare',
    false,
    { unit: 'ms' },
  ),
  rejoinMs: integer(
    10_000,
    0,
    3_600_000,
    'how long a peer that comes back looks for the others before it goes on alone',
    'a dial takes a second',
    false,
    { unit: 'ms', zero: 'goes on at once' },
  ),
  memberTimeoutMs: integer(
    30_000,
    100,
    86_400_000,
    'silence after which a member counts as gone',
    'six announcements',
    false,
    { unit: 'ms' },
  ),
  latecomers: choice(
    'adopt',
    ['adopt', 'keep'],
    'a peer that skips rounds: goes on with the adapter of one of two others that agree, or with its own',
    'its own would drag the others back; only what it had not mixed in yet is lost',
    true,
  ),
  maxOpenRounds: integer(4, 1, 64, 'rounds whose exchanges may be unfinished at once', 'bounds memory and disk', false),
} as const satisfies Record<string, Setting>;

function text(
  value: string,
  about: string,
  why: string,
  arithmetic: boolean,
  pattern?: RegExp,
  wanted?: string,
): TextSetting & { default: string } {
  return {
    type: 'text',
    default: value,
    about,
    why,
    arithmetic,
    ...(pattern ? { pattern } : {}),
    ...(wanted ? { wanted } : {}),
  };
}
type NumberRow = [
  value: number,
  min: number,
  max: number,
  about: string,
  why: string,
  arithmetic: boolean,
  more?: { unit?: string; zero?: string },
];
function integer(...row: NumberRow): NumberSetting {
  return { ...number(...row), type: 'integer' };
}
function number(...[value, min, max, about, why, arithmetic, more]: NumberRow): NumberSetting {
  return { type: 'number', default: value, min, max, about, why, arithmetic, ...more };
}
function choice(
  value: string,
  choices: readonly string[],
  about: string,
  why: string,
  arithmetic: boolean,
): ChoiceSetting {
  return { type: 'choice', default: value, choices, about, why, arithmetic };
}
