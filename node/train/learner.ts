/** @file What one peer does with its own texts: a round of local steps, and scoring. Pure in adapter, data, seed and round. */
import { createPrng, type Prng } from '../../protocol/prng.ts';
import type { LabelWords } from '../engine/batch.ts';
import { type ClassBatch, type Sequence, type Target, withTargets } from '../engine/batch.ts';
import type { TrainResult } from '../engine/engine.ts';
import { trainingBatchOf } from '../engine/packing.ts';
import type { Trainer } from '../engine/trainer.ts';
import type { Example } from '../texts/data.ts';
import { encodeElsewhere } from '../texts/encoder.ts';
import type { Task } from '../texts/task.ts';
import { type Accuracy, accuracyOf, confusionOf } from './score.ts';
import { passes, type StepOptions, takeSteps } from './steps.ts';

export interface EncodedExample {
  readonly sequence: Sequence;
  readonly y: number;
}

/** A prompt with the distribution it should give, and how much that counts. */
export interface WeightedExample {
  readonly sequence: Sequence;
  readonly target: Target;
}

/** Texts in a prompt of the task, tokenised on a thread of its own. */
export function encodeTexts(task: Task, texts: readonly string[], prompt = 0): Promise<Sequence[]> {
  return encodeElsewhere(task, texts, prompt);
}

export async function encodeExamples(task: Task, examples: readonly Example[]): Promise<EncodedExample[]> {
  const sequences = await encodeTexts(
    task,
    examples.map((e) => e.text),
  );
  return examples.map(({ y }, i) => ({ sequence: sequences[i]!, y }));
}

/** The label words of a prompt of a task, their prior (one mean logit a word; empty: none) taken off. */
export function labelWords(task: Task, prior: readonly number[], prompt = 0): LabelWords {
  return { ids: task.labelIds[prompt]!, bias: task.classes.map((_, k) => -(prior[k] ?? 0)) };
}

/** Mean logit of each label word over texts: contextual calibration, Zhao et al. 2021, on real texts. */
export async function measurePrior(
  trainer: Trainer,
  task: Task,
  vector: Float32Array,
  sequences: readonly Sequence[],
  prompt = 0,
): Promise<number[]> {
  const logits = await trainer.score({ vector, sequences, labels: labelWords(task, [], prompt), padId: task.padId });
  return task.classes.map((_, k) => logits.reduce((sum, row) => sum + row[k]!, 0) / logits.length);
}

export interface RoundOptions extends StepOptions {
  readonly task: Task;
  readonly labels: LabelWords;
  readonly examples: readonly EncodedExample[];
  /** Pseudo-labelled examples; half of each batch where there is gold too. */
  readonly pseudo?: readonly WeightedExample[];
  /** Whose shuffle: peers draw differently. */
  readonly peer: string;
  readonly steps: number;
}

/** `steps` AdamW steps on gold and pseudo-labelled examples. A peer without any changes nothing. */
export function trainRound(options: RoundOptions): Promise<TrainResult> {
  return takeSteps(options, roundBatches(options), options.labels);
}

/** The batches of a round: shuffled passes over each kind of example, like lengths together, drawn from seed, peer and round alone. */
export function roundBatches(
  options: Omit<RoundOptions, 'trainer' | 'vector' | 'labels' | 'tensors' | 'onStep'>,
): ClassBatch[] {
  const { examples, pseudo = [], settings, task, peer, round, steps } = options;
  const prng = createPrng(settings.seed).fork('batches').fork(peer).fork(round);
  const gold = examples.map(({ sequence, y }): WeightedExample => {
    return {
      sequence,
      target: { distribution: task.classes.map((_, k) => (k === y ? 1 : 0)), weight: 1, temperature: 1 },
    };
  });
  const size = Math.min(settings.batchSize, gold.length + pseudo.length);
  if (size === 0) return [];
  const goldCount = pseudo.length === 0 ? size : gold.length === 0 ? 0 : Math.ceil(size / 2);
  const [nextGold, nextPseudo] = [passes(gold, prng), passes(pseudo, prng.fork('pseudo'))];
  const drawn = Array.from({ length: steps }, () => [nextGold(goldCount), nextPseudo(size - goldCount)]);
  return likeLengths(drawn, prng.fork('lengths')).map((kinds) => {
    const chosen = kinds.flat();
    const batch = trainingBatchOf(
      chosen.map((e) => e.sequence),
      { padId: task.padId, classes: task.classes.length },
    );
    return withTargets(
      batch,
      chosen.map(({ target }) => ({ ...target, weight: target.weight / size })),
    );
  });
}

/**
 * Batches of several kinds of examples, dealt anew so that those of like length stand together and little is padding. Only
 * among batches in which no example comes twice: copies of one would stand together. Their order is shuffled.
 */
function likeLengths(batches: readonly (readonly WeightedExample[][])[], prng: Prng): WeightedExample[][][] {
  const windows: (readonly WeightedExample[][])[][] = [];
  let seen = new Set<Sequence>();
  for (const batch of batches) {
    const own = batch.flat().map(({ sequence }) => sequence);
    const isNew = own.every((sequence) => !seen.has(sequence)) && windows.length > 0;
    if (isNew) windows.at(-1)!.push(batch);
    else windows.push([batch]);
    seen = new Set(isNew ? [...seen, ...own] : own);
  }
  return windows.flatMap((window) => {
    const kinds = window[0]!.map((_, kind) => {
      const all = window.flatMap((batch) => batch[kind]!);
      return all.sort((a, b) => a.sequence.ids.length - b.sequence.ids.length);
    });
    const dealt = window.map((batch, i) =>
      batch.map(({ length }, kind) => kinds[kind]!.slice(i * length, (i + 1) * length)),
    );
    return prng.shuffle(dealt);
  });
}

/** How many examples' class has the largest logit, class by class. */
export async function evaluate(
  options: {
    trainer: Trainer;
    task: Task;
    labels: LabelWords;
    vector: Float32Array;
    signal?: AbortSignal;
    onProgress?: (done: number, total: number) => void;
  },
  examples: readonly EncodedExample[],
): Promise<Accuracy> {
  const { trainer, task, ...request } = options;
  const rows = await trainer.score({ ...request, padId: task.padId, sequences: examples.map((e) => e.sequence) });
  const given = rows.map((row) => row.indexOf(Math.max(...row)));
  return accuracyOf(confusionOf(examples, given, task.classes.length));
}
