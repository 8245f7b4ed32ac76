/** @file The model card (README.md) of what is exported: where it comes from, how it was trained, how to load it. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { RunSettings } from '../../protocol/config.ts';
import { openGguf } from '../formats/gguf.ts';

/** What is known of how an adapter came about; what is not is left out. */
export interface Facts {
  /** Rounds that were trained and mixed. */
  readonly rounds?: number;
  /** Others this peer mixed with. */
  readonly peers?: number;
  /** Texts of this peer. */
  readonly labelled?: number;
  readonly unlabelled?: number;
  /** All of its texts, where no more is known. */
  readonly texts?: number;
  readonly scores?: Scores;
}

/** One figure of each, on texts that nobody here trained on. */
export interface Scores {
  readonly measure: 'accuracy' | 'perplexity';
  /** Texts it was measured on. */
  readonly texts: number;
  readonly base: number | null;
  readonly alone: number | null;
  readonly swarm: number | null;
}

export type Format = 'peft' | 'merged' | 'onnx' | 'gguf' | 'merged-gguf';

export interface CardOptions {
  readonly format: Format;
  /** The base as others load it. */
  readonly base: string;
  readonly revision: string | null;
  /** Hex sha256, as a run has it. */
  readonly baseHash: string;
  readonly license: string | null;
  readonly isCausal: boolean;
  readonly rank: number;
  readonly alpha: number;
  /** Linear layers that are adapted. */
  readonly layers: number;
  readonly settings: RunSettings | null;
  readonly facts: Facts;
  /** What a reader should know besides. */
  readonly notes?: readonly string[];
}

/** The card's text. It tells of settings and sizes, never of a text that was learned from. */
export function cardText(options: CardOptions): string {
  const { format, base, revision, facts, settings, notes = [] } = options;
  const at = revision === null ? '' : `, revision ${revision}`;
  const lines = [
    ...frontMatter(options),
    `# ${TITLES[format]} of ${nameOf(base)}`,
    '',
    settings ? `Trained by ${PROJECT}.` : `Written by ${PROJECT}; where it was trained is not known.`,
    '',
    ...table([
      ['base', `${isOfHub(base) ? base : nameOf(base)}${at}`],
      ['sha256 of the base, as Lorikeet counts it', options.baseHash],
      ['licence of the base', options.license],
      ['adapter', `LoRA, rank ${options.rank}, alpha ${options.alpha}, ${options.layers} linear layers`],
      ['rounds', facts.rounds],
      ['peers that were mixed with', facts.peers],
      [settings?.objective === 'next-token' ? 'texts of this peer' : 'labelled texts of this peer', facts.labelled],
      ['unlabelled texts of this peer', facts.unlabelled],
      ['texts of this peer, with and without labels', facts.texts],
    ]),
    ...scoreLines(facts.scores),
    ...(notes.length > 0 ? ['', ...notes] : []),
    '',
    '## Use',
    '',
    ...LOADING[format](options),
    ...settingLines(settings),
  ];
  return `${lines.join('\n')}\n`;
}

const PROJECT =
  '[Lorikeet](https://www.npmjs.com/package/lorikeet), where peers train LoRA adapters on their own texts and average them, without a server';

const TITLES: Readonly<Record<Format, string>> = {
  peft: 'A LoRA adapter',
  merged: 'A LoRA adapter, merged into a copy',
  onnx: 'A LoRA adapter, merged into a copy as ONNX,',
  gguf: 'A LoRA adapter for llama.cpp',
  'merged-gguf': 'A LoRA adapter, merged into a copy',
};

/** What the Hub reads of a card. */
function frontMatter({ format, base, license, isCausal }: CardOptions): string[] {
  const isName = isOfHub(base);
  const library = {
    peft: 'peft',
    merged: 'transformers',
    onnx: 'transformers.js',
    gguf: 'gguf',
    'merged-gguf': 'gguf',
  }[format];
  return [
    '---',
    `library_name: ${library}`,
    ...(isName ? [`base_model: ${base}`] : []),
    ...(isName ? [`base_model_relation: ${format.startsWith('merged') ? 'merge' : 'adapter'}`] : []),
    ...(license === null ? [] : [`license: ${license}`]),
    `pipeline_tag: ${isCausal ? 'text-generation' : 'fill-mask'}`,
    'tags:',
    ...['lora', 'lorikeet', 'decentralized'].map((tag) => `- ${tag}`),
    '---',
    '',
  ];
}

/** Whether others can find it by that name; a folder is told by its last part only, since where it lies is private. */
function isOfHub(base: string): boolean {
  return /^[\w.-]+\/[\w.-]+$/.test(base);
}

