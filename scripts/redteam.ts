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
import { ATTACKS } from './redteam/table.ts';

const USAGE: Usage = {
  name: 'redteam',
  about: `Attacks a swarm of four real processes on this machine, each with an address of its own where the system lets
us make network namespaces. Exit code 1 where something does not hold.

${Object.entries(ATTACKS)
  .map(([name, { about }]) => `  ${name.padEnd(18)} ${about}`)
  .join('\n')}`,
  positionals: '[NAME...]',
  options: {
    short: { about: 'a second or two each: whether attackers are refused and the others go on, and no times' },
    json: { about: 'a line of JSON for each' },
  },
  examples: ['', 'silent streams', '--short --json'],
};

async function main(): Promise<void> {
  const { values, positionals } = readArguments(USAGE);
  const other = positionals.find((name) => !Object.hasOwn(ATTACKS, name));
  if (other !== undefined)
    throw new UserError('usage', `got the attack ${JSON.stringify(other)}; wanted ${Object.keys(ATTACKS).join(', ')}`);
  if (!isInside && hasNamespaces()) {
    process.exitCode = await enterNamespace();
    return;
  }
  const names = positionals.length > 0 ? positionals : Object.keys(ATTACKS);
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(name, () => interrupt.abort(new Error('interrupted')));
  const display = createDisplay();
  if (!isInside) display.note('no network namespaces here: everybody is on loopback, behind one address');
  let [held, done] = [0, 0];
  try {
    await runRedteam({
      names,
      isShort: values.short === true,
      signal: interrupt.signal,
      onBegin: (name) => display.progress('attacks', done, names.length, name),
      onOutcome: (outcome) => {
        display.close();
        done += 1;
        if (outcome.held) held += 1;
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

main().catch((error) => refuse(USAGE.name, error));
