/** @file How a world trains: a start, rounds of local steps, and a measure, all by peer. */
import type { FactorPair } from '../../protocol/mixing.ts';

export interface SimulatedTrainer {
  readonly start: (peer: number) => Float32Array;
  /** A round of local steps. */
  readonly train: (peer: number, round: number, x: Float32Array) => Float32Array | Promise<Float32Array>;
  /** How far a vector is from what is wanted: 0 is best. */
  readonly loss: (x: Float32Array) => number | Promise<number>;
  /** How badly a vector does on a peer's own labels, where that can be said at once. */
  readonly score?: (peer: number, x: Float32Array) => number;
  /** The share of texts with an attacker's trigger that a vector takes for its class, where that is what liars are after. */
  readonly triggered?: (x: Float32Array) => Promise<number>;
  readonly factors: readonly FactorPair[];
  readonly stop: () => Promise<void>;
}
