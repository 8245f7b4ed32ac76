/** @file What is kept of a base: its hash and its weights, believed while nothing was touched, made by one of many at a time. */
import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { baseVector, openBase } from '../../node/checkpoint/base.ts';
import { BUNDLED } from '../../node/checkpoint/places.ts';
import { stampOf } from '../../node/checkpoint/stamp.ts';
import { WEIGHTS_FILE } from '../../node/checkpoint/weights.ts';
import { fixture, temporaryFolder } from '../support.ts';

/** A cache of its own for what `act` opens. */
async function withCache(act: (root: string) => Promise<void>): Promise<void> {
  const before = process.env.LORIKEET_CACHE;
  const folder = temporaryFolder();
  process.env.LORIKEET_CACHE = folder;
  try {
    await act(join(folder, 'lorikeet'));
  } finally {
    if (before === undefined) delete process.env.LORIKEET_CACHE;
    else process.env.LORIKEET_CACHE = before;
  }
}

test('a hash is remembered of files that lie still, and of none that were just written', () =>
  withCache(async (root) => {
    const memory = join(root, 'hashes.json');
    const fresh = temporaryFolder();
    cpSync(fixture('bert-qv'), fresh, { recursive: true });
    await openBase(fresh);
    assert.not(existsSync(memory));
    const { sha256 } = await openBase(BUNDLED);
    const known = JSON.parse(readFileSync(memory, 'utf8')) as Record<string, string>;
    assert.equal(Object.values(known), [sha256]);
    // Whether it is read: another in its place is believed, one that is none is not.
    const other = 'f'.repeat(64);
    writeFileSync(memory, JSON.stringify({ [Object.keys(known)[0]!]: other }));
    assert.is((await openBase(BUNDLED)).sha256, other);
    for (const spoilt of ['', 'null', '[1]', JSON.stringify({ [Object.keys(known)[0]!]: 'x' })]) {
      writeFileSync(memory, spoilt);
      assert.is((await openBase(BUNDLED)).sha256, sha256, spoilt);
    }
  }));

test('weights are compared with the base only where their stamp is another', () =>
  withCache(async () => {
    const base = await openBase(fixture('llama-qv'));
    const whole = await baseVector(base);
    const path = join(base.cache, WEIGHTS_FILE);
    const stamp = join(base.cache, 'weights.stamp');
    assert.is(readFileSync(stamp, 'utf8'), stampOf(path)!.text);
    writeFileSync(path, readFileSync(path).fill(0, 0, 4));
    writeFileSync(stamp, stampOf(path)!.text);
    assert.is((await baseVector(await openBase(fixture('llama-qv'))))[0], 0);
    writeFileSync(stamp, 'of another file');
    assert.equal(await baseVector(await openBase(fixture('llama-qv'))), whole);
    assert.is(readFileSync(stamp, 'utf8'), stampOf(path)!.text);
  }));

test('many that expand a base at once write it once, and what an ended process left goes', () =>
  withCache(async () => {
    const bases = await Promise.all(Array.from({ length: 4 }, () => openBase(fixture('gpt2-qv'))));
    const { cache } = bases[0]!;
    await bases[0]!.expand();
    const file = statSync(join(cache, WEIGHTS_FILE));
    await Promise.all(bases.map((base) => base.expand()));
    assert.is(statSync(join(cache, WEIGHTS_FILE)).ino, file.ino);
    writeFileSync(join(cache, WEIGHTS_FILE), 'cut');
    writeFileSync(join(cache, `${WEIGHTS_FILE}.1.0.tmp`), 'left by a process that was ended');
    const again = await Promise.all(Array.from({ length: 4 }, () => openBase(fixture('gpt2-qv'))));
    const vectors = await Promise.all(again.map(baseVector));
    for (const vector of vectors) assert.equal(vector, vectors[0]);
    assert.equal(readdirSync(cache).sort(), [WEIGHTS_FILE, 'weights.stamp']);
  }));

test.run();
