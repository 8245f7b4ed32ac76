/** @file Runs and states as a user meets them: one run is not another, a state knows its texts, nobody waits for ever. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MACHINE, type Running, said, startIn, writeTexts } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
const ALONE = [
  '--min-peers',
  '1',
  '--rounds',
  '1',
  '--closing-rounds',
  '0',
  '--local-steps',
  '1',
  '--label-prior',
  'off',
];
const start = (...args: string[]): Running => startIn(folder, [...args, ...MACHINE]);
const write = (name: string, ...texts: string[]): void => writeTexts(folder, name, texts);
write('a.tsv', 'a dull film', 'a warm film');
write('b.tsv', 'cold food', 'kind staff');

test('the state lies beside the data under its whole name; a run alone says that nothing was mixed', async () => {
  const { code, out } = await start('up', '--data', 'a.tsv', ...ALONE).done;
  assert.is(code, 0, 'alone on purpose');
  assert.match(out, /nothing was mixed with anybody/);
  assert.ok(existsSync(join(folder, 'a.tsv.lorikeet', 'adapter', 'adapter_model.safetensors')));
});

test('a run that is over is not begun again; elsewhere the same command begins another', async () => {
  const again = await start('up', '--data', 'a.tsv', ...ALONE).done;
  assert.is(again.code, 3);
  assert.match(again.err, /a\.tsv\.lorikeet: run [0-9a-f]{32} is over.*--serve.*another --state/);
  const other = await start('up', '--data', 'a.tsv', '--state', 'other', ...ALONE).done;
  assert.is(other.code, 0);
  const runOf = (state: string): string =>
    JSON.parse(readFileSync(join(folder, state, 'adapter', 'lorikeet.json'), 'utf8')).runId;
  assert.is.not(runOf('other'), runOf('a.tsv.lorikeet'));
});

test('texts that have changed since are told by how much, and taken on purpose only', async () => {
  const first = start('up', '--data', 'b.tsv', '--label-prior', 'off', '--rounds', '1', '--closing-rounds', '0');
  await said(first, /lorikeet join \S+#/);
  first.child.kill('SIGINT');
  await first.done;
  write('b.tsv', 'cold food', 'kind staff', 'slow service');
  const changed = await start('up', '--data', 'b.tsv').done;
  assert.is(changed.code, 3);
  assert.match(changed.err, /it has learned from 2 rows; b\.tsv still has 2 of them, and 1 new; --continue/);
  const goesOn = await start('up', '--data', 'b.tsv', '--continue', '--wait', '1').done;
  assert.match(goesOn.err, /going on with them/);
  assert.is(goesOn.code, 4, 'and nobody comes');
});

test('who comes back says within its wait that nobody answers where, and ends', async () => {
  const first = start('up', '--data', 'a.tsv', '--state', 'first', '--min-peers', '3', '--label-prior', 'off');
  const [, invite] = await said(first, /lorikeet join (\S+#\S+)/);
  const second = start('join', invite!, '--data', 'b.tsv', '--state', 'second');
  await said(second, /waiting for 1 more peer: 2 of 3 here/);
  for (const { child, done } of [second, first]) {
    child.kill('SIGINT');
    await done;
  }
  const port = Number(/tcp\/(\d+)/.exec(invite!)![1]);
  assert.is(JSON.parse(readFileSync(join(folder, 'first', 'run.json'), 'utf8')).port, port, 'to come back to');
  const back = await start('join', invite!, '--data', 'b.tsv', '--state', 'second', '--wait', '2').done;
  assert.is(back.code, 4);
  assert.match(
    back.err,
    /nobody answers at \/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/\S+ \(.*ECONNREFUSED.*\); trying again, \d+ s left/,
  );
  assert.match(back.err, /nobody came in 2 s: 1 of 3 peers here; the state is kept in second/);
});

test.run();
