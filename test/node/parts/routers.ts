/**
 * @file What test/node/routers.test.ts runs in its namespaces: two peers behind routers of their own train with two that can be
 * reached; the first of those dies, which relayed; somebody joins who was not there; its cable is cut, and mended. Prints what came.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Ended, MACHINE, type Running, said, startIn } from '../../processes.ts';
import { temporaryFolder } from '../../support.ts';
import { hiddenMachines, type Machine, openLab, publicMachine, setCable } from './lab.ts';

const folder = temporaryFolder();
const cutsMs = process.argv.slice(2).map((seconds) => 1000 * Number(seconds));
const begun = Date.now();
const times: [what: string, seconds: number][] = [];
const done = (what: string): void => {
  times.push([what, Math.round((Date.now() - begun) / 100) / 10]);
  console.error(what); // how far it came, should it end here
};

openLab();
const [one, two, three] = [await publicMachine(1), await publicMachine(2), await publicMachine(3)];
const [left] = await hiddenMachines(1, 1);
const [right] = await hiddenMachines(2, 1);

const run = [
  '--rounds',
  '5000',
  '--local-steps',
  '30',
  '--min-peers',
  '2',
  '--label-prior',
  'off',
  '--announce-ms',
  '1000',
];
const common = ['--host', '0.0.0.0', '--anyway', '--json', '--follow', ...MACHINE];
function start(name: string, machine: Machine, args: readonly string[]): Running {
  writeFileSync(join(folder, `${name}.tsv`), `text\tlabel\n${name} is warm\t1\n${name} is dull\t0\n`);
  return startIn(folder, [...args, '--data', `${name}.tsv`, ...common], {}, machine.by);
}

interface Round {
  readonly event: string;
  readonly round: number;
  readonly members: number;
  readonly mixed: number;
}
const eventsOf = (running: Running): Round[] =>
  running
    .out()
    .split('\n')
    .flatMap((line) => (line.endsWith('}') ? [JSON.parse(line) as Round] : []));
/** The next round that a peer mixes with so many others. */
async function mixes(running: Running, count: number): Promise<Round> {
  const from = eventsOf(running).length;
  for (;;) {
    const found = eventsOf(running)
      .slice(from)
      .find(({ event, mixed }) => event === 'round' && mixed === count);
    if (found) return found;
    await Promise.race([new Promise((resolve) => setTimeout(resolve, 50)), running.done]);
    if (running.child.exitCode !== null) throw new Error(`ended: ${running.text()}`);
  }
}
const invited = async (running: Running, peers: number): Promise<string> =>
  (await said(running, new RegExp(`while one of ${peers} peers is here:\\n {2}lorikeet join (\\S+)`)))[1]!;

const first = start('first', one, ['up', ...run]);
const [, invite] = await said(first, /others join.*\n {2}lorikeet join (\S+)/);
start('second', two, ['join', invite!]);
const [a, b] = [start('left', left!, ['join', invite!]), start('right', right!, ['join', invite!])];
const relays = /others reach it by way of (\S+)(?: and (\S+))?;/;
await Promise.all([a, b].map((one) => said(one, relays)));
done('relayed');
await Promise.all([a, b].map((one) => mixes(one, 3)));
done('both mix with all three others');
const later = await invited(b, 3);
const doctor = (machine: Machine, ...args: string[]): Promise<Ended> =>
  startIn(folder, ['doctor', '--network', later, ...args], {}, machine.by).done;
const [shut, open] = [await doctor(left!), await doctor(three)];
done('a member has tried to connect to two machines');
first.child.kill('SIGKILL');
await first.done;
done('the first is dead');
await Promise.all([a, b].map((one) => mixes(one, 2)));
done('both mix with each other and the second');
const newcomer = start('newcomer', three, ['join', later]);
await Promise.all([mixes(newcomer, 3), mixes(a, 3), mixes(b, 3)]);
done('all mix with who came later');
three.sh('ip addr flush dev card; ip addr add 10.77.0.33/16 dev card; ip route replace default dev card');
await Promise.all([mixes(newcomer, 3), mixes(a, 3)]);
done('found again at another address');
for (const ms of cutsMs) {
  setCable(three, false);
  await new Promise((resolve) => setTimeout(resolve, ms));
  setCable(three, true);
  await Promise.all([mixes(newcomer, 3), mixes(a, 3)]);
  done(`mended after ${ms / 1000} s`);
}
console.log(JSON.stringify({ times, relayed: a.text(), later, shut: shut.out, open: open.out }));
process.exit();
