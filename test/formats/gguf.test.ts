/** @file GGUF files are read by range, and those that are not what they seem are refused by name before anything is held. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../node/errors.ts';
import { ggufValue, openGguf } from '../../node/formats/gguf.ts';
import { ggufBytes, string, type Typed, u32, u64, type Written, written } from './parts/writer.ts';

const refusal = (bytes: Uint8Array, use: (path: string) => unknown = openGguf): string => {
  const path = written(bytes);
  try {
    use(path);
  } catch (error) {
    assert.instance(error, UserError, String(error));
    const { message } = error as Error;
    assert.ok(message.startsWith(`${path}: `) && !message.includes('\n'), message);
    return message;
  }
  return 'taken';
};
const floats = (count: number, offset?: number): Written => ({
  type: 0,
  lengths: [count],
  data: new Uint8Array(4 * count).fill(1),
  ...(offset === undefined ? {} : { offset }),
});

test('every type of value is read, of both versions, lists in lists among them', () => {
  const values: Record<string, [Typed, unknown]> = {
    a: [[0, 255], 255],
    b: [[1, -128], -128],
    c: [[2, 65535], 65535],
    d: [[3, -2], -2],
    e: [[4, 4294967295], 4294967295],
    f: [[5, -5], -5],
    g: [[6, 0.5], 0.5],
    h: [[7, true], true],
    i: [[8, '\ufeffé▁\n'], '\ufeffé▁\n'],
    j: [[10, 2 ** 53 - 1], 2 ** 53 - 1],
    k: [[10, 2n ** 64n - 1n], 2n ** 64n - 1n],
    l: [[11, -1n], -1],
    m: [[12, 0.1], 0.1],
    n: [
      [9, [8, ['x', '', 'yz']]],
      ['x', '', 'yz'],
    ],
    o: [
      [9, [5, [-1, 2]]],
      [-1, 2],
    ],
    p: [
      [
        9,
        [
          9,
          [
            [4, [1, 2]],
            [8, ['q']],
          ],
        ],
      ],
      [[1, 2], ['q']],
    ],
    q: [
      [9, [7, [true, false]]],
      [true, false],
    ],
    r: [[9, [8, []]], []],
  };
  const keys = Object.fromEntries(Object.entries(values).map(([key, [typed]]) => [key, typed]));
  for (const version of [2, 3]) {
    const file = openGguf(written(ggufBytes(keys, {}, { version })));
    assert.is(file.version, version);
    for (const [key, [, value]] of Object.entries(values)) assert.equal(file.value(key), value, key);
    assert.is(file.value('none'), undefined);
  }
});

test('a value of another kind than wanted is refused by its key and type', () => {
  const path = written(ggufBytes({ 'a.b': [9, [8, ['x']]] }));
  assert.equal(ggufValue(openGguf(path), 'a.b', 'texts'), ['x']);
  assert.is(ggufValue(openGguf(path), 'a.c', 'texts'), undefined);
  assert.throws(() => ggufValue(openGguf(path), 'a.b', 'number'), /a\.b is of type string\[\]; wanted number/);
});

test('tensors have their rows first, and stand where the alignment puts them', () => {
  for (const alignment of [8, 32, 1024]) {
    const keys: Record<string, Typed> = { 'general.alignment': [4, alignment] };
    const data = Uint8Array.from({ length: 24 }, (_, i) => i);
    const file = openGguf(
      written(ggufBytes(keys, { one: { type: 0, lengths: [2, 3], data }, two: floats(1) }, { alignment })),
    );
    const { shape, type, begin, end } = file.tensors.get('one')!;
    assert.equal([shape, type.name, begin % alignment, end - begin], [[3, 2], 'F32', 0, 24]);
    assert.equal(file.read(begin, end), data);
    assert.equal(file.read(file.tensors.get('two')!.begin, file.tensors.get('two')!.end), new Uint8Array(4).fill(1));
  }
});

const header = (tensors: number | bigint, keys: number | bigint, rest: number[]): Uint8Array =>
  Uint8Array.from([...u32(0x46554747), ...u32(3), ...u64(tensors), ...u64(keys), ...rest]);
const hugeList = (inner: number, count: bigint): Uint8Array =>
  header(0, 1, [...string('k'), ...u32(9), ...u32(inner), ...u64(count)]);
const nested = (depth: number): Typed => (depth === 0 ? [9, [0, []]] : [9, [9, [nested(depth - 1)[1]]]]);
const block: Written = { type: 2, lengths: [32], data: new Uint8Array(18) };

for (const [what, bytes, pattern] of [
  ['is empty', new Uint8Array(0), /0 bytes; wanted a header of 24/],
  ['is something else', new TextEncoder().encode('{"a": 1, "b": 2, "c": 3, "d": 4}'), /begins with "\{.*wanted "GGUF"/],
  [
    'is a pointer',
    new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid'),
    /Git LFS.*git lfs pull/,
  ],
  ['is a web page', new TextEncoder().encode('<!DOCTYPE html><html><body></body>'), /a web page/],
  ['is old', ggufBytes({}, {}, { version: 1 }), /version 1; wanted 2 or 3/],
  ['is big-endian', ggufBytes({}, {}, { version: 0x03000000 }), /big-endian; wanted little-endian/],
  ['says too many keys', header(0, 2n ** 63n, []), /keys; wanted at most 4096/],
  ['says too many tensors', header(2n ** 40n, 0, []), /tensors; wanted at most 16384/],
  ['ends in a key', header(0, 1, [...u64(10), 97]), /key 0 at byte 32 wants 10 bytes, got 1/],
  ['has a key without a name', header(0, 1, u64(0)), /key 0 has 0 bytes/],
  ['has a key that is no text', header(0, 1, [...u64(1), 0xff, ...u32(0), 0]), /key 0 at byte 32 is not UTF-8/],
  [
    'has a key that moves the cursor',
    header(0, 1, [...string('k\u001b[2J'), ...u32(0), 0]),
    /key 0 holds control characters/,
  ],
  [
    'has a key twice',
    header(
      0,
      2,
      [1, 2].flatMap(() => [...string('k'), ...u32(0), 7]),
    ),
    /key k stands twice/,
  ],
  ['has a value of no type', header(0, 1, [...string('k'), ...u32(13)]), /k has type 13, which is not known/],
  ['has a text beyond its end', header(0, 1, [...string('k'), ...u32(8), ...u64(2n ** 62n)]), /k at byte 45 wants/],
  ['has a list beyond its end', hugeList(4, 2n ** 61n), /k at byte 49 wants \d+ bytes, got 0/],
  ['has a list of texts beyond its end', hugeList(8, 2n ** 61n), /the length of k at byte 49 wants 4 bytes, got 0/],
  ['has a list of no type', hugeList(77, 1n), /k has elements of type 77/],
  ['has lists too deep', ggufBytes({ k: nested(6) }), /lists in lists more than 4 deep/],
  [
    'has an odd alignment',
    ggufBytes({ 'general.alignment': [4, 24] }),
    /general\.alignment is 24; wanted a power of two/,
  ],
  [
    'has an alignment of text',
    ggufBytes({ 'general.alignment': [9, [8, []]] }),
    /general\.alignment is a string\[\]; wanted/,
  ],
  ['is one of many', ggufBytes({ 'split.count': [2, 3] }), /one of 3 parts; wanted one file/],
  [
    'has a tensor beyond its end',
    ggufBytes({}, { a: floats(8) }).subarray(0, -4),
    /tensor a ends at byte \d+; the file/,
  ],
  [
    'has bytes left',
    Uint8Array.from([...ggufBytes({}, { a: floats(8) }), 0]),
    /1 bytes after tensor a belong to nothing/,
  ],
  [
    'has a gap',
    ggufBytes({}, { a: floats(8), b: floats(8, 64), c: floats(8, 96) }),
    /32 bytes between tensor a and tensor b/,
  ],
  ['has an overlap', ggufBytes({}, { a: floats(16), b: floats(8, 32) }), /tensor b overlaps tensor a/],
  [
    'has a tensor off its line',
    ggufBytes({}, { a: floats(16), b: floats(8, 60) }),
    /tensor b begins at 60; wanted a multiple of 32/,
  ],
  ['has a type of no name', ggufBytes({}, { a: { ...block, type: 4 } }), /tensor a has type 4, which is not known/],
  [
    'has half a block',
    ggufBytes({}, { a: { ...block, lengths: [31] } }),
    /rows of 31; wanted whole blocks of 32, as Q4_0/,
  ],
  ['has no shape', ggufBytes({}, { a: { ...block, lengths: [] } }), /tensor a has 0 dimensions/],
  ['has an empty tensor', ggufBytes({}, { a: { ...block, lengths: [32, 0] } }), /tensor a has a length of 0/],
  [
    'has a shape whose product is too large',
    ggufBytes({}, { a: { ...block, lengths: [2 ** 40, 2 ** 40] } }),
    /length of 1099511627776/,
  ],
  ['has a name too long', ggufBytes({}, { ['n'.repeat(64)]: block }), /name of tensor 0 has 64 bytes; wanted 1 to 63/],
] as [string, Uint8Array, RegExp][]) {
  test(`a file that ${what} is refused by name`, () => assert.match(refusal(bytes), pattern));
}

test('a tensor twice is refused, and so is a folder and what is not there', () => {
  const bytes = ggufBytes({}, { a: floats(8), b: floats(8) });
  bytes[bytes.indexOf(98)] = 97;
  assert.match(refusal(bytes), /tensor a stands twice/);
  assert.throws(() => openGguf('/nowhere/x.gguf'), /^\/nowhere\/x\.gguf: cannot be read/);
  assert.throws(() => openGguf('/'), /cannot be read/);
});

test('a text that is no UTF-8 is refused when it is asked for', () => {
  const bytes = header(0, 1, [...string('k'), ...u32(8), ...u64(1), 0xff]);
  assert.match(
    refusal(bytes, (path) => openGguf(path).value('k')),
    /k: the text at byte 45 is not UTF-8/,
  );
});

test.run();
