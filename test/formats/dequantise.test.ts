/**
 * @file Weights of every type come out as ggml defines them: blocks worked out by hand, and blocks of random bytes that
 * the Python package gguf 0.19.0 (gguf.quants.dequantize) turned to float32 (test/fixtures/gguf/quants.json).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DEQUANTISERS, readRows } from '../../node/formats/dequantise.ts';
import { GGML_TYPES } from '../../node/formats/ggml.ts';
import { openGguf } from '../../node/formats/gguf.ts';
import { fixture } from '../support.ts';
import { ggufBytes, written } from './parts/writer.ts';

const typeOf = (name: string): number => [...GGML_TYPES].find(([, type]) => type.name === name)![0];

/** The elements of blocks by way of a file of one tensor. */
function through(name: string, data: Uint8Array): number[] {
  const type = GGML_TYPES.get(typeOf(name))!;
  const count = (data.length / type.bytes) * type.block;
  const file = openGguf(written(ggufBytes({}, { w: { type: typeOf(name), lengths: [count], data } })));
  const out = new Float32Array(count).fill(Number.NaN);
  readRows(file, 'w', out);
  return [...out];
}

const ONE = [0x00, 0x3c];
const HALF = [0x00, 0x38];
const MINUS_TWO = [0x00, 0xc0];
const bytes = (...parts: (number | number[])[]): Uint8Array => Uint8Array.from(parts.flat());
const run = (count: number, of: (i: number) => number): number[] => Array.from({ length: count }, (_, i) => of(i));

/** What stands in the pairs of every block: element i is i mod 16 in the first half, 15 - i mod 16 in the second. */
const pairs = run(16, (i) => i | ((15 - i) << 4));
const elements = [...run(16, (i) => i), ...run(16, (i) => 15 - i)];

for (const [name, data, expected] of [
  ['F32', [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], [1, -2]],
  ['F16', [...HALF, ...MINUS_TWO, 1, 0, 0xff, 0x7b, 0x00, 0x7c, 0x00, 0x80], [0.5, -2, 2 ** -24, 65504, Infinity, -0]],
  ['BF16', [0x80, 0x3f, 0x00, 0xc0, 0x01, 0x00, 0x80, 0xff], [1, -2, 2 ** -133, -Infinity]],
  ['Q8_0', [...HALF, ...run(32, (i) => (i % 2 ? 256 - i : i))], run(32, (i) => (i % 2 ? -i : i) / 2)],
  ['Q4_0', [...MINUS_TWO, ...pairs], elements.map((x) => -2 * (x - 8))],
  ['Q4_1', [...HALF, ...MINUS_TWO, ...pairs], elements.map((x) => x / 2 - 2)],
  ['Q5_0', [...ONE, 0x01, 0, 0, 0x80, ...pairs], elements.map((x, i) => x + (i === 0 || i === 31 ? 16 : 0) - 16)],
  [
    'Q5_1',
    [...ONE, ...HALF, 0, 0x80, 1, 0, ...pairs],
    elements.map((x, i) => x + (i === 15 || i === 16 ? 16 : 0) + 0.5),
  ],
] as [string, number[], number[]][]) {
  test(`${name}: a block worked out by hand`, () => assert.equal(through(name, bytes(data)), expected));
}

/** Scales 1, 2, 3, 4, 17, 34, 51, 20 and minimums 5, 6, 7, 8, 9, 26, 43, 60 of the eight groups, in six bits each. */
const SCALES = [1, 2, 3, 4, 17, 34, 51, 20];
const MINIMUMS = [5, 6, 7, 8, 9, 26, 43, 60];
const packed = [
  ...run(4, (i) => SCALES[i]! | ((SCALES[i + 4]! >> 4) << 6)),
  ...run(4, (i) => MINIMUMS[i]! | ((MINIMUMS[i + 4]! >> 4) << 6)),
  ...run(4, (i) => (SCALES[i + 4]! & 15) | ((MINIMUMS[i + 4]! & 15) << 4)),
];

