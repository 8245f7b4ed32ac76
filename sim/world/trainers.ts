/** @file What simulated peers train: toys with a known optimum, or the language model itself. */
import type { ScenarioRun } from './run.ts';
import { TOYS, type Toy } from './toy.ts';
import type { SimulatedTrainer } from './trainer.ts';

export async function createSimulatedTrainer(run: ScenarioRun): Promise<SimulatedTrainer> {
  const { scenario, settings, seed } = run;
  if (scenario.trainer === 'lora') return (await import('./lora.ts')).createLora(run);
  const { peers, size, samples: points, skew } = scenario;
  const { learningRate, localSteps: steps } = settings;
  const toy: Toy = TOYS[scenario.trainer]!({ seed, peers, size, learningRate, steps, points, skew });
  return { ...toy, factors: [], stop: async () => {} };
}
