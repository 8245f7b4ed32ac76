/** @file What graphs need of a base model: its architecture, and where its weights stand in the file that sessions map. */
import type { Architecture } from './architecture.ts';

/** Bytes of a file of weights. */
export interface Place {
  readonly offset: number;
  readonly byteLength: number;
}

export interface WeightPlace extends Place {
  readonly shape: readonly number[];
  /** As it is stored; float32 where not said. */
  readonly dtype?: 'float16' | 'bfloat16';
}

/** A matrix [K, N] of int8 and the scale of each column, in a file beside the other weights. */
export interface Int8Place {
  readonly shape: readonly [number, number];
  readonly values: Place;
  readonly scales: Place;
}

/** The weight of a linear layer as y = x W wants it, [inputs, outputs], and as its gradient does, [outputs, inputs]. */
export interface Int8Pair {
  readonly forward: Int8Place;
  readonly backward: Int8Place;
}

export interface PlacedModel {
  readonly architecture: Architecture;
  /** By parameter. */
  readonly places: ReadonlyMap<string, WeightPlace>;
  /** Linear layers that are multiplied with in 7 bits, by module; null: none. */
  readonly int8?: { readonly file: string; readonly layers: ReadonlyMap<string, Int8Pair> } | null;
}
