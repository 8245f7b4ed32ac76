/** @file `bench -- swarm`: real peers over libp2p on loopback that only mix: the time of a round, and the bytes it takes. */

import { generateKey, idOfKey } from '../../node/host.ts';
import { createRuntime, type Runtime } from '../../node/runtime.ts';
import { CODECS, type CodecName } from '../../protocol/codec.ts';
import { parseSettings, type RunSettings } from '../../protocol/config.ts';
import { createPeer, type Peer } from '../../protocol/peer.ts';
import { createPrng } from '../../protocol/prng.ts';
import { machine, median, round } from './measure.ts';

const COUNT = 300_000;
const RUN_ID = '00112233445566778899aabbccddeeff';
/** Rounds at either end that do not count: peers still find each other, or are done. */
const EDGE_ROUNDS = 2;

export async function benchSwarm(_workspace: string, peers = 10): Promise<unknown> {
  const cases: Record<string, unknown> = {};
  for (const codec of ['int8', 'f32']) cases[codec] = await runSwarm(peers, codec, 12);
  if (peers === 10) cases['int8, 32 peers'] = await runSwarm(32, 'int8', 8);
  return { machine: machine(), numbers: COUNT, cases };
}

interface Swarm {
  readonly peers: Peer[];
  readonly runtimes: Runtime[];
  /** When each peer had mixed each round (ms). */
  readonly mixedAt: number[][];
  /** Neighbours of each that were mixed in, and that were late. */
  readonly mixed: number[];
  readonly late: number[];
}

async function runSwarm(count: number, codec: string, rounds: number): Promise<unknown> {
  const parsed = parseSettings({ codec, rounds, closingRounds: 0, minPeers: count, announceMs: 500, seed: 'bench' });
  if (!parsed.ok) throw new Error(parsed.problem);
  const swarm = await startSwarm(count, parsed.settings);
  await Promise.all(swarm.runtimes.map((runtime) => runtime.finished));
  const sent = swarm.runtimes.reduce((sum, { traffic }) => sum + traffic.sentBytes, 0);
  for (const runtime of swarm.runtimes) await runtime.stop();
  // A round of the swarm ends when its last peer has mixed it.
  const ends = Array.from({ length: rounds }, (_, r) => Math.max(...swarm.mixedAt.map((times) => times[r]!)));
  const spans = ends.slice(1).map((end, r) => end - ends[r]!);
  const mixed = swarm.mixed.reduce((a, b) => a + b, 0);
  return {
    peers: count,
    rounds,
    finished: swarm.peers.filter((peer) => peer.phase === 'finished').length,
    late: swarm.late.reduce((a, b) => a + b, 0),
    medianRoundMs: round(median(spans.slice(EDGE_ROUNDS - 1, -1))),
    neighboursAPeer: round(mixed / count / rounds),
    mbAPeerAndRound: round(sent / count / rounds / 2 ** 20),
    overNeighboursTimesAdapter: round(sent / (mixed * CODECS[codec as CodecName].size(COUNT))),
  };
}

async function startSwarm(count: number, settings: RunSettings): Promise<Swarm> {
  const swarm: Swarm = { peers: [], runtimes: [], mixedAt: [], mixed: [], late: [] };
  for (let i = 0; i < count; i++) {
    const prng = createPrng(settings.seed).fork(i);
    const adapter = new Float32Array(COUNT).map(() => prng.normal());
    const key = await generateKey();
    const peer = createPeer({ id: idOfKey(key)!, runId: RUN_ID, settings, adapter });
    swarm.mixedAt.push([]);
    swarm.mixed.push(0);
    swarm.late.push(0);
    const runtime = await createRuntime({
      peer,
      key,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      describeRun: () => '',
      save: async () => {},
      train: async (_round, vector) => ({ adapter: vector, stats: { loss: null } }),
      onMetric: (metric) => {
        if (metric.type !== 'mixed') return;
        swarm.mixedAt[i]![metric.round] = performance.now();
        swarm.mixed[i]! += metric.mixed;
        swarm.late[i]! += metric.late;
      },
    });
    swarm.peers.push(peer);
    swarm.runtimes.push(runtime);
    const [first] = swarm.runtimes;
    if (i > 0) await runtime.host.dial(first!.host.addresses());
  }
  return swarm;
}
