/** @file Files of texts, gzipped or not: what unpacks to far more than text does is refused before it is in memory. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../node/errors.ts';
import { openData } from '../../node/texts/data.ts';
import { readText } from '../../node/texts/textfile.ts';
import { temporaryFolder } from '../support.ts';

const path = join(temporaryFolder(), 'x.tsv.gz');
const told = (bytes: Uint8Array): string => {
  writeFileSync(path, bytes);
  try {
    return readText(path);
  } catch (error) {
    return error instanceof UserError ? error.message.replace(path, 'x') : `no mistake of the user's: ${error}`;
  }
};

test('gzipped text is read, also where it repeats itself', () => {
  assert.is(told(gzipSync('text\n')), 'text\n');
  const long = 'the same again\n'.repeat(100_000);
  assert.ok(told(gzipSync(long)) === long);
});

test('what unpacks to far more than text does is refused, whatever it says of its size', () => {
  const bomb = gzipSync(new Uint8Array(40_000_000).fill(97), { level: 1 });
  const wanted =
    /^x: cannot be read \(its \d+ kB unpack to more than 16\.0 MB, which no text does.*; wanted a UTF-8 file/;
  assert.match(told(bomb), wanted);
  new DataView(bomb.buffer, bomb.byteOffset).setUint32(bomb.length - 4, 10, true);
  assert.match(told(bomb), wanted);
  assert.not.match(told(bomb), /\n/);
});

test('a file that was cut is told from one that is too much', () => {
  const whole = gzipSync('text\n'.repeat(1000));
  for (const length of [2, 12, whole.length - 10, whole.length - 1])
    assert.match(told(whole.subarray(0, length)), /unexpected end of file/);
});

test('a line of JSON nested without end is a bad row', () => {
  const file = path.replace('tsv.gz', 'jsonl');
  const deep = '['.repeat(50_000) + ']'.repeat(50_000);
  writeFileSync(file, `{"text":"a","label":"0"}\n{"text":${deep},"label":"1"}\n`);
  const { rows, bad } = openData(file);
  assert.equal([rows.length, bad], [1, [{ line: 2, problem: 'nested deeper than 20 levels; wanted texts' }]]);
});

test.run();
