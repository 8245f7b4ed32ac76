/**
 * @file `npm run chaos`: kills (-9) one of four real processes at every point of a round, 25 times each, and sees that what
 * was saved is kept, that it is back within ten seconds, that nothing is mixed in twice, and that no snapshot is torn.
 * `--times N` for another number, `--seed S` for other victims.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createDisplay } from '../node/display.ts';
import { POINT_NAMES, type PointName } from './chaos/points.ts';
import { type Kill, runChaos } from './chaos/swarm.ts';

const ROUNDS = 150;

const { values } = parseArgs({
  options: { times: { type: 'string', default: '25' }, seed: { type: 'string', default: '1' } },
});
const times = Number(values.times);
if (!Number.isInteger(times) || times < 1) {
  console.error(`chaos: --times: got "${values.times}"; wanted a whole number, 1 or more`);
  process.exit(2);
}
const wanted: PointName[] = Array.from({ length: times }, () => POINT_NAMES).flat();
const kills: Kill[] = [];
const display = createDisplay();
let problems = 0;
for (let swarm = 0; kills.length < wanted.length; swarm++) {
  const folder = mkdtempSync(join(tmpdir(), 'lorikeet-chaos-'));
  const seed = `${values.seed}-${swarm}`;
  const points = wanted.slice(kills.length);
  const onKill = (kill: Kill): void => {
    kills.push(kill);
    display.progress('kills', kills.length, wanted.length, kill.point);
  };
  const outcome = await runChaos({ folder, seed, points, rounds: ROUNDS, onKill });
  problems += outcome.problems.length;
  for (const problem of outcome.problems) display.note(`swarm ${seed}: ${problem}; its files are in ${folder}`);
  if (outcome.problems.length === 0) rmSync(folder, { recursive: true });
  if (outcome.kills.length === 0) break;
}
display.close();
for (const point of POINT_NAMES) {
  const restarts = kills.filter((kill) => kill.point === point).map((kill) => kill.restartMs);
  const slowest = (Math.max(0, ...restarts) / 1000).toFixed(1);
  console.log(`${point.padEnd(52)} ${String(restarts.length).padStart(3)} kills, back within ${slowest} s`);
}
const isWhole = kills.length === wanted.length && problems === 0;
console.log(`${kills.length} of ${wanted.length} kills, ${problems} problems`);
process.exitCode = isWhole ? 0 : 1;
