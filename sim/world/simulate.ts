/** @file Runs a scenario: the world with its faults, then healed; what every round did to disagreement, drift and loss. */

import { drawGraph, drawOf } from '../../protocol/neighbours.ts';
import { type Peer, totalRounds } from '../../protocol/peer.ts';
import { distance, mean } from '../../protocol/vector.ts';
import { befall, liarCount, tamperer } from './faults.ts';
import { contraction, diameter } from './graph.ts';
import { createWatch, type Watch } from './invariants.ts';
import type { Scenario, ScenarioRun } from './run.ts';
import { invade, inviteOf } from './strangers.ts';
import { createTally, type SimulatedRound, type Tally } from './tally.ts';
import type { SimulatedTrainer } from './trainer.ts';
import { createSimulatedTrainer } from './trainers.ts';
import { createWorld, type World, type WorldOptions } from './world.ts';

export interface SimulationResult {
  readonly rounds: readonly SimulatedRound[];
  readonly finished: number;
  readonly virtualMs: number;
  /** How far the mean moved other than by what latecomers adopted, where nothing is trained, in units of the first disagreement; null elsewhere. */
  readonly drift: number | null;
  readonly apart: number;
  /** Of the honest peers' mean at the end, by the trainer's own measure; of each, on average and at worst. NaN (null in JSON): not measured. */
  readonly loss: number;
  readonly lossOfPeers: number;
  readonly lossOfWorst: number;
  /** The share of texts with an attacker's trigger that honest peers take for its class, on average; null: not measured. */
  readonly triggered: number | null;
  /** The first round with a thousandth of the first disagreement; null: none. */
  readonly roundsToThousandth: number | null;
  /** Sent by all; per peer and round. */
  readonly bytesPerPeerRound: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly abandoned: number;
  /** Exchanges that neither end mixed, by agreement. */
  readonly cancelled: number;
  /** Exchanges between two that are there and do not lie, still open at the end. */
  readonly undecided: number;
  /** Peers that came late and went on with the adapter of another. */
  readonly adopted: number;
  readonly restarts: number;
  /**
   * Of the schedule itself: long-run factor a round (1: never together), and diameter of the first round's graph (Infinity,
   * null in JSON: in parts); null where there are too many peers to tell.
   */
  readonly contraction: number | null;
  readonly diameter: number | null;
  /** The first invariant that did not hold, where they are watched, and when (virtual ms); null: all did. */
  readonly problem: string | null;
  readonly problemAtMs: number | null;
  /** The same for the same seed, code and options. */
  readonly trace: string;
  /** Real time it took to run, without setting up and measuring. */
  readonly seconds: number;
}

export interface SimulateOptions {
  /** Virtual time to stop at. */
  readonly untilMs?: number;
  /** Whether invariants are looked at after every event. */
  readonly watch?: boolean;
  /** Whether every round is measured, which costs more than simulating it. On unless told otherwise. */
  readonly measure?: boolean;
  /** After every event; with how far the run is, from 0 to 1, every now and then. */
  readonly onEvent?: WorldOptions['onEvent'];
  readonly onProgress?: (share: number) => void;
  readonly signal?: AbortSignal;
  readonly step?: WorldOptions['step'];
}

export const RUN_ID = '00112233445566778899aabbccddeeff';
const HEALING_MS = 120_000;
/** Peers up to which the spectrum of their graph is worked out. */
const MAX_SPECTRUM = 1024;

/** The run until its end, or until a virtual time: the world as it then is, and what was seen. */
export async function simulate(
  run: ScenarioRun,
  options: SimulateOptions = {},
): Promise<{ world: World; result: SimulationResult }> {
  const trainer = await createSimulatedTrainer(run);
  try {
    return await simulateWith(trainer, run, options);
  } finally {
    await trainer.stop();
  }
}

