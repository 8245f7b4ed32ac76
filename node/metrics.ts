/** @file What a peer tells Prometheus: its chronicle as metrics, at `/metrics` of an address of one's own, and of the process. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Phase } from '../protocol/snapshot.ts';
import type { Chronicle } from './chronicle/chronicle.ts';
import type { Traffic, Whole } from './chronicle/record.ts';
import { messageOf, UserError } from './errors.ts';
import { packageVersion } from './package.ts';

export interface MetricsServer {
  /** Where it answers: http://HOST:PORT/metrics. */
  readonly url: string;
  stop(): Promise<void>;
}

const PREFIX = 'lorikeet_';
const PHASES: readonly Phase[] = ['gathering', 'asking', 'training', 'opening', 'exchanging', 'finished'];
/** From a round of a tiny base to one of hours (s). */
const BUCKETS = [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000];

/** Answers at `HOST:PORT`, such as 127.0.0.1:9464. Throws a UserError where it cannot listen there. */
export async function serveMetrics(address: string, chronicle: Chronicle): Promise<MetricsServer> {
  const { host, port } = readAddress(address);
  const metrics = createMetrics(chronicle);
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (request.method !== 'GET' || path !== '/metrics') {
      response.writeHead(path === '/metrics' ? 405 : 404).end();
      return;
    }
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      (error) => response.writeHead(500).end(messageOf(error)),
    );
  });
  server.requestTimeout = 10_000;
  server.maxConnections = 32;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new UserError('usage', `--metrics ${address}: cannot listen there (${messageOf(error)}); choose another`)),
    );
    server.listen(port, host, resolve);
  });
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}/metrics`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** HOST:PORT, or a port of 127.0.0.1. */
export function readAddress(text: string): { readonly host: string; readonly port: number } {
  const [, host = '127.0.0.1', digits] = /^(?:\[?([^\]]+)\]?:)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits !== undefined && port <= 65_535) return { host, port };
  throw new UserError('usage', `--metrics: got ${JSON.stringify(text)}; wanted HOST:PORT, such as 127.0.0.1:9464`);
}

interface Metrics {
  readonly contentType: string;
  /** As they are now, in Prometheus' text format. */
  text(): Promise<string>;
}

/** The metrics of a peer, in a registry of their own, filled when they are read. */
function createMetrics(chronicle: Chronicle): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name: PREFIX + name, help, labelNames, registers });
  const counter = (name: string, help: string, labelNames: string[] = []): Counter =>
    new Counter({ name: PREFIX + name, help, labelNames, registers });
  const histogram = (name: string, help: string): Histogram =>
    new Histogram({ name: PREFIX + name, help, buckets: BUCKETS, registers });

  const { subject } = chronicle.whole();
  gauge('info', 'Always 1; says which peer of which run this is.', [
    'peer_id',
    'name',
    'run_id',
    'base',
    'version',
  ]).set(
    { peer_id: subject.id, name: subject.name, run_id: subject.runId, base: subject.base, version: packageVersion() },
    1,
  );
  gauge('rounds_planned', 'Rounds of the run, closing ones included.').set(subject.rounds + subject.closingRounds);
  const roundSeconds = histogram('round_duration_seconds', 'From the beginning of a round until it was mixed.');
  const trainingSeconds = histogram('training_duration_seconds', 'Local steps of a round.');
  const round = gauge('round', 'The round it is at.');
  const phase = gauge('phase', '1 for the phase it is in.', ['phase']);
  const members = gauge('members', 'Members of the run that are here, itself included.');
  const connected = gauge('connected_peers', 'Members it is connected to.');
  const awaited = gauge('awaited_peers', 'Neighbours whose adapter it waits for.');
  const loss = gauge('training_loss', 'Mean loss of the local steps of the last round that trained.');
  const distance = gauge('neighbour_distance_ratio', "Mean distance of the neighbours' adapters, relative to its own.");
  const score = gauge('score', 'Share that is right, or loss a token, on texts nobody trained on.', ['whose']);
  const sent = counter('sent_bytes_total', 'Frames and announcements handed to the network.', ['message']);
  const received = counter('received_bytes_total', 'Frames and announcements that came.', ['message']);
  const exchanges = counter('exchanges_total', 'Exchanges with neighbours by how they ended.', ['outcome']);
  const refused = counter('refused_total', 'Messages and connections that were refused.', ['code']);
  const diverged = counter('diverged_rounds_total', 'Rounds whose training gave numbers that are not finite.');

  let [trainedAt, mixedAt] = [-1, -1];
  const time = (rounds: Whole['rounds']): void => {
    for (const { round, beganAt, ...at } of rounds) {
      if (at.trainedAt !== null && round > trainedAt) {
        trainingSeconds.observe((at.trainedAt - beganAt) / 1000);
        trainedAt = round;
      }
      if (at.mixedAt === null || round <= mixedAt) continue;
      roundSeconds.observe((at.mixedAt - beganAt) / 1000);
      mixedAt = round;
    }
  };

  const fill = ({ head, peers, rounds, published, comparison }: Whole): void => {
    time(rounds);
    round.set(head.round);
    for (const name of PHASES) phase.set({ phase: name }, name === head.phase ? 1 : 0);
    members.set(head.members);
    connected.set(peers.filter(({ isConnected }) => isConnected).length);
    awaited.set(head.awaited.length);
    const latest = (what: 'loss' | 'distance'): number | null =>
      rounds.findLast((one) => one[what] !== null)?.[what] ?? null;
    setKnown(loss, {}, latest('loss'));
    setKnown(distance, {}, latest('distance'));
    for (const whose of ['base', 'alone', 'swarm'] as const) setKnown(score, { whose }, comparison?.[whose] ?? null);
    raise(sent, 'message', bytesOf([published, ...peers.map((peer) => peer.sent)]));
    raise(received, 'message', bytesOf(peers.map((peer) => peer.received)));
    const sum = (what: 'mixed' | 'late' | 'clipped' | 'given'): number =>
      peers.reduce((total, peer) => total + peer[what], 0);
    raise(exchanges, 'outcome', {
      mixed: sum('mixed'),
      late: sum('late'),
      clipped: sum('clipped'),
      void: sum('given'),
    });
    raise(refused, 'code', head.refused as Readonly<Record<string, number>>);
    diverged.reset();
    diverged.inc(head.diverged);
  };
  return {
    contentType: registry.contentType,
    text: () => {
      fill(chronicle.whole());
      return registry.metrics();
    },
  };
}

/** What is not known is not told. */
function setKnown(gauge: Gauge, labels: Readonly<Record<string, string>>, value: number | null): void {
  if (value !== null) gauge.set({ ...labels }, value);
}

/** Sets a counter to what was counted elsewhere. */
function raise(counter: Counter, label: string, counts: Readonly<Record<string, number>>): void {
  counter.reset();
  for (const [value, count] of Object.entries(counts)) counter.inc({ [label]: value }, count);
}

function bytesOf(traffics: readonly Traffic[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const traffic of traffics)
    for (const [kind, { bytes }] of Object.entries(traffic)) sums[kind] = (sums[kind] ?? 0) + bytes;
  return sums;
}
