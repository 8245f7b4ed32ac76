/** @file What every objective's local round is made of: shuffled passes over a peer's texts, and AdamW steps on batches of them. */
import type { RunSettings } from '../../protocol/config.ts';
import type { Prng } from '../../protocol/prng.ts';
import type { LabelWords } from '../engine/batch.ts';
import type { TrainJob, TrainResult } from '../engine/engine.ts';
import type { Trainer } from '../engine/trainer.ts';
import type { AdamWSettings } from '../model/adamw.ts';
import type { ModelTensor } from '../model/tensors.ts';
import { trainedFactors, trainedMask } from './factors.ts';

export interface StepOptions {
  readonly trainer: Trainer;
  readonly settings: RunSettings;
  /** The layout of the vector, where only some of it may be trained. */
  readonly tensors?: readonly ModelTensor[];
  readonly round: number;
  readonly vector: Float32Array;
  readonly onStep?: (loss: number) => void;
}

const NO_WORDS: LabelWords = { ids: [], bias: [] };

/** A step a batch; without any nothing changes. */
export async function takeSteps(
  { trainer, settings, tensors, round, vector, onStep }: StepOptions,
  batches: TrainJob['batches'],
  labels = NO_WORDS,
): Promise<TrainResult> {
  if (batches.length === 0) return { vector, losses: [], diverged: null };
  const masked = tensors && (settings.localRank > 0 || trainedFactors(settings, round).length < 3);
  const mask = masked ? { mask: trainedMask(tensors, settings, round) } : {};
  return trainer.train({ vector, batches, labels, optimiser: optimiserOf(settings), ...mask }, onStep);
}

/** Gives items in shuffled passes: every one before any comes again. */
export function passes<T>(items: readonly T[], prng: Prng): (count: number) => T[] {
  let order: T[] = [];
  return (count) => {
    while (order.length < count) order = [...order, ...prng.shuffle(items)];
    const taken = order.slice(0, count);
    order = order.slice(count);
    return taken;
  };
}

export function optimiserOf(settings: RunSettings): AdamWSettings {
  const { learningRate, weightDecay, clipNorm } = settings;
  return { learningRate, weightDecay, clipNorm: clipNorm === 0 ? Number.POSITIVE_INFINITY : clipNorm };
}
