/** @file `bench -- averaging`: ways to average under loss, compared: the mean's drift, rounds, what is sent and kept. */
import { drawGraph } from '../../protocol/neighbours.ts';
import { createPrng } from '../../protocol/prng.ts';
import type { ScheduleName } from '../../protocol/schedules.ts';
import { AVERAGINGS, type Measured, measureAveraging } from './averaging-rules.ts';
import { median } from './measure.ts';

const SEEDS = 20;
const GRAPHS: readonly { readonly name: string; readonly schedule: ScheduleName; readonly redraw: boolean }[] = [
  { name: 'ring', schedule: 'ring', redraw: false },
  { name: 'fresh 4-regular', schedule: 'random-regular', redraw: true },
];

/** Prints a table; gives its rows. */
export async function benchAveraging(): Promise<unknown> {
  const rows: Record<string, unknown>[] = [];
  for (const peers of [16, 64]) {
    for (const graph of GRAPHS) {
      for (const loss of [0, 0.05, 0.2, 0.3]) {
        for (const averaging of Object.keys(AVERAGINGS))
          rows.push({ averaging, ...rowOf(averaging, graph, peers, loss) });
      }
    }
  }
  return { seeds: SEEDS, rows };
}

function rowOf(
  averaging: string,
  { name, schedule, redraw }: (typeof GRAPHS)[number],
  peers: number,
  loss: number,
): Record<string, unknown> {
  const members = Array.from({ length: peers }, (_, i) => `peer-${String(i).padStart(5, '0')}`);
  const rounds = name === 'ring' ? (peers > 16 ? 1500 : 400) : 60;
  const seeds = name === 'ring' && peers > 16 ? 3 : SEEDS;
  const measure = (seed: number, training: boolean): Measured => {
    const draw = { schedule, redraw, members, degree: 4, edges: '', runId: `averaging/${seed}` };
    const still = redraw ? null : drawGraph({ ...draw, round: 0 });
    return measureAveraging({
      averaging,
      peers,
      loss,
      rounds,
      training,
      graphOf: (round) => still ?? drawGraph({ ...draw, round }),
      prng: createPrng(String(seed)).fork('averaging'),
    });
  };
  const all = Array.from({ length: seeds }, (_, seed) => measure(seed, false));
  const trained = Array.from({ length: seeds }, (_, seed) => measure(seed, true));
  const reached = all.map((m) => m.rounds ?? Number.POSITIVE_INFINITY);
  const worst = (of: readonly Measured[]): number => Number(Math.max(...of.map((m) => m.drift)).toPrecision(2));
  return {
    peers,
    graph: name,
    loss,
    rounds: Number.isFinite(median(reached)) ? median(reached) : null,
    largestDrift: worst(all),
    largestDriftTraining: worst(trained),
    vectorsSent: Number(median(all.map((m) => m.sent)).toFixed(2)),
    vectorsKept: Number(median(all.map((m) => m.kept)).toFixed(1)),
  };
}
