/** @file The language model in virtual time: every peer trains the real step graph, in one shared session. */
import { factorPairs } from '../../node/train/factors.ts';
import { DEFAULTS } from '../learning/spec.ts';
import { createTrainerCache } from '../learning/trainers.ts';
import { encodeDevelopment, openTrial, scoreWith, trainPeer } from '../learning/trial.ts';
import type { ScenarioRun } from './run.ts';
import type { SimulatedTrainer } from './trainer.ts';

export async function createLora({ scenario, settings, seed, point }: ScenarioRun): Promise<SimulatedTrainer> {
  const trainers = createTrainerCache(0);
  const method = settings.softLabels === 'none' ? 'lp-fl-gold' : 'lp-fl';
  const world = { ...DEFAULTS, ...scenario.learning, peers: scenario.peers };
  const planned = { key: '', method, seed, point, scenario: world, settings };
  const trial = await openTrial(planned, trainers.get, new AbortController().signal);
  const { subject, learners, peers, run } = trial;
  const { pack, unpack } = subject.wire;
  const development = await encodeDevelopment(trial);
  return {
    start: (peer) => peers[peer]!.vector,
    train: async (peer, round, x) =>
      pack(await trainPeer(subject, learners[peer]!, { peer: `peer-${peer}`, round, vector: unpack(x) })),
    loss: async (x) => 1 - (await scoreWith(trial, unpack(x), development)).share!, // there are always development texts
    factors: factorPairs(run.tensors),
    stop: trainers.stop,
  };
}
