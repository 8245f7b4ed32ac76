/** @file `bench -- swarm`: real peers over libp2p on loopback that only mix: the time of a round, and the bytes it takes. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { generateKey, idOfKey } from '../../node/admission/identity.ts';
import { createRuntime, type Runtime } from '../../node/runtime.ts';
import { CODECS, type CodecName } from '../../protocol/codec.ts';
import { parseSettings } from '../../protocol/config.ts';
import { createPeer, type Peer } from '../../protocol/peer.ts';
import { createPrng } from '../../protocol/prng.ts';
import { type BenchOptions, machine, median, round } from './measure.ts';

/** Numbers of an adapter. */
const COUNT = 300_000;
const RUN_ID = '00112233445566778899aabbccddeeff';

interface SwarmCase {
  readonly peers: number;
  readonly codec: string;
  readonly rounds: number;
}

/** What a process is asked to run: some of the peers. */
interface Part extends SwarmCase {
  readonly first: number;
  readonly count: number;
  readonly bootstrap: readonly string[];
}

interface PeerReport {
  readonly finished: boolean;
  /** When each round was mixed (ms of the wall clock). */
  readonly mixedAt: number[];
  readonly mixed: number;
  readonly late: number;
  readonly sentBytes: number;
}

/** `--peers N`: 10 unless told otherwise. */
export async function benchSwarm(_workspace: string, { peers }: BenchOptions): Promise<unknown> {
  const cases: Record<string, unknown> = {};
  for (const codec of ['int8', 'f32']) cases[codec] = await runSwarm({ peers, codec, rounds: 20 });
  return { machine: machine(), numbers: COUNT, cases };
}

async function runSwarm(swarm: SwarmCase): Promise<unknown> {
  const wireBefore = loopbackBytes();
  const children: ChildProcess[] = [];
  const { peers, codec, rounds } = swarm;
  const processes = Math.min(cpus().length, peers);
  let bootstrap: string[] = [];
  let first = 0;
  for (let k = 0; k < processes; k++) {
    const count = Math.floor((peers - first) / (processes - k));
    const child = fork(fileURLToPath(import.meta.url), ['part']);
    children.push(child);
    child.send({ ...swarm, first, count, bootstrap } satisfies Part);
    const [addresses] = await once(child, 'message');
    if (k === 0) bootstrap = addresses;
    first += count;
  }
  const reports = (await Promise.all(children.map((child) => once(child, 'message')))).flatMap(
    ([message]) => message as PeerReport[],
  );
  for (const child of children) child.disconnect();
  await Promise.all(children.map((child) => child.exitCode ?? once(child, 'exit')));
  const wireAfter = loopbackBytes();
  const wire = wireBefore === null || wireAfter === null ? null : wireAfter - wireBefore;
  // A round of the swarm is over when its last peer has mixed it; the first waits for everybody to be found.
  const ends = Array.from({ length: rounds }, (_, r) => Math.max(...reports.map(({ mixedAt }) => mixedAt[r] ?? NaN)));
  const spans = ends.slice(1).map((end, r) => end - ends[r]!);
  const [mixed, late, sent] = (['mixed', 'late', 'sentBytes'] as const).map((name) =>
    reports.reduce((sum, report) => sum + report[name], 0),
  );
  const ratio = (bytes: number): number => round(bytes / (mixed! * CODECS[codec as CodecName].size(COUNT)));
  return {
    peers,
    processes,
    rounds,
    finished: reports.filter(({ finished }) => finished).length,
    late,
    medianRoundMs: round(median(spans)),
    neighboursAPeer: round(mixed! / peers / rounds),
    mbAPeerAndRound: round(sent! / peers / rounds / 2 ** 20),
    overNeighboursTimesAdapter: ratio(sent!),
    wireOverNeighboursTimesAdapter: wire === null ? null : ratio(wire),
  };
}

/** What the loopback device has carried, TCP, noise, yamux, gossip and connecting included; null where nobody counts. */
function loopbackBytes(): number | null {
  const file = '/proc/net/dev';
  const line = existsSync(file) && /^\s*lo:\s*(\d+)/m.exec(readFileSync(file, 'utf8'));
  return line ? Number(line[1]) : null;
}

/** In a process of its own: starts its peers, says where the first is, runs, reports. */
async function runPart({ peers, codec, rounds, first, count, bootstrap }: Part): Promise<void> {
  const parsed = parseSettings({ codec, rounds, closingRounds: 0, minPeers: peers, seed: 'bench' });
  if (!parsed.ok) throw new Error(parsed.problem);
  const { settings } = parsed;
  const all: { peer: Peer; runtime: Runtime; mixedAt: number[]; mixed: number; late: number }[] = [];
  for (let i = first; i < first + count; i++) {
    const prng = createPrng(settings.seed).fork(i);
    const adapter = new Float32Array(COUNT).map(() => prng.normal());
    const key = await generateKey();
    const peer = createPeer({ id: idOfKey(key)!, runId: RUN_ID, settings, adapter });
    const seen = { mixedAt: [] as number[], mixed: 0, late: 0 };
    const runtime = await createRuntime({
      peer,
      key,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      describeRun: () => '',
      save: async () => {},
      train: async (_round, vector) => ({ adapter: vector, stats: { loss: null } }),
      onMetric: (metric) => {
        if (metric.type !== 'mixed') return;
        seen.mixedAt[metric.round] = Date.now();
        seen.mixed += metric.mixed;
        seen.late += metric.late;
      },
    });
    all.push(Object.assign(seen, { peer, runtime }));
    const where = bootstrap.length > 0 ? bootstrap : all[0]!.runtime.host.addresses();
    if (i > 0) await runtime.host.dial(where);
  }
  process.send!(all[0]!.runtime.host.addresses());
  await Promise.all(all.map(({ runtime }) => runtime.finished));
  const reports = all.map(({ peer, runtime, mixedAt, mixed, late }): PeerReport => {
    return { finished: peer.phase === 'finished', mixedAt, mixed, late, sentBytes: runtime.traffic.sentBytes };
  });
  process.send!(reports);
  await once(process, 'disconnect');
  for (const { runtime } of all) await runtime.stop();
}

if (process.send && process.argv[2] === 'part') {
  const [part] = await once(process, 'message');
  await runPart(part as Part);
}
