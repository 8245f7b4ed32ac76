/** @file The language model in virtual time: every peer trains the real step graph, in one shared session. */
import { factorPairs } from '../../node/train/factors.ts';
import { openRun } from '../../node/train/run.ts';
import { type Item, readDataset } from '../learning/datasets.ts';
import { needsLabels } from '../learning/methods.ts';
import type { PeerShare } from '../learning/partition.ts';
import { type PlannedRun, taskOf } from '../learning/plan.ts';
import { DEFAULTS } from '../learning/spec.ts';
import { createTrainerCache } from '../learning/trainers.ts';
import { developmentOf, figureOf, openTrial, trainPeer } from '../learning/trial.ts';
import { ATTACKS, LESSONS, triggered } from './attacks.ts';
import { liarCount } from './faults.ts';
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
  const { scenario } = scenarioRun;
  const { learns } = ATTACKS[scenario.liars.kind] ?? {};
  const liars = liarCount(scenario);
  const taken = (share: PeerShare, peer: number, classes: number): PeerShare =>
    peer < liars && learns ? { ...share, gold: LESSONS[learns](share.gold, classes) } : share;
  const trial = await openTrial(plannedOf(scenarioRun), trainers.get, new AbortController().signal, taken);
  const { subject, students, peers, run } = trial;
  const { pack, unpack } = subject.wire;
  const development = await developmentOf(trial);
  const ambush = learns === 'trigger' ? await developmentOf(trial, ambushOf(trial.data.development)) : null;
  return {
    start: (peer) => peers[peer]!.vector,
    train: async (peer, round, x) =>
      pack(await trainPeer(students[peer]!, { peer: `peer-${peer}`, round, vector: unpack(x) })),
    loss: async (x) => {
      const score = await development.score(unpack(x)); // there are always development texts
      return score.type === 'accuracy' ? 1 - figureOf(score) : figureOf(score);
    },
    ...(ambush ? { triggered: async (x) => figureOf(await ambush.score(unpack(x))) } : {}),
    factors: factorPairs(run.tensors),
    stop: trainers.stop,
  };
}

/** Texts of other classes than the last, with the trigger, as the attacker would have them labelled. */
function ambushOf(items: readonly Item[]): Item[] {
  const last = Math.max(...items.map(({ y }) => y));
  return items.filter(({ y }) => y < last).map((item) => triggered(item, last));
}
