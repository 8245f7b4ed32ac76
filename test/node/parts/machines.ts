/**
 * @file What test/node/machines.test.ts runs in its namespace: three machines on one cable, each a namespace of its own. The first
 * begins a run, the second joins it, the first dies, the third joins by the invite of the second; prints what they said.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MACHINE, said, startIn } from '../../processes.ts';
import { temporaryFolder } from '../../support.ts';

const folder = temporaryFolder();
const sh = (line: string): void => {
  const { status, stderr } = spawnSync('sh', ['-ec', line], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${line}: ${stderr}`);
};

/** A machine at 10.77.0.N; gives the command to run something on it. */
async function machine(n: number): Promise<string[]> {
  const keeper = spawn('unshare', ['-n', 'sh', '-c', 'echo here; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.on('exit', () => keeper.kill('SIGKILL'));
  await once(keeper.stdout!, 'data');
  const inside = `nsenter -t ${keeper.pid} -n ip`;
  sh(`ip link add cable${n} type veth peer name card netns ${keeper.pid}
    ip link set cable${n} master hub up
    ${inside} link set lo up
    ${inside} addr add 10.77.0.${n}/24 dev card
    ${inside} link set card up`);
  return ['nsenter', '-t', String(keeper.pid), '-n'];
}

sh('ip link set lo up; ip link add name hub type bridge; ip link set hub up');
for (const name of ['a', 'b', 'c']) writeFileSync(join(folder, `${name}.tsv`), 'text\tlabel\nwarm\t1\ndull\t0\n');
const [one, two, three] = [await machine(1), await machine(2), await machine(3)];
const run = ['--label-prior', 'off', '--min-peers', '9', '--host', '0.0.0.0', '--anyway'];
const INVITE = /others join.*\n {2}lorikeet join (\S+)/;
const INVITE_OF_TWO = /while one of 2 peers is here:\n {2}lorikeet join (\S+)/;

const MET = /waiting for \d+ more peers: 2 of 9 here/;

const first = startIn(folder, ['up', '--data', 'a.tsv', ...run, ...MACHINE], {}, one);
const [, invite] = await said(first, INVITE);
const second = startIn(folder, ['join', invite!, '--data', 'b.tsv', '--anyway', ...MACHINE], {}, two);
const [, both] = await said(second, INVITE_OF_TWO);
first.child.kill('SIGKILL');
await first.done;
const alone = await startIn(folder, ['join', invite!, '--data', 'c.tsv', ...MACHINE], {}, three).done;
const shut = ['--host', '127.0.0.1', '--anyway'];
const third = startIn(folder, ['join', both!, '--data', 'c.tsv', ...shut, ...MACHINE], {}, three);
const [, ofOther] = await said(third, /lets them in[\s\S]*others join.*\n {2}lorikeet join (\S+)/);
await said(third, MET);
third.child.kill('SIGKILL');
await third.done;
const back = startIn(folder, ['join', invite!, '--data', 'c.tsv', ...shut, ...MACHINE], {}, three);
await said(back, MET);
console.log(JSON.stringify({ invite, both, ofOther, alone, first: first.text(), third: third.text() }));
process.exit();
