/** @file Which LoRA factors are trained in a round, which travel, and where they lie. */
import type { RunSettings } from '../../protocol/config.ts';
import type { FactorPair } from '../../protocol/mixing.ts';
import { elementCount, type ModelTensor } from '../model/tensors.ts';

/** Where each layer's factors lie, as the protocol asks for them. */
export function factorPairs(tensors: readonly ModelTensor[]): FactorPair[] {
  return tensors.flatMap((a) => {
    const b = tensors.find((t) => t.factor === 'B' && t.name === a.name.replace(/lora_A$/, 'lora_B'));
    if (a.factor !== 'A' || !b) return [];
    return [{ rank: a.rows, inputs: a.cols, outputs: b.rows, a: a.offset, b: b.offset }];
  });
}

/** The factors a round trains. B first where they take turns: while B is zero the gradient of A is too. */
export function trainedFactors(settings: RunSettings, round: number): readonly ModelTensor['factor'][] {
  if (settings.averaging === 'freeze-a') return ['B', 'full'];
  if (settings.averaging !== 'alternate') return ['A', 'B', 'full'];
  return [Math.floor(round / settings.alternateRounds) % 2 === 0 ? 'B' : 'A', 'full'];
}

/** 1 where a round trains, 0 elsewhere, [P]. */
export function trainedMask(tensors: readonly ModelTensor[], settings: RunSettings, round: number): Float32Array {
  const factors = trainedFactors(settings, round);
  const mask = new Float32Array(elementCount(tensors));
  for (const { rows, cols, offset, factor } of tensors) {
    if (factors.includes(factor)) mask.fill(1, offset, offset + rows * cols);
  }
  return settings.localRank ? cutRank(mask, tensors, settings.localRank) : mask;
}

/** The adapter with zeros past the first `rank` rows of A and columns of B. */
export function cutRank(vector: Float32Array, tensors: readonly ModelTensor[], rank: number): Float32Array {
  const out = Float32Array.from(vector);
  for (const { rows, cols, offset, factor } of tensors) {
    for (let i = 0; i < rows * cols; i++) {
      const component = factor === 'A' ? Math.floor(i / cols) : factor === 'B' ? i % cols : 0;
      if (component >= rank) out[offset + i] = 0;
    }
  }
  return out;
}

/** What peers exchange of an adapter: all of it, or B where A is common to all. */
export interface Wire {
  readonly pack: (vector: Float32Array) => Float32Array;
  /** The whole vector again; what does not travel is as in the beginning. */
  readonly unpack: (wire: Float32Array) => Float32Array;
}

export function createWire(tensors: readonly ModelTensor[], settings: RunSettings, initial: Float32Array): Wire {
  if (settings.averaging !== 'freeze-a') return { pack: (vector) => vector, unpack: (wire) => wire };
  const moving = tensors.filter((t) => t.factor !== 'A');
  const size = moving.reduce((sum, t) => sum + t.rows * t.cols, 0);
  return {
    pack: (vector) => {
      const wire = new Float32Array(size);
      let at = 0;
      for (const { rows, cols, offset } of moving) {
        wire.set(vector.subarray(offset, offset + rows * cols), at);
        at += rows * cols;
      }
      return wire;
    },
    unpack: (wire) => {
      const vector = Float32Array.from(initial);
      let at = 0;
      for (const { rows, cols, offset } of moving) {
        vector.set(wire.subarray(at, at + rows * cols), offset);
        at += rows * cols;
      }
      return vector;
    },
  };
}
