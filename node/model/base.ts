/** @file What graphs need of a base model: its architecture, and where its weights stand in the file that sessions map. */
import type { Architecture } from './architecture.ts';

/** Bytes of the file of expanded weights. */
export interface WeightPlace {
  readonly shape: readonly number[];
  readonly offset: number;
  readonly byteLength: number;
  /** As it is stored; float32 where not said. */
  readonly dtype?: 'float16' | 'bfloat16';
}

export interface PlacedModel {
  readonly architecture: Architecture;
  /** By parameter. */
  readonly places: ReadonlyMap<string, WeightPlace>;
}
