/** @file Runs a scenario: the world with its faults, then healed; what every round did to disagreement, drift and loss. */

import { drawGraph, drawOf } from '../protocol/neighbours.ts';
import { createPrng } from '../protocol/prng.ts';
import { distance, mean } from '../protocol/vector.ts';
import { contraction, diameter } from './graph.ts';
import type { ScenarioRun } from './scenario.ts';
import { TOYS } from './toy.ts';
import { createWorld, type World } from './world.ts';

export interface SimulatedRound {
  readonly round: number;
  /** When the last peer had mixed it (virtual ms). */
  readonly atMs: number;
  /** Root mean square distance from the mean, relative to that of the start. */
  readonly apart: number;
  /** Of the peers' mean, by the trainer's own measure. */
  readonly loss: number;
}

export interface SimulationResult {
  readonly rounds: readonly SimulatedRound[];
  readonly finished: number;
  readonly virtualMs: number;
  /** How far the mean moved, where nothing is trained, in units of the first disagreement; null elsewhere. */
  readonly drift: number | null;
  readonly apart: number;
  readonly loss: number;
  /** The first round with a thousandth of the first disagreement; null: none. */
  readonly roundsToThousandth: number | null;
  /** Sent by all; per peer and round. */
  readonly bytesPerPeerRound: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly abandoned: number;
  readonly restarts: number;
  /** Of the schedule itself: long-run factor a round, and diameter of the first round's graph. */
  readonly contraction: number;
  readonly diameter: number;
  /** The same for the same seed, code and options. */
  readonly trace: string;
  readonly seconds: number;
}

export const RUN_ID = '00112233445566778899aabbccddeeff';
const HEALING_MS = 120_000;

/** The run until its end, or until a virtual time: the world as it then is, and what was seen. Pure in its run. */
export function simulate(
  run: ScenarioRun,
  untilMs = Number.POSITIVE_INFINITY,
): { world: World; result: SimulationResult } {
  const began = performance.now();
  const { scenario, settings, seed } = run;
  const { peers, size } = scenario;
  const toy = TOYS[scenario.trainer]!({
    seed,
    peers,
    size,
    learningRate: settings.learningRate,
    steps: settings.localSteps,
  });
  const adapters = Array.from({ length: peers }, (_, i) => toy.start(i));
  const start = mean(adapters);
  const spread = rootMeanSquare(adapters, start) || 1;
  const mixed = new Map<number, Float32Array[]>();
  const rounds: SimulatedRound[] = [];
  let abandoned = 0;
  const world = createWorld({
    runId: RUN_ID,
    seed,
    settings,
    adapters,
    train: toy.train,
    network: scenario,
    trainMs: scenario.trainMs,
    stragglers: scenario.stragglers,
    onMetric: (_peer, metric, now) => {
      if (metric.type === 'abandoned') abandoned += metric.edges;
      if (metric.type !== 'mixed') return;
      const those = [...(mixed.get(metric.round) ?? []), metric.adapter];
      mixed.set(metric.round, those);
      if (those.length < peers) return;
      mixed.delete(metric.round);
      const middle = mean(those);
      rounds.push({
        round: metric.round,
        atMs: now,
        apart: rootMeanSquare(those, middle) / spread,
        loss: toy.loss(middle),
      });
    },
  });
  const restarts = crashNowAndThen(world, run, untilMs);
  world.run(Math.min(scenario.untilMs, untilMs));
  if (world.now() < untilMs) {
    world.setNetwork({ loss: 0, duplication: 0, partition: null });
    world.run(Math.min(world.now() + HEALING_MS, untilMs));
  }
  const vectors = world.seats.map((seat) => seat.peer.adapter);
  const middle = mean(vectors);
  const members = world.seats.map((seat) => seat.peer.id);
  const known = drawOf(settings, { runId: RUN_ID, round: 0, members });
  // This one has nothing random to keep: its graph follows the round.
  const draw = { ...known, redraw: known.redraw || known.schedule === 'one-peer-exponential' };
  const refused: Record<string, number> = {};
  for (const { peer } of world.seats)
    for (const [code, count] of Object.entries(peer.refused)) refused[code] = (refused[code] ?? 0) + count;
  const result: SimulationResult = {
    rounds,
    finished: world.seats.filter((seat) => seat.finished).length,
    virtualMs: world.now(),
    drift: scenario.trainer === 'none' ? distance(middle, start) / spread : null,
    apart: rootMeanSquare(vectors, middle) / spread,
    loss: toy.loss(middle),
    roundsToThousandth: (rounds.find((r) => r.apart <= 1e-3)?.round ?? -1) + 1 || null,
    bytesPerPeerRound: world.traffic().bytes / peers / Math.max(1, settings.rounds + settings.closingRounds),
    refused,
    abandoned,
    restarts,
    contraction: contraction(draw),
    diameter: diameter(drawGraph(draw)),
    trace: world.trace(),
    seconds: (performance.now() - began) / 1000,
  };
  return { world, result };
}

/** Kills peers drawn at random and brings each back; gives how many. */
function crashNowAndThen(world: World, { scenario, seed }: ScenarioRun, untilMs: number): number {
  const prng = createPrng(seed).fork('crashes');
  let restarts = 0;
  for (let crash = 0; crash < scenario.crashes; crash++) {
    const victim = prng.below(scenario.peers);
    world.run(Math.min(untilMs, world.now() + prng.below(2 * scenario.downMs + 1)));
    if (world.now() >= untilMs || world.seats[victim]!.finished || world.seats[victim]!.disk === null) continue;
    world.kill(victim);
    world.run(Math.min(untilMs, world.now() + scenario.downMs));
    world.restart(victim);
    restarts += 1;
  }
  return restarts;
}

function rootMeanSquare(vectors: readonly Float32Array[], centre: Float32Array): number {
  return Math.sqrt(vectors.reduce((sum, x) => sum + distance(x, centre) ** 2, 0) / vectors.length);
}