async function simulateWith(
  trainer: SimulatedTrainer,
  run: ScenarioRun,
  options: SimulateOptions,
): Promise<{ world: World; result: SimulationResult }> {
  const { untilMs = Number.POSITIVE_INFINITY, watch: isWatched = false, measure: isMeasured = true } = options;
  const { scenario, settings, seed } = run;
  const { peers, scored } = scenario;
  const watch = createWatch();
  let tally: Tally | null = null;
  const liars = liarCount(scenario);
  const size = trainer.start(0).length;
  const tamper = tamperer(scenario, { seed, runId: RUN_ID, settings, size, seats: () => world.seats });
  const { strangers } = scenario;
  const invasion =
    strangers.count > 0 ? invade(strangers, { runId: RUN_ID, settings, size, world: () => world }) : null;
  const world = createWorld({
    runId: RUN_ID,
    seed,
    settings,
    peers,
    start: trainer.start,
    roster: scenario.roster,
    absent: scenario.joiners,
    train: trainer.train,
    factors: trainer.factors,
    ...(trainer.score ? { score: trainer.score } : {}),
    network: scenario,
    ...(invasion ? { strangers: invasion, inviteOf: (peer: number) => inviteOf(strangers, peer) } : {}),
    ...(!invasion && scenario.joiners > 0 ? { inviteOf: (peer: number) => joinerOf(scenario, peer) } : {}),
    trainMs: roundTimes(run),
    ...(tamper ? { tamper } : {}),
    ...(options.step ? { step: options.step } : {}),
    ...(isWatched || options.onEvent
      ? {
          onEvent: (...happened: Parameters<Watch['look']>) => {
            if (isWatched) watch.look(...happened);
            options.onEvent?.(...happened);
          },
        }
      : {}),
    pause: async () => {
      await new Promise((resolve) => setImmediate(resolve)); // Ctrl-C is heard
      options.signal?.throwIfAborted();
      options.onProgress?.(progressOf(world, totalRounds(settings)));
    },
    onMetric: (peer, metric, now) => {
      if (peer >= liars) tally?.take(peer, metric, now, world.traffic().bytes);
    },
  });
  invasion?.begin();
  const { start, spread } = spreadOf(vectorsOf(world)); // nobody has moved yet
  tally = createTally({
    peers: peers - liars,
    start,
    spread,
    loss: isMeasured && scored === 'rounds' ? trainer.loss : null,
  });
  const began = performance.now();
  await joinLater(world, run, untilMs);
  const restarts = await befall(world, run, untilMs);
  await world.settle(Math.min(scenario.untilMs, untilMs));
  if (world.now() < untilMs) {
    world.setNetwork({ loss: 0, duplication: 0, partition: null });
    await world.settle(Math.min(world.now() + HEALING_MS, untilMs));
  }
  const seconds = (performance.now() - began) / 1000;
  const vectors = vectorsOf(world).slice(liars);
  const middle = mean(vectors);
  const refused: Record<string, number> = {};
  for (const { peer } of world.seats)
    for (const [code, count] of Object.entries(peer.refused)) refused[code] = (refused[code] ?? 0) + count;
  const honest = world.seats.slice(liars).map(({ peer }) => peer);
  const losses = await Promise.all(isMeasured ? vectors.map((x) => trainer.loss(x)) : [Number.NaN]);
  const { triggered } = trainer;
  const taken = isMeasured && triggered ? await Promise.all(vectors.map((x) => triggered(x))) : null;
  const rounds = await tally.rounds();
  const result: SimulationResult = {
    rounds,
    finished: world.seats.filter((seat) => seat.finished).length,
    virtualMs: world.now(),
    drift: scenario.trainer === 'none' ? distance(middle, tally.expected()) / spread : null,
    apart: rootMeanSquare(vectors, middle) / spread,
    loss: isMeasured ? await trainer.loss(middle) : Number.NaN,
    lossOfPeers: losses.reduce((a, b) => a + b, 0) / losses.length,
    lossOfWorst: Math.max(...losses),
    triggered: taken && taken.reduce((a, b) => a + b, 0) / taken.length,
    roundsToThousandth: (rounds.find((r) => r.apart <= 1e-3)?.round ?? -1) + 1 || null,
    bytesPerPeerRound: world.traffic().bytes / peers / Math.max(1, totalRounds(settings)),
    refused,
    abandoned: tally.abandoned(),
    cancelled: tally.cancelled(),
    undecided: undecidedOf(honest),
    adopted: tally.adopted(),
    restarts,
    ...spectrumOf(run),
    problem: watch.problem()?.problem ?? watch.uneven(honest.map(({ id }) => id)),
    problemAtMs: watch.problem()?.atMs ?? null,
    trace: world.trace(),
    seconds,
  };
  return { world, result };
}

