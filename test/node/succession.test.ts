/** @file Runs after runs: who comes late is served the result, rounds are raised, and a run starts from an adapter. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MACHINE, type Running, said, startIn, writeTexts } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
const QUICK = [
  '--closing-rounds',
  '0',
  '--local-steps',
  '1',
  '--label-prior',
  'off',
  '--codec',
  'f32',
  '--rejoin-ms',
  '500',
];
const start = (...args: string[]): Running => startIn(folder, [...args, ...MACHINE]);
const write = (name: string, ...texts: string[]): void => writeTexts(folder, name, texts);
const weightsOf = (state: string, adapter = 'adapter'): Buffer =>
  readFileSync(join(folder, state, adapter, 'adapter_model.safetensors'));
const runOf = (state: string): { settings: Record<string, unknown> } =>
  JSON.parse(readFileSync(join(folder, state, 'run.json'), 'utf8'));
const INVITE = /lorikeet join (\S+)/;

write('a.tsv', 'a dull film', 'a warm film');
write('b.tsv', 'cold food', 'kind staff');

test('who comes when the run is over gets its result from the one that serves it', async () => {
  const alone = await start('up', '--data', 'a.tsv', '--min-peers', '1', '--rounds', '2', ...QUICK).done;
  assert.is(alone.code, 0, alone.err);
  const server = start('up', '--data', 'a.tsv', '--serve');
  const [, invite] = await said(server, INVITE);
  const late = await start('join', invite!, '--data', 'b.tsv').done;
  server.child.kill('SIGINT');
  await server.done;
  assert.is(late.code, 0, late.err);
  assert.match(late.out, /came late: went on with the adapter of 12D3/);
  assert.ok(weightsOf('b.tsv.lorikeet').equals(weightsOf('a.tsv.lorikeet')));
});

test('more rounds on a finished state are another run that starts from its adapter, which joiners fetch', async () => {
  const before = [weightsOf('a.tsv.lorikeet'), runOf('a.tsv.lorikeet').settings] as const;
  const more = ['--rounds', '4', '--min-peers', '2'];
  const first = start('up', '--data', 'a.tsv', ...more);
  const [, invite] = await said(first, INVITE);
  first.child.kill('SIGINT');
  const stopped = await first.done;
  assert.match(stopped.err, /run [0-9a-f]{32} is over; another goes on from its adapter for 2 more rounds/);
  const again = start('up', '--data', 'a.tsv', ...more);
  const [, same] = await said(again, INVITE);
  assert.is(same!.split('#')[1]!.slice(0, 32), invite!.split('#')[1]!.slice(0, 32), 'started again it is the same run');
  // Its own earlier run is over too, so its state may become that of the new one.
  const second = start('join', same!, '--data', 'b.tsv');
  const [a, b] = await Promise.all([again.done, second.done]);
  assert.equal([a.code, b.code], [0, 0], a.err + b.err);
  assert.match(b.err, /run [0-9a-f]{32} is over; its place is taken by run/);
  for (const state of ['a.tsv.lorikeet', 'b.tsv.lorikeet']) {
    const { settings } = runOf(state);
    assert.is(settings.rounds, 2);
    assert.match(String(settings.startHash), /^[0-9a-f]{64}$/);
    assert.is.not(settings.nonce, before[1].nonce);
    const kept = `adapter-${JSON.parse(readFileSync(join(folder, state, 'adapter', 'lorikeet.json'), 'utf8')).runId.slice(0, 8)}`;
    assert.not.ok(existsSync(join(folder, state, kept)));
  }
  assert.is.not(Buffer.compare(weightsOf('a.tsv.lorikeet'), before[0]), 0, 'it has learned');
});

test('a run starts from any adapter and takes its task along; a flag that contradicts its shape is refused', async () => {
  const from = join('a.tsv.lorikeet', 'adapter');
  const wrong = await start('up', '--data', 'b.tsv', '--state', 'c', '--from', from, '--rank', '2').done;
  assert.is(wrong.code, 2);
  assert.match(wrong.err, /--from a\.tsv\.lorikeet\/adapter: its rank is \d+; got --rank 2, which can be left out/);
  assert.not.ok(existsSync(join(folder, 'c')));
  const args = ['--data', 'b.tsv', '--state', 'c', '--from', from, '--min-peers', '1', '--rounds', '1'];
  const { code, err } = await start('up', ...args, '--learning-rate', '1e-9', '--closing-rounds', '0').done;
  assert.is(code, 0, err);
  assert.is(runOf('c').settings.labelPrior, runOf('a.tsv.lorikeet').settings.labelPrior);
  const [from32, to32] = [weightsOf('a.tsv.lorikeet'), weightsOf('c')].map(floats);
  const apart = Math.max(...to32!.map((x, i) => Math.abs(x - from32![i]!)));
  assert.ok(apart < 1e-5, `hardly moved: ${apart}`);
});

/** The numbers of a safetensors file of float32. */
function floats(bytes: Buffer): Float32Array {
  const begin = 8 + Number(bytes.readBigUInt64LE(0));
  return new Float32Array(Uint8Array.from(bytes.subarray(begin)).buffer);
}

test.run();
