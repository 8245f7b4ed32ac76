/** @file Folders that are made, and those that cannot be. */
import { existsSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

test.run();
