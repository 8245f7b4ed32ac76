/** @file The values of a GGUF file's metadata: passed over on opening, so that only their places are kept, decoded later. */
import { isUtf8 } from 'node:buffer';
import type { ReadRange, Walk } from './ranges.ts';

/** Whole numbers of 64 bits are bigint only where a number could not hold them exactly. */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[];

/** Where a value stands in the file. */
export interface ValuePlace {
  /** For messages: "u32", "string", "string[]". */
  readonly type: string;
  readonly id: number;
  readonly begin: number;
  readonly end: number;
}

interface Scalar {
  readonly name: string;
  readonly bytes: number;
  readonly get: (view: DataView, at: number) => GgufValue;
}

const exact = (big: bigint): number | bigint => (Number.isSafeInteger(Number(big)) ? Number(big) : big);

const SCALARS: Readonly<Record<number, Scalar>> = {
  0: { name: 'u8', bytes: 1, get: (view, at) => view.getUint8(at) },
  1: { name: 'i8', bytes: 1, get: (view, at) => view.getInt8(at) },
  2: { name: 'u16', bytes: 2, get: (view, at) => view.getUint16(at, true) },
  3: { name: 'i16', bytes: 2, get: (view, at) => view.getInt16(at, true) },
  4: { name: 'u32', bytes: 4, get: (view, at) => view.getUint32(at, true) },
  5: { name: 'i32', bytes: 4, get: (view, at) => view.getInt32(at, true) },
  6: { name: 'f32', bytes: 4, get: (view, at) => view.getFloat32(at, true) },
  7: { name: 'bool', bytes: 1, get: (view, at) => view.getUint8(at) !== 0 },
  10: { name: 'u64', bytes: 8, get: (view, at) => exact(view.getBigUint64(at, true)) },
  11: { name: 'i64', bytes: 8, get: (view, at) => exact(view.getBigInt64(at, true)) },
  12: { name: 'f64', bytes: 8, get: (view, at) => view.getFloat64(at, true) },
};
const STRING = 8;
const ARRAY = 9;

const MAX_DEPTH = 4;
/** Enough for the merges of the largest vocabularies; what is asked for beyond is refused before it is read. */
const MAX_VALUE_BYTES = 1 << 24;
const MAX_ELEMENTS = 1 << 20;
/** What a list in a list takes beside a number in one. */
const LIST_ELEMENTS = 16;

type Fail = (problem: string) => never;

/** Passes over the value of a key, its type first, and tells where it stands. */
export function skipValue(walk: Walk, key: string, fail: Fail): ValuePlace {
  const id = walk.u32(`the type of ${key}`);
  const begin = walk.at();
  const type = skipBody(walk, id, { key, fail, depth: 0 });
  return { type, id, begin, end: walk.at() };
}

function skipBody(walk: Walk, id: number, within: { key: string; fail: Fail; depth: number }): string {
  const { key, fail, depth } = within;
  const scalar = SCALARS[id];
  if (scalar) {
    walk.skip(scalar.bytes, key);
    return scalar.name;
  }
  if (id === STRING) {
    walk.skip(walk.u64(`the length of ${key}`), key);
    return 'string';
  }
  if (id !== ARRAY) return fail(`${key} has type ${id}, which is not known`);
  if (depth === MAX_DEPTH) fail(`${key} has lists in lists more than ${MAX_DEPTH} deep`);
  const inner = walk.u32(`the type of the elements of ${key}`);
  const count = walk.u64(`the number of elements of ${key}`);
  const fixed = SCALARS[inner];
  if (fixed) {
    walk.skip(count * fixed.bytes, key);
    return `${fixed.name}[]`;
  }
  if (inner !== STRING && inner !== ARRAY) fail(`${key} has elements of type ${inner}, which is not known`);
  // Every element begins with a length: a count that the file cannot hold ends the walk when the file does.
  for (let i = 0; i < count; i++) skipBody(walk, inner, { key, fail, depth: depth + 1 });
  return inner === STRING ? 'string[]' : 'list[]';
}

/** The value at a place that was passed over before. */
export function decodeValue(read: ReadRange, place: ValuePlace, fail: Fail): GgufValue {
  const size = place.end - place.begin;
  if (size > MAX_VALUE_BYTES) fail(`${size} bytes; wanted at most ${MAX_VALUE_BYTES}`);
  const bytes = Buffer.from(read(place.begin, place.end).buffer);
  const view = new DataView(bytes.buffer);
  let at = 0;
  let elements = 0;
  const length = (): number => {
    at += 8;
    return Number(view.getBigUint64(at - 8, true));
  };
  const text = (): string => {
    const end = length() + at;
    if (!isUtf8(bytes.subarray(at, end))) fail(`the text at byte ${place.begin + at} is not UTF-8`);
    const found = bytes.toString('utf8', at, end);
    at = end;
    return found;
  };
  const decode = (id: number): GgufValue => {
    const scalar = SCALARS[id];
    if (scalar) {
      at += scalar.bytes;
      return scalar.get(view, at - scalar.bytes);
    }
    if (id === STRING) return text();
    const inner = view.getUint32(at, true);
    at += 4;
    const count = length();
    elements += inner === ARRAY ? LIST_ELEMENTS * count : count;
    if (elements > MAX_ELEMENTS) fail(`${elements} elements; wanted at most ${MAX_ELEMENTS}`);
    return Array.from({ length: count }, () => decode(inner));
  };
  return decode(place.id);
}
