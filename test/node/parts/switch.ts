/**
 * @file What test/node/mdns.test.ts runs in its namespaces: machines on one switch find a run without an invite, an open one by its
 * name and a closed one with an invite whose address is not right any more. Prints what was said.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatInvite, parseInvite } from '../../../node/invite.ts';
import { type Ended, MACHINE, type Running, said, startIn } from '../../processes.ts';
import { temporaryFolder } from '../../support.ts';
import { type Machine, openLab, publicMachine } from './lab.ts';

const folder = temporaryFolder();
openLab();
const [one, two, three] = [await publicMachine(1), await publicMachine(2), await publicMachine(3)];
function start(name: string, machine: Machine, args: readonly string[]): Running {
  writeFileSync(join(folder, `${name}.tsv`), 'text\tlabel\nwarm\t1\ndull\t0\n');
  return startIn(folder, [...args, '--data', `${name}.tsv`, '--anyway', ...MACHINE], {}, machine.by);
}
const run = ['up', '--host', '0.0.0.0', '--label-prior', 'off', '--min-peers', '9'];
const open = start('open', one, [...run, '--open', '--run', 'garden']);
const closed = start('closed', two, [...run, '--run', 'kitchen']);
const silent = start('silent', two, [...run, '--run', 'cellar', '--no-lan']);
const [, invite] = await said(closed, /others join.*\n {2}lorikeet join (\S+)/);
for (const peer of [open, silent]) await said(peer, /join with|others join/);
const list: Ended = await start('list', three, ['join']).done;
const without: Ended = await start('without', three, ['join', '--run', 'kitchen']).done;
const { ticket, runId } = parseInvite(invite!);
const moved = formatInvite({
  addresses: parseInvite(invite!).addresses.map((a) => a.replace('10.77.0.2', '10.77.0.9')),
  runId,
  ticket,
});
const meet = (name: string, args: readonly string[]): Promise<RegExpExecArray> =>
  said(start(name, three, ['join', ...args]), /waiting for \d+ more peers: [23] of 9 here/);
await meet('guest', ['--run', 'garden']);
await meet('friend', ['--run', 'kitchen', '--secret', moved]);
await meet('family', ['--run', runId.slice(0, 8), '--secret', moved.slice(moved.indexOf('.AA'))]);
console.log(JSON.stringify({ list: list.err, listCode: list.code, without: without.err }));
process.exit();
