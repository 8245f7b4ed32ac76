/** @file Folders that are made, and those that cannot be; files that threads write at once. */
import { existsSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFolder } from '../../node/atomic.ts';
import { codeOf } from '../../node/errors.ts';
import { temporaryFolder } from '../support.ts';

const codeFrom = (folder: string): string => {
  try {
    makeFolder(folder);
    return 'made';
  } catch (error) {
    return codeOf(error);
  }
};

test('a folder is made with those above it, once', () => {
  const folder = join(temporaryFolder(), 'a', 'b', 'c');
  assert.is(codeFrom(folder), 'made');
  assert.is(codeFrom(folder), 'made');
  assert.ok(existsSync(folder));
  rmdirSync(folder);
  assert.is(codeFrom(`${folder}/`), 'made');
});

test('what cannot be made is said by the system, at once', () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'file'), '');
  assert.match(codeFrom(join(folder, 'file', 'x')), /ENOTDIR|EEXIST/);
  assert.is(codeFrom(join(folder, 'file')), 'EEXIST');
  if (existsSync('/proc/self')) assert.match(codeFrom('/proc/lorikeet/x'), /^E/);
});

test("threads of one process that write the same file are not in each other's way", async () => {
  const path = join(temporaryFolder(), 'shared');
  const code = `
    const { workerData } = require('node:worker_threads');
    import(workerData.module).then(async ({ writeFileAtomic }) => {
      for (let i = 0; i < 40; i++) await writeFileAtomic(workerData.path, 'whole');
    });`;
  const module = new URL('../../node/atomic.js', import.meta.url).href;
  const ends = [0, 1, 2].map(
    () =>
      new Promise<string>((resolve) => {
        const worker = new Worker(code, { eval: true, workerData: { module, path } });
        worker.on('error', (error) => resolve(String(error))).on('exit', (status) => resolve(`ended with ${status}`));
      }),
  );
  assert.equal(await Promise.all(ends), Array(3).fill('ended with 0'));
  assert.is(readFileSync(path, 'utf8'), 'whole');
});

test.run();
