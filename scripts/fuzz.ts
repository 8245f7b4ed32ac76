/** @file `npm run fuzz -- --seeds 1..500` or `--minutes 10`: worlds in virtual time until one breaks an invariant. */
import { createDisplay } from '../node/display.ts';
import { fuzzOnce, LYING } from '../sim/world/fuzz.ts';
import { readArguments } from './arguments.ts';

const { values } = readArguments({
  name: 'fuzz',
  about: 'Worlds drawn at random, in virtual time, until one breaks an invariant; prints what replays it.',
  options: {
    seeds: { value: 'FIRST..LAST', about: 'a world each; one seed is one world (1..200)' },
    minutes: { value: 'N', about: 'from the first seed on, as many as fit' },
    liars: { value: LYING.join('|'), about: 'whether peers lie: as drawn, in no world, in every one (drawn)' },
  },
  examples: ['--seeds 1..2000 --liars none', '--minutes 10'],
});
const range = /^(\d+)(?:\.\.(\d+))?$/.exec(String(values.seeds ?? '1..200'));
const minutes = values.minutes === undefined ? null : Number(values.minutes);
if (!range || (minutes !== null && !(minutes > 0))) {
  console.error('fuzz: wanted --seeds FIRST..LAST (or one seed), or --minutes N');
  process.exit(2);
}
const lying = LYING.find((name) => name === (values.liars ?? 'drawn'));
if (!lying) {
  console.error(`fuzz: --liars: got "${values.liars}"; wanted ${LYING.join(', ')}`);
  process.exit(2);
}
const first = Number(range[1]);
const last = minutes === null ? Number(range[2] ?? first) : Number.POSITIVE_INFINITY;
const display = createDisplay();
const until = Date.now() + 60_000 * (minutes ?? Number.POSITIVE_INFINITY);
let failures = 0;
let done = 0;
for (let seed = first; seed <= last && Date.now() < until; seed++) {
  const problem = await fuzzOnce(String(seed), undefined, lying);
  done += 1;
  if (problem) {
    failures += 1;
    display.note(
      `seed ${seed}: ${problem}; replay with npm run fuzz -- --seeds ${seed}${lying === 'drawn' ? '' : ` --liars ${lying}`}`,
    );
  }
  if (minutes === null) display.progress('worlds', done, last - first + 1);
}
display.close();
console.log(`${done - failures} worlds passed, ${failures} failed`);
process.exitCode = failures ? 1 : 0;
