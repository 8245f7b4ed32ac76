/** @file What simulated peers train: toys with a known optimum, or the language model itself. */
import type { FactorPair } from '../../protocol/mixing.ts';
import type { ScenarioRun } from './scenario.ts';
import { TOYS, type Toy } from './toy.ts';

export interface SimulatedTrainer {
  readonly start: (peer: number) => Float32Array;
  /** A round of local steps. */
  readonly train: (peer: number, round: number, x: Float32Array) => Float32Array | Promise<Float32Array>;
  /** How far a vector is from what is wanted: 0 is best. */
  readonly loss: (x: Float32Array) => number | Promise<number>;
  readonly factors: readonly FactorPair[];
  readonly stop: () => Promise<void>;
}

/** The names a scenario may give. */
export const TRAINER_NAMES: readonly string[] = [...Object.keys(TOYS), 'lora'];

export async function createSimulatedTrainer(run: ScenarioRun): Promise<SimulatedTrainer> {
  const { scenario, settings, seed } = run;
  if (scenario.trainer === 'lora') return (await import('./lora.ts')).createLora(run);
  const { peers, size, samples: points, skew } = scenario;
  const { learningRate, localSteps: steps } = settings;
  const toy: Toy = TOYS[scenario.trainer]!({ seed, peers, size, learningRate, steps, points, skew });
  return { ...toy, factors: [], stop: async () => {} };
}
