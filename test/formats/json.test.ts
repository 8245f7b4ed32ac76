/** @file Files of JSON and files as a whole: bounded in bytes and in depth, each name once. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../node/errors.ts';
import { readBounded } from '../../node/formats/bounded.ts';
import { readJsonObject, repeatedKey } from '../../node/formats/json.ts';
import { temporaryFolder } from '../support.ts';

const path = join(temporaryFolder(), 'x.json');
const told = (text: string): string => {
  writeFileSync(path, text);
  try {
    return JSON.stringify(readJsonObject(path, 'an object', 10_000));
  } catch (error) {
    return error instanceof UserError ? error.message.replace(path, 'x') : `no mistake of the user's: ${error}`;
  }
};
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

test('an object is read; what is longer, deeper or no object is refused in one line', () => {
  assert.is(told('\ufeff{"a": [1]}'), '{"a":[1]}');
  assert.is(told(`{"a":${nested(99)}}`).length, 6 + 198);
  assert.is(told(`{"a":${nested(100)}}`), 'x: is nested deeper than 100 levels; wanted an object');
  assert.is(told(`{"a":${nested(4900)}}`), 'x: is nested deeper than 100 levels; wanted an object');
  assert.is(told(`{"a":"${'['.repeat(200)}"}`).length, 208, 'what is text does not count');
  assert.match(told(`{"a":"${'y'.repeat(10_000)}"}`), /^x: cannot be read \(it is longer than 10 kB, the most/);
  assert.match(told('[1]'), /^x: holds no JSON object/);
  assert.match(told('{"a":1'), /^x: cannot be read/);
});

test('a key that stands twice is found in the outermost object alone, however it is written', () => {
  assert.is(repeatedKey('{"a":1,"b":{"a":1,"a":2},"c":["a","a"]}'), null);
  assert.is(repeatedKey('{"a":"a","b":"\\"a\\":", "\\u0061" : 2}'), 'a');
  assert.is(repeatedKey('{"__proto__":1, "x\\\\":2, "__proto__"\n:3}'), '__proto__');
  assert.is(repeatedKey(`{"a":"${'\\"'.repeat(1_000_000)}","a":1}`), 'a', 'a long text fills no stack');
});

test('a file is read whole up to a bound, also one that grows or has no end', () => {
  for (const length of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
    writeFileSync(path, new Uint8Array(length).fill(7));
    const bytes = readBounded(path, 200_000);
    assert.ok(bytes.length === length && bytes.every((byte) => byte === 7), `${length} bytes`);
  }
  assert.throws(() => readBounded(path, 199_999), /longer than 200 kB/);
  if (process.platform === 'linux') {
    assert.throws(() => readBounded('/dev/zero', 200_000), /longer than/);
    assert.ok(readBounded('/proc/self/stat', 200_000).length > 0, 'a file that says it has no bytes');
  }
  mkdirSync(`${path}.d`);
  assert.throws(() => readBounded(`${path}.d`, 200_000), /EISDIR/);
});

test.run();