test('Q4_K: a block worked out by hand', () => {
  const data = bytes(HALF, MINUS_TWO, packed, new Array(128).fill(0x3a));
  const expected = run(256, (i) => {
    const group = i >> 5;
    return 0.5 * SCALES[group]! * (group % 2 ? 3 : 10) + 2 * MINIMUMS[group]!;
  });
  assert.equal(through('Q4_K', data), expected);
});

test('Q5_K: a block worked out by hand', () => {
  const fifths = run(32, (i) => (i === 0 ? 0b10000001 : 0b00000010));
  const data = bytes(ONE, ONE, packed, fifths, new Array(128).fill(0x3a));
  const expected = run(256, (i) => {
    const [group, one] = [i >> 5, i & 31];
    const high = one === 0 ? group === 0 || group === 7 : group === 1;
    return SCALES[group]! * ((group % 2 ? 3 : 10) + (high ? 16 : 0)) - MINIMUMS[group]!;
  });
  assert.equal(through('Q5_K', data), expected);
});

test('Q6_K: a block worked out by hand', () => {
  const scales = run(16, (i) => (i % 2 ? 256 - i : i));
  const data = bytes(new Array(128).fill(0x3a), new Array(64).fill(0b11100100), scales, HALF);
  const expected = run(256, (i) => {
    const part = (i >> 5) & 3;
    const scale = (i >> 4) % 2 ? -(i >> 4) : i >> 4;
    return 0.5 * scale * ((part < 2 ? 10 : 3) + part * 16 - 32);
  });
  assert.equal(through('Q6_K', data), expected);
});

const golden: Record<string, { bytes: string; floats: string }> = JSON.parse(
  readFileSync(join(fixture('gguf'), 'quants.json'), 'utf8'),
);

test('every type but F32 has blocks of another reader', () => {
  assert.equal(
    Object.keys(golden).sort(),
    Object.keys(DEQUANTISERS)
      .filter((name) => name !== 'F32')
      .sort(),
  );
});

for (const [name, block] of Object.entries(golden)) {
  test(`${name}: random blocks come out bit for bit as gguf's own reader has them`, () => {
    const floats = Uint8Array.from(Buffer.from(block.floats, 'base64'));
    const got = Float32Array.from(through(name, Buffer.from(block.bytes, 'base64')));
    assert.equal([...new Uint32Array(got.buffer)], [...new Uint32Array(floats.buffer)]);
  });
}

test('rows of a matrix are read alone', () => {
  const data = new Uint8Array(34 * 2 * 3).map((_, i) => (i % 34 === 1 ? 0x3c : i % 34 === 0 ? 0 : i % 127));
  const file = openGguf(written(ggufBytes({}, { w: { type: 8, lengths: [64, 3], data } })));
  const all = new Float32Array(192);
  readRows(file, 'w', all);
  const middle = new Float32Array(70).fill(9);
  readRows(file, 'w', middle, { begin: 1, end: 2 });
  assert.equal([...middle], [...all.subarray(64, 128), ...new Array(6).fill(9)]);
  assert.throws(() => readRows(file, 'w', middle, { begin: 1, end: 3 }), RangeError);
  assert.throws(() => readRows(file, 'w', all, { begin: 2, end: 4 }), RangeError);
  assert.throws(() => readRows(file, 'v', all), /tensor v is missing/);
});

test('a tensor of several pieces is read whole', () => {
  const numbers = Float32Array.from({ length: 300_000 }, (_, i) => i);
  const head = ggufBytes({}, { w: { type: 0, lengths: [numbers.length], data: new Uint8Array(4) } });
  const file = openGguf(written(Buffer.concat([head.subarray(0, -32), new Uint8Array(numbers.buffer)])));
  const out = new Float32Array(numbers.length);
  readRows(file, 'w', out);
  assert.ok(out.every((x, i) => x === i));
});

test('a type that is not understood is refused by its name', () => {
  const file = openGguf(written(ggufBytes({}, { w: { type: 20, lengths: [32], data: new Uint8Array(18) } })));
  assert.throws(
    () => readRows(file, 'w', new Float32Array(32)),
    /tensor w is stored as IQ4_NL; wanted one of F32, F16, .*another quantisation/,
  );
});

test.run();
