/**
 * @file `npm run redteam`: attacks on a small real swarm, one line each: what was done, what the honest went through, and
 * whether what must hold did. Exit code 1 where something did not. docs/threats.md says what each stands for.
 */
import { createDisplay } from '../node/display.ts';
import { UserError } from '../node/errors.ts';
import { readArguments, refuse, type Usage } from './arguments.ts';
import { enterNamespace, hasNamespaces, isInside } from './redteam/places.ts';
import { lineOf } from './redteam/report.ts';
import { runRedteam } from './redteam/run.ts';
import { ATTACKS, aboutOf, attacksOf, GROUPS, LOCALS } from './redteam/table.ts';

const USAGE: Usage = {
  name: 'redteam',
  about: `Attacks a swarm of four real processes on this machine, each with an address of its own where the system lets
us make network namespaces. Exit code 1 where something does not hold; what plain averaging is known not to
withstand is told and does not count.

${Object.entries(GROUPS)
  .map(([group, attacks]) => `${group}: ${folded(attacks, group.length + 2)}`)
  .join('\n')}`,
  positionals: '[NAME or GROUP...]',
  options: {
    short: { about: 'a second or two each: whether attackers are refused and the others go on, and no times' },
    list: { about: 'what each attack is' },
    json: { about: 'a line of JSON for each' },
  },
  examples: ['', 'silence streams', '--short --json'],
};

async function main(): Promise<void> {
  const { values, positionals } = readArguments(USAGE);
  const isShort = values.short === true;
  const names = namesOf(positionals, isShort);
  if (values.list) {
    for (const name of names) console.log(`${name.padEnd(18)} ${aboutOf(name)}`);
    return;
  }
  if (!isInside && hasNamespaces()) {
    process.exitCode = await enterNamespace();
    return;
  }
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(name, () => interrupt.abort(new Error('interrupted')));
  const display = createDisplay();
  if (!isInside) display.note('no network namespaces here: everybody is on loopback, behind one address');
  let [held, done] = [0, 0];
  try {
    await runRedteam({
      names,
      isShort,
      signal: interrupt.signal,
      onBegin: (name) => display.progress('attacks', done, names.length, name),
      onOutcome: (outcome) => {
        display.close();
        done += 1;
        if (outcome.held || outcome.isDocumented) held += 1;
        console.log(values.json ? JSON.stringify(outcome) : lineOf(outcome));
      },
    });
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    display.note('interrupted');
    process.exitCode = 130;
    return;
  } finally {
    display.close();
  }
  if (!values.json) console.log(`${held} of ${done} held`);
  process.exitCode = held === done ? 0 : 1;
}

/** Words in lines of 100 columns, the first of which has begun. */
function folded(words: readonly string[], begun: number): string {
  let column = begun;
  return words
    .map((word, i) => {
      const isNew = column + word.length + 2 > 100;
      column = isNew ? word.length + 4 : column + word.length + 2;
      return `${i === 0 ? '' : isNew ? ',\n  ' : ', '}${word}`;
    })
    .join('');
}

/** The attacks meant: by name, by group, or all there are. */
function namesOf(asked: readonly string[], isShort: boolean): string[] {
  const known = [...Object.keys(GROUPS), ...Object.keys(ATTACKS), ...Object.keys(LOCALS)];
  const other = asked.find((name) => !known.includes(name));
  if (other !== undefined)
    throw new UserError('usage', `got the attack ${JSON.stringify(other)}; wanted one or more of ${known.join(', ')}`);
  return attacksOf(asked.length > 0 ? asked : Object.keys(GROUPS), isShort);
}

main().catch((error) => refuse(USAGE.name, error));
