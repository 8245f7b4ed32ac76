/**
 * @file Soft labels: the mixed model scores a peer's unlabelled texts, and a set of them, growing from generation to
 * generation, is trained on beside the gold. After PET and iPET (Schick and Schuetze 2021, arXiv:2001.07676) and LP-FL
 * (Jiang, Liu and Fan 2023, arXiv:2307.13896).
 */
import type { RunSettings } from '../../protocol/config.ts';
import { createPrng, type Prng } from '../../protocol/prng.ts';
import type { Sequence, Target } from '../engine/batch.ts';
import type { Trainer } from '../engine/trainer.ts';
import { type EncodedExample, encodeTexts } from './learner.ts';
import type { ClassRun } from './run.ts';

export interface UnlabelledText {
  readonly text: string;
  /** Where it is known, for measuring alone. */
  readonly truth: number | null;
}

export interface PseudoExample {
  /** Which unlabelled text. */
  readonly index: number;
  /** The class of the largest mean logit. */
  readonly y: number;
  readonly sequence: Sequence;
  readonly target: Target;
}

export interface PseudoSet {
  readonly generation: number;
  readonly examples: readonly PseudoExample[];
  /** Share of the unlabelled texts that are in the set. */
  readonly coverage: number;
  /** Share of the set whose truth is known and met; null where none is known. */
  readonly precision: number | null;
}

export const NO_PSEUDO: PseudoSet = { generation: -1, examples: [], coverage: 0, precision: null };

/** The generation a round belongs to. */
export function generationOf(round: number, settings: RunSettings): number {
  return Math.floor(round / settings.generationRounds);
}

/**
 * How many pseudo-labelled texts a generation trains on: none in the first where there is gold; then the gold set's size
 * times growth to the generation. A peer without gold starts from what its run calls the usual size.
 */
export function pseudoSize(generation: number, goldCount: number, settings: RunSettings): number {
  if (settings.softLabels === 'none' || (generation === 0 && goldCount > 0)) return 0;
  const base = goldCount > 0 ? goldCount : settings.pseudoBase;
  return Math.min(settings.pseudoMax, Math.round(base * settings.pseudoGrowth ** generation));
}

export interface RelabelOptions {
  readonly run: ClassRun;
  readonly trainer: Trainer;
  readonly peer: string;
  readonly round: number;
  /** The mixed adapter. */
  readonly vector: Float32Array;
  readonly gold: readonly EncodedExample[];
  readonly unlabelled: readonly UnlabelledText[];
  readonly previous: PseudoSet;
}

/** The pseudo set of a round: the one before within a generation, else a fresh draw. Pure in its options. */
export async function relabel(options: RelabelOptions): Promise<PseudoSet> {
  const { run, peer, round, gold, unlabelled, previous } = options;
  const generation = generationOf(round, run.settings);
  if (generation === previous.generation) return previous;
  const size = Math.min(pseudoSize(generation, gold.length, run.settings), unlabelled.length);
  if (size === 0) return { ...NO_PSEUDO, generation };
  const prng = createPrng(run.settings.seed).fork('pseudo').fork(peer).fork(generation);
  const kept = run.settings.pseudoKeep === 'append' ? previous.examples : [];
  const taken = new Set(kept.map((e) => e.index));
  const open = unlabelled.map((_, i) => i).filter((i) => !taken.has(i));
  const asked = prng.shuffle(open).slice(0, Math.max(run.settings.pseudoScored, size));
  const { logits, sequences } = await scorePatterns(
    options,
    asked.map((index) => unlabelled[index]!.text),
  );
  const scored = asked.map((index, i) => label(options, index, { logits: logits[i]!, sequence: sequences[i]! }));
  const ratio = classRatio(gold, run.task.classes.length);
  const drawn = drawByConfidence(scored, ratio, size - kept.length, prng, run.settings.pseudoSharpness);
  const examples = [...kept, ...drawn];
  const known = examples.filter((e) => unlabelled[e.index]!.truth !== null);
  const right = known.filter((e) => unlabelled[e.index]!.truth === e.y).length;
  return {
    generation,
    examples,
    coverage: examples.length / unlabelled.length,
    precision: known.length > 0 ? right / known.length : null,
  };
}

/** Calibrated logits of the label words [texts, classes], averaged over the run's prompt patterns; and the texts in the first of them. */
export async function scorePatterns(
  { run, trainer, vector }: Pick<RelabelOptions, 'run' | 'trainer' | 'vector'>,
  texts: readonly string[],
): Promise<{ logits: Float64Array[]; sequences: readonly Sequence[] }> {
  const logits = texts.map(() => new Float64Array(run.task.classes.length));
  const first = await encodeTexts(run.task, texts);
  for (const [pattern, labels] of run.patternLabels.entries()) {
    const sequences = pattern === 0 ? first : await encodeTexts(run.task, texts, pattern);
    const rows = await trainer.score({ vector, sequences, labels, padId: run.task.padId });
    for (const [i, row] of rows.entries())
      for (let k = 0; k < row.length; k++) logits[i]![k]! += row[k]! / run.patternLabels.length;
  }
  return { logits, sequences: first };
}

/** One text with its label: soft at the run's temperature (loss weighted by T^2, Hinton et al. 2015), or the hard one. */
function label(
  { run }: RelabelOptions,
  index: number,
  { logits, sequence }: { logits: Float64Array; sequence: Sequence },
): PseudoExample & { confidence: number } {
  const { softLabels, temperature, confidenceWeight } = run.settings;
  const certain = softmax(logits, 1);
  const confidence = Math.max(...certain);
  const y = certain.indexOf(confidence);
  const weight = confidenceWeight === 'on' ? confidence : 1;
  const target: Target =
    softLabels === 'hard'
      ? { distribution: certain.map((_, k) => (k === y ? 1 : 0)), weight, temperature: 1 }
      : { distribution: softmax(logits, temperature), weight: weight * temperature ** 2, temperature };
  return { index, y, sequence, target, confidence };
}

export function softmax(logits: ArrayLike<number>, temperature: number): number[] {
  const scaled = Array.from(logits, (z) => z / temperature);
  const most = Math.max(...scaled);
  const powers = scaled.map((z) => Math.exp(z - most));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / total);
}

/** The gold labels' shares; uniform where gold shows fewer than two classes. */
export function classRatio(gold: readonly { readonly y: number }[], classes: number): number[] {
  const counts = Array.from({ length: classes }, (_, k) => gold.filter((e) => e.y === k).length);
  if (counts.filter((count) => count > 0).length < 2) return counts.map(() => 1 / classes);
  return counts.map((count) => count / gold.length);
}

/**
 * Up to `size` of the scored, the classes in the given ratio, in proportion to a power of confidence without replacement
 * (Efraimidis and Spirakis 2006: the largest u^(1/w)). A class with too few candidates gives what it has.
 */
export function drawByConfidence<T extends { readonly y: number; readonly confidence: number }>(
  scored: readonly T[],
  ratio: readonly number[],
  size: number,
  prng: Prng,
  sharpness = 1,
): T[] {
  const keyed = scored.map((item) => ({ item, key: Math.log(1 - prng.random()) / item.confidence ** sharpness }));
  keyed.sort((a, b) => b.key - a.key);
  return ratio.flatMap((share, k) =>
    keyed
      .filter(({ item }) => item.y === k)
      .slice(0, Math.round(share * Math.max(0, size)))
      .map(({ item }) => item),
  );
}
