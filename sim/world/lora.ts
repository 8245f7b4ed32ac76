/** @file The language model in virtual time: every peer trains the real step graph, in one shared session. */
import { factorPairs } from '../../node/train/factors.ts';
import { openRun } from '../../node/train/run.ts';
import { readDataset } from '../learning/datasets.ts';
import { needsLabels } from '../learning/methods.ts';
import { type PlannedRun, taskOf } from '../learning/plan.ts';
import { DEFAULTS } from '../learning/spec.ts';
import { createTrainerCache } from '../learning/trainers.ts';
import { developmentOf, figureOf, openTrial, trainPeer } from '../learning/trial.ts';
import type { ScenarioRun } from './run.ts';
import type { SimulatedTrainer } from './trainer.ts';

/** Opens the texts of every run that learns from some. Throws a UserError on the first that leaves nothing to score or learn from. */
export async function checkLearning(runs: readonly ScenarioRun[]): Promise<void> {
  const seen = new Set<string>();
  for (const run of runs) {
    if (run.scenario.trainer !== 'lora') continue;
    const { method, scenario, settings } = plannedOf(run);
    const { base, objective, labels, prompt } = settings;
    const needsGold = needsLabels(method, settings);
    const key = JSON.stringify([scenario, base, objective, labels, prompt, needsGold]);
    if (seen.has(key)) continue;
    seen.add(key);
    readDataset(scenario.data, { ...scenario, seed: run.seed }, taskOf(await openRun(settings)), needsGold);
  }
}

/** The run as an experiment has it. */
function plannedOf({ scenario, settings, seed, point }: ScenarioRun): PlannedRun {
  const method = settings.objective !== 'classify' || settings.softLabels === 'none' ? 'lp-fl-gold' : 'lp-fl';
  const world = { ...DEFAULTS, ...scenario.learning, peers: scenario.peers };
  return { key: '', method, seed, point, scenario: world, settings };
}

export async function createLora(scenarioRun: ScenarioRun): Promise<SimulatedTrainer> {
  const trainers = createTrainerCache(0);
  const trial = await openTrial(plannedOf(scenarioRun), trainers.get, new AbortController().signal);
  const { subject, students, peers, run } = trial;
  const { pack, unpack } = subject.wire;
  const development = await developmentOf(trial);
  return {
    start: (peer) => peers[peer]!.vector,
    train: async (peer, round, x) =>
      pack(await trainPeer(students[peer]!, { peer: `peer-${peer}`, round, vector: unpack(x) })),
    loss: async (x) => {
      const score = await development.score(unpack(x)); // there are always development texts
      return score.type === 'accuracy' ? 1 - figureOf(score) : figureOf(score);
    },
    factors: factorPairs(run.tensors),
    stop: trainers.stop,
  };
}