function nameOf(base: string): string {
  return base
    .replace(/[/\\]+$/, '')
    .split(/[/\\]/)
    .at(-1)!;
}

function table(rows: readonly (readonly [name: string, value: string | number | null | undefined])[]): string[] {
  const known = rows.filter(([, value]) => value !== null && value !== undefined);
  return ['| | |', '|---|---|', ...known.map(([name, value]) => `| ${name} | ${value} |`)];
}

function scoreLines(scores: Scores | undefined): string[] {
  if (!scores) return [];
  const { measure, texts, base, alone, swarm } = scores;
  const shown = (x: number): string => (measure === 'accuracy' ? `${(100 * x).toFixed(1)} %` : x.toFixed(2));
  const rows = [
    ['base', base],
    ['alone, on the texts of this peer only', alone],
    ['with the swarm', swarm],
  ] as const;
  return [
    '',
    `| | ${measure} on ${texts} texts that were kept apart |`,
    '|---|---|',
    ...rows.flatMap(([name, value]) => (value === null ? [] : [`| ${name} | ${shown(value)} |`])),
  ];
}

/** A value in Python's or JSON's quotes. */
const quoted = (text: string): string => JSON.stringify(text);

const LOADING: Readonly<Record<Format, (options: CardOptions) => string[]>> = {
  peft: ({ base, isCausal }) => {
    if (/\.gguf$/i.test(base))
      return [
        'The base is a GGUF file, which PEFT does not open by itself: load that with transformers (`gguf_file`) first.',
      ];
    const kind = isCausal ? 'AutoPeftModelForCausalLM' : 'AutoPeftModel';
    return python(`from peft import ${kind}`, `model = ${kind}.from_pretrained("FOLDER")`);
  },
  merged: ({ isCausal }) => {
    const kind = isCausal ? 'AutoModelForCausalLM' : 'AutoModelForMaskedLM';
    return python(
      `from transformers import AutoTokenizer, ${kind}`,
      `model = ${kind}.from_pretrained("FOLDER")`,
      'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
    );
  },
  onnx: ({ isCausal }) => [
    'With transformers.js (Optimum and onnxruntime load `onnx/model.onnx` as well):',
    '',
    ...block(
      'js',
      "import { pipeline } from '@huggingface/transformers';",
      `const ${isCausal ? 'write' : 'fill'} = await pipeline('${isCausal ? 'text-generation' : 'fill-mask'}', 'FOLDER', { dtype: 'fp32' });`,
    ),
  ],
  gguf: () => [
    'With a GGUF file of the base, in any quantisation:',
    '',
    ...block('sh', 'llama-cli -m BASE.gguf --lora adapter.gguf -p "..."'),
  ],
  'merged-gguf': () => [
    ...block('sh', 'llama-cli -m model.gguf -p "..."'),
    '',
    'In Ollama, with a file `Modelfile` that says `FROM ./model.gguf`:',
    '',
    ...block('sh', 'ollama create NAME -f Modelfile'),
  ],
};

const python = (...lines: string[]): string[] => block('python', ...lines);

function block(language: string, ...lines: string[]): string[] {
  return [`\`\`\`${language}`, ...lines, '```'];
}

/** Settings that tell how it was trained and for what; where peers are and who may take part is nobody's business. */
const TOLD = [
  ...[
    'objective',
    'prompt',
    'labels',
    'maxTokens',
    'rounds',
    'closingRounds',
    'localSteps',
    'learningRate',
    'batchSize',
  ],
  ...['softLabels', 'averaging', 'codec', 'mixing', 'schedule', 'seed'],
] as const;

function settingLines(settings: RunSettings | null): string[] {
  if (!settings) return [];
  const all = settings as unknown as Readonly<Record<string, unknown>>;
  const known = TOLD.filter((name) => name in all && all[name] !== '');
  return ['', '## Settings', '', ...block('yaml', ...known.map((name) => `${name}: ${quoted(String(all[name]))}`))];
}

/** The licence of a base, as the front matter of its own card or its GGUF file has it; null: it does not say. */
export function licenseOf(base: string): string | null {
  if (statSync(base).isFile()) return named(String(openGguf(base).value('general.license') ?? ''));
  const path = join(base, 'README.md');
  if (!existsSync(path)) return null;
  const matter = /^---\r?\n([\s\S]*?)\n---/.exec(readFileSync(path, 'utf8').slice(0, 1 << 16));
  return named(/^license:\s*["']?([^\s"']+)/m.exec(matter?.[1] ?? '')?.[1] ?? '');
}

/** What is the name of a licence as the Hub has them, and no text. */
function named(license: string): string | null {
  return /^[\w.+-]{1,60}$/.test(license) ? license : null;
}
