/**
 * @file `npm run chaos`: kills (-9) one of four real processes at every point of a round, 25 times each, and sees that what
 * was saved is kept, that it is back within ten seconds, that nothing is mixed in twice, and that no snapshot is torn.
 * `--times N` for another number, `--seed S` for other victims.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDisplay } from '../node/display.ts';
import { readArguments } from './arguments.ts';
import { POINT_NAMES, type PointName } from './chaos/points.ts';
import { runSwarms } from './chaos/swarm.ts';

const ROUNDS = 150;

const { values } = readArguments({
  name: 'chaos',
  about:
    'Kills (-9) one of four real processes at every point of a round, and sees that nothing is lost or mixed twice.',
  options: {
    times: { value: 'N', about: 'kills at each point (25)' },
    seed: { value: 'S', about: 'other victims (1)' },
  },
  examples: ['', '--times 2 --seed 7'],
});
const times = Number(values.times ?? 25);
if (!Number.isInteger(times) || times < 1) {
  console.error(`chaos: --times: got "${values.times}"; wanted a whole number, 1 or more`);
  process.exit(2);
}
const wanted: PointName[] = Array.from({ length: times }, () => POINT_NAMES).flat();
const display = createDisplay();
const root = mkdtempSync(join(tmpdir(), 'lorikeet-chaos-'));
let count = 0;
const { kills, problems } = await runSwarms({
  folder: (swarm) => join(root, String(swarm)),
  seed: String(values.seed ?? '1'),
  points: wanted,
  rounds: ROUNDS,
  onKill: ({ point }) => {
    count += 1;
    display.progress('kills', count, wanted.length, point);
  },
});
for (const problem of problems) display.note(problem);
if (problems.length === 0) rmSync(root, { recursive: true });
display.close();
for (const point of POINT_NAMES) {
  const restarts = kills.filter((kill) => kill.point === point).map((kill) => kill.restartMs);
  const slowest = (Math.max(0, ...restarts) / 1000).toFixed(1);
  console.log(`${point.padEnd(52)} ${String(restarts.length).padStart(3)} kills, back within ${slowest} s`);
}
const isWhole = kills.length === wanted.length && problems.length === 0;
console.log(`${kills.length} of ${wanted.length} kills, ${problems.length} problems`);
process.exitCode = isWhole ? 0 : 1;
