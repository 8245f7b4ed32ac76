/** @file What simulated peers train: toys with a known optimum, or the language model itself. */
import { ATTACKS } from './attacks.ts';
import { liarCount } from './faults.ts';
import type { ScenarioRun } from './run.ts';
import { TOYS, type Toy } from './toy.ts';
import type { SimulatedTrainer } from './trainer.ts';

export async function createSimulatedTrainer(run: ScenarioRun): Promise<SimulatedTrainer> {
  const { scenario, settings, seed } = run;
  if (scenario.trainer === 'lora') return (await import('./lora.ts')).createLora(run);
  const { peers, size, samples: points, skew, dirichlet } = scenario;
  const { learningRate, localSteps: steps } = settings;
  const flipped = ATTACKS[scenario.liars.kind]?.learns === 'opposite' ? liarCount(scenario) : 0;
  const options = { seed, peers, size, learningRate, steps, points, skew, dirichlet, flipped };
  const toy: Toy = TOYS[scenario.trainer]!(options);
  return { ...toy, factors: [], stop: async () => {} };
}