/** The share of all peers' rounds that are over. */
function progressOf({ seats }: World, rounds: number): number {
  return seats.reduce((sum, { peer }) => sum + Math.min(peer.round, rounds), 0) / (rounds * seats.length);
}

/** How long a peer's rounds of training take: by its class of device, and whether it is a straggler (the first are). */
function roundTimes({ scenario, settings }: ScenarioRun): (peer: number) => readonly [number, number] {
  const { peers, trainMs, devices, stragglers } = scenario;
  const slow = Math.round(stragglers.share * peers);
  const times = Array.from({ length: peers }, (_, peer): readonly [number, number] => {
    let dealt = 0;
    const device = devices.find(({ share }) => {
      dealt += share;
      return peer < Math.round(dealt * peers);
    });
    const [low, high] = device ? device.stepMs.map((ms) => ms * settings.localSteps) : trainMs;
    const slowdown = peer < slow ? stragglers.slowdown : 1;
    return [slowdown * low!, slowdown * high!];
  });
  return (peer) => times[peer]!;
}

/** What a graph is like, by its draw: runs of a sweep share it. */
const spectra = new Map<string, Pick<SimulationResult, 'contraction' | 'diameter'>>();

/** The long-run factor and diameter of a run's graph. */
function spectrumOf({ scenario, settings }: ScenarioRun): Pick<SimulationResult, 'contraction' | 'diameter'> {
  if (scenario.peers > MAX_SPECTRUM) return { contraction: null, diameter: null };
  const members = Array.from({ length: scenario.peers }, (_, i) => `peer-${String(i).padStart(5, '0')}`);
  const draw = drawOf(settings, { runId: RUN_ID, round: 0, members });
  const key = JSON.stringify({ ...draw, members: members.length });
  const known = spectra.get(key) ?? { contraction: contraction(draw), diameter: diameter(drawGraph(draw)) };
  spectra.set(key, known);
  return known;
}

/** Who comes later was told of the run by the first; the run is open. */
function joinerOf({ peers, joiners }: Scenario, peer: number): { invite: string; inviter: number | null } {
  return { invite: '', inviter: peer >= peers - joiners ? 0 : null };
}

/** Lets the joiners in, all at once. */
async function joinLater(world: World, { scenario }: ScenarioRun, untilMs: number): Promise<void> {
  const { peers, joiners, joinMs } = scenario;
  if (joiners === 0) return;
  await world.settle(Math.min(joinMs, untilMs));
  world.idle(Math.min(joinMs, untilMs));
  for (let i = peers - joiners; i < peers && world.now() < untilMs; i++) world.join(i);
}

function vectorsOf(world: World): Float32Array[] {
  return world.seats.map((seat) => seat.peer.adapter);
}

/** Open edges whose other end is one of these as well. */
function undecidedOf(peers: readonly Peer[]): number {
  const ids = new Set(peers.map(({ id }) => id));
  return peers.reduce(
    (sum, { exchanges }) => sum + exchanges.flatMap((e) => Object.keys(e.edges)).filter((id) => ids.has(id)).length,
    0,
  );
}

/** The mean of the peers at the start, and how far they are from it (1 where they are not). */
function spreadOf(vectors: readonly Float32Array[]): { start: Float32Array; spread: number } {
  const start = mean(vectors);
  return { start, spread: rootMeanSquare(vectors, start) || 1 };
}

function rootMeanSquare(vectors: readonly Float32Array[], centre: Float32Array): number {
  return Math.sqrt(vectors.reduce((sum, x) => sum + distance(x, centre) ** 2, 0) / vectors.length);
}
