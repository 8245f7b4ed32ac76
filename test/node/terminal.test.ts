/** @file Commands in a terminal: closed pipes and hang-ups end quietly, with the state kept. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Running, said, startIn } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
writeFileSync(join(folder, 'a.tsv'), 'label\ttext\n1\ta great film\n0\twhat a bad meal\n1\ta fine song\n');
const start = (...args: string[]): Running => startIn(folder, args);
const PEER = ['--data', 'a.tsv', '--device', 'cpu', '--threads', '1', '--label-prior', '0,0'];

test('a peer whose stderr nobody reads any more stops quietly and keeps its state', async () => {
  const peer = start('up', ...PEER, '--state', 'pipe.lorikeet', '--min-peers', '1', '--rounds', '100000');
  await said(peer, /lorikeet join/);
  peer.child.stderr!.destroy();
  const { code, out } = await peer.done;
  assert.equal([code, out], [130, '']);
  assert.ok(existsSync(join(folder, 'pipe.lorikeet', 'snapshot.bin')));
  assert.not.ok(existsSync(join(folder, 'pipe.lorikeet', 'lock')));
});

test('a demo whose stderr is closed in the middle of its training stops its worker and ends', async () => {
  const demo = start('demo', '--peers', '2', '--rounds', '500', '--device', 'cpu', '--threads', '1');
  await said(demo, /round 1 of/);
  demo.child.stderr!.destroy();
  const { code, out } = await demo.done;
  assert.equal([code, out], [130, '']);
});

test('a result whose reader has gone is dropped without a word', async () => {
  const scenario = 'name: two\npeers: 2\nsize: 4\nseeds: [1]\nsettings: { rounds: 2 }\n';
  writeFileSync(join(folder, 'two.yaml'), scenario);
  const sim = start('sim', 'two.yaml', '--json', '--out', 'results');
  sim.child.stdout!.destroy();
  const { code, err } = await sim.done;
  assert.is(code, 0, err);
  assert.not.match(err, /EPIPE|Error|at .*\.js/);
  assert.ok(readdirSync(join(folder, 'results')).includes('two.jsonl'), 'the records are written all the same');
});

test('a terminal that closes (SIGHUP) stops a peer as SIGTERM does: state kept, and it goes on from there', async () => {
  const args = [...PEER, '--state', 'hup.lorikeet', '--min-peers', '1', '--rounds', '100000'];
  for (const signal of ['SIGHUP', 'SIGTERM'] as const) {
    const peer = start('up', ...args);
    await said(peer, /round [1-9]\d* of/);
    peer.child.kill(signal);
    const { code, err } = await peer.done;
    assert.is(code, 130, err);
    assert.match(err, /stopped at round [1-9]\d*; the same command goes on from there/);
    assert.not.ok(existsSync(join(folder, 'hup.lorikeet', 'lock')));
  }
});

test.run();
