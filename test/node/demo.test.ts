/** @file The demo, small: it runs to its end, says what it measured as JSON, and a seed repeats its baselines. */
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { splitReviews } from '../../node/texts/reviews.ts';
import { ROOT, temporaryFolder } from '../support.ts';

const folder = temporaryFolder();

function demo(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  return lorikeet('demo', ...args);
}

function lorikeet(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'dist', 'node', 'main.js'), ...args, '--device', 'cpu', '--json'], {
    cwd: folder,
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

const quick = ['--peers', '2', '--rounds', '2', '--local-steps', '2', '--gold', '4', '--seed', 'test'];

test('two peers, two rounds: every figure is there and within its bounds', async () => {
  const { code, out, err } = await demo(...quick, '--out', 'shared');
  assert.is(code, 0, err);
  const result = JSON.parse(out);
  assert.equal([result.peers, result.rounds, result.goldPerPeer, result.testExamples], [2, 2, 8, 600]);
  const { accuracy } = result;
  for (const share of [
    accuracy.base,
    accuracy.baseCalibrated,
    accuracy.alone.mean,
    accuracy.swarm.worst,
    accuracy.swarmAverage,
    accuracy.pooled,
  ]) {
    assert.ok(share > 0.4 && share < 1, out);
  }
  assert.ok(accuracy.baseCalibrated > accuracy.base + 0.1, 'the label prior matters on this base');
  assert.ok(accuracy.swarm.worst <= accuracy.swarm.mean && accuracy.alone.worst <= accuracy.alone.mean);
  assert.ok(result.disagreement < 0.1);
  assert.ok(result.bytesFullParameter / result.bytesPerPeerAndRound > 100);
  assert.ok(existsSync(join(folder, 'shared', 'adapter_model.safetensors')));
  assert.match(err, /round 4 of 4/);
  const { swarm } = result.confusion;
  assert.equal(result.classes, ['negative', 'positive']);
  assert.is(
    swarm.flat().reduce((a: number, b: number) => a + b),
    2 * 600,
  );
  assert.ok(Math.abs((swarm[0][0] + swarm[1][1]) / 1200 - accuracy.swarm.mean) < 1e-9);
  assert.ok(result.balanced.swarm.worst < result.balanced.swarm.mean + 1e-9 && result.majority >= 0.5);
});

test('an adapter is scored class by class; a file without labels is refused with its columns', async () => {
  const texts = ['positive\ta fine film', 'positive\tlovely food', 'positive\ti like it', 'negative\tawful service'];
  writeFileSync(join(folder, 'uneven.tsv'), ['label\ttext', ...texts].join('\n'));
  writeFileSync(join(folder, 'bare.tsv'), ['text', 'a fine film'].join('\n'));
  const { code, out, err } = await lorikeet('eval', '--adapter', 'shared', '--data', 'uneven.tsv');
  assert.is(code, 0, err);
  const { adapter, balanced, majority, confusion, classes } = JSON.parse(out);
  const [[right, wrong], [missed, met]] = confusion.adapter;
  assert.equal([classes, right + wrong, missed + met, majority], [['negative', 'positive'], 1, 3, 0.75]);
  assert.ok(Math.abs(adapter - (right + met) / 4) < 1e-9 && Math.abs(balanced.adapter - (right + met / 3) / 2) < 1e-9);
  const bare = await lorikeet('eval', '--adapter', 'shared', '--data', 'bare.tsv');
  assert.is(bare.code, 2);
  assert.match(bare.err, /bare\.tsv: no row has a label \(columns: text\); wanted labelled texts/);
});

test('labels that the reviews cannot give to so many peers are refused with the number that fits', async () => {
  const { code, err } = await demo('--peers', '64', '--gold', '100');
  assert.is(code, 2, err);
  const [, fits] = /--gold: got 100; the reviews give each of 64 peers \d+ of a class, wanted --gold (\d+)/.exec(err)!;
  const { shares } = splitReviews({ seed: '1', peers: 64, goldPerClass: Number(fits) });
  assert.ok(
    shares.every(({ gold }) => gold.length === 2 * Number(fits)),
    'the same demo, by default of seed 1',
  );
});

test('texts are split without overlap: every peer its own, development and test apart', () => {
  const { shares, development, test: held } = splitReviews({ seed: '7', peers: 6, goldPerClass: 8 });
  const all = [...shares.flatMap((share) => [...share.gold, ...share.unlabelled]), ...development, ...held].map(
    (e) => e.text,
  );
  assert.is(new Set(all).size, all.length);
  assert.is(held.length, 600);
  for (const { gold, unlabelled } of shares) {
    assert.equal([gold.filter((e) => e.y === 0).length, gold.filter((e) => e.y === 1).length], [8, 8]);
    assert.ok(unlabelled.length > 300);
  }
  assert.equal(
    shares.map((share) => share.kind),
    ['products', 'films', 'restaurants', 'products', 'films', 'restaurants'],
  );
  assert.equal(splitReviews({ seed: '7', peers: 6, goldPerClass: 8 }).shares[3]!.gold, shares[3]!.gold);
});

test.run();
