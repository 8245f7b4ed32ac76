/**
 * @file `npm run chaos`: kills (-9) one of four real processes at every point of a round, 25 times each, and lets one stand
 * still (SIGSTOP) for 1 to 60 s as often, in between and with a short deadline; sees that what was saved is kept, that no
 * snapshot is torn, and that the adapters add up to exactly what was trained.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDisplay } from '../node/display.ts';
import { createPrng } from '../protocol/prng.ts';
import { readArguments } from './arguments.ts';
import { POINT_NAMES } from './chaos/points.ts';
import { type Blow, runSwarms, type Struck } from './chaos/swarm.ts';

const ROUNDS = 150;
/** Shorter than most standstills, so that rounds go on without who stands still. */
const DEADLINE_MS = 300;

const { values } = readArguments({
  name: 'chaos',
  about: 'Kills (-9) one of four real processes at every point of a round, or freezes it; adds up what is left.',
  options: {
    times: { value: 'N', about: 'kills at each of twelve points (25)' },
    freezes: { value: 'N', about: 'standstills of 1 to 60 s, beside the kills (25)' },
    seed: { value: 'S', about: 'other victims and times (1)' },
  },
  examples: ['', '--times 2 --freezes 3 --seed 7'],
});
const [times, freezes] = [countOf('times', 1), countOf('freezes', 0)];
const seed = String(values.seed ?? '1');
const display = createDisplay();
const root = mkdtempSync(join(tmpdir(), 'lorikeet-chaos-'));
const blows = drawBlows();
let count = 0;
const { struck, problems } = await runSwarms({
  folder: (swarm) => join(root, String(swarm)),
  seed,
  blows,
  rounds: ROUNDS,
  deadlineMs: DEADLINE_MS,
  onBlow: ({ blow }) => {
    count += 1;
    display.progress(
      'blows',
      count,
      blows.length,
      blow.type === 'kill' ? blow.point : `stands still for ${blow.ms} ms`,
    );
  },
});
for (const problem of problems) display.note(problem);
if (problems.length === 0) rmSync(root, { recursive: true });
display.close();
for (const point of POINT_NAMES)
  printLine(
    point,
    struck.filter(({ blow }) => blow.type === 'kill' && blow.point === point),
  );
printLine(
  'it stands still',
  struck.filter(({ blow }) => blow.type === 'freeze'),
);
console.log(`${struck.length} of ${blows.length} blows, ${problems.length} problems`);
process.exitCode = struck.length === blows.length && problems.length === 0 ? 0 : 1;

function countOf(name: 'times' | 'freezes', least: number): number {
  const value = Number(values[name] ?? 25);
  if (Number.isInteger(value) && value >= least) return value;
  console.error(`chaos: --${name}: got "${values[name]}"; wanted a whole number, ${least} or more`);
  process.exit(2);
}

/** Kills and standstills, mixed; most standstills are short, some long: each doubling is as likely. */
function drawBlows(): Blow[] {
  const prng = createPrng(seed).fork('blows');
  const kills = Array.from({ length: times }, () => POINT_NAMES.map((point): Blow => ({ type: 'kill', point }))).flat();
  const still = Array.from(
    { length: freezes },
    (): Blow => ({ type: 'freeze', ms: Math.round(1000 * 60 ** prng.random()) }),
  );
  return prng.shuffle([...kills, ...still]);
}

function printLine(name: string, of: readonly Struck[]): void {
  const slowest = (Math.max(0, ...of.map(({ backMs }) => backMs ?? 0)) / 1000).toFixed(1);
  console.log(`${name.padEnd(52)} ${String(of.length).padStart(3)} times, mixes again within ${slowest} s`);
}
