/**
 * @file `npm run soak`: four real processes for as long as one likes. Two are let be; the others are killed (-9) and started
 * again, put to sleep and cut off at random. Exit code 1 where memory or open files of those that are let be grow, where a
 * state folder does, or where somebody does not come back.
 */
import { createDisplay } from '../node/display.ts';
import { UserError } from '../node/errors.ts';
import { readArguments, refuse, type Usage } from './arguments.ts';
import { enterNamespace, hasNamespaces, isInside } from './redteam/places.ts';
import { problemsOf } from './soak/judge.ts';
import { runSoak } from './soak/run.ts';

const USAGE: Usage = {
  name: 'soak',
  about: 'Lets a swarm of four real processes run, two of which are killed, put to sleep and cut off at random.',
  options: {
    minutes: { value: 'N', about: 'how long (60)' },
    seed: { value: 'S', about: 'other blows at other times (1)' },
    json: { about: 'the result as one JSON object' },
  },
  examples: ['--minutes 5', '--minutes 60 --seed 2'],
};

async function main(): Promise<void> {
  const { values } = readArguments(USAGE);
  const minutes = Number(values.minutes ?? 60);
  if (!(minutes > 0)) throw new UserError('usage', `--minutes: got "${values.minutes}"; wanted a number above 0`);
  if (!isInside && hasNamespaces()) {
    process.exitCode = await enterNamespace();
    return;
  }
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => interrupt.abort());
  const display = createDisplay();
  if (!isInside) display.note('no network namespaces here: everybody is on loopback, and nobody is cut off');
  const seconds = Math.round(60 * minutes);
  const result = await runSoak({
    seconds,
    seed: String(values.seed ?? '1'),
    signal: interrupt.signal,
    onTick: (passed, what) => display.progress('soak', passed, seconds, what),
  }).finally(() => display.close());
  const problems = problemsOf(result);
  if (values.json) console.log(JSON.stringify({ ...result, problems }));
  else {
    const count = (type: string): number => result.blows.filter((blow) => blow.type === type).length;
    console.log(`${(result.seconds / 60).toFixed(0)} min, ${result.rounds} rounds of each that was let be`);
    console.log(`${count('kill')} kills, ${count('sleep')} sleeps, ${count('cut')} cuts`);
    for (const peer of result.peers)
      console.log(
        `peer ${peer.place}: ${peer.slope === null ? '-' : peer.slope.toFixed(2)} MB in 10 min from ${peer.memory} MB, open files ${peer.files.join(' to ')}, state ${peer.state.join(' to ')} kB`,
      );
    const backs = result.blows.flatMap(({ backSeconds }) => (backSeconds === null ? [] : [backSeconds]));
    console.log(`back after ${Math.max(0, ...backs).toFixed(1)} s at most`);
    for (const problem of problems) console.log(problem);
  }
  process.exitCode = interrupt.signal.aborted ? 130 : problems.length === 0 ? 0 : 1;
}

main().catch((error) => refuse(USAGE.name, error));
