/** @file Reads and writes safetensors: an 8-byte little-endian header length, a JSON header, raw little-endian data. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { messageOf, UserError } from '../errors.ts';
import { DEQUANTISERS } from './dequantise.ts';
import { repeatedKey } from './json.ts';
import { type ReadRange, rangesOf } from './ranges.ts';

export interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes of the file that hold it. */
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  /** A copy of the bytes [begin, end) of the file. */
  readonly read: ReadRange;
}

const BYTES: Readonly<Record<string, number>> = { F64: 8, F32: 4, F16: 2, BF16: 2 };
const MAX_HEADER_BYTES = 100_000_000;

/** Opens a file: reads its header and checks every entry's place and size; data is read tensor by tensor. */
export function openSafetensors(path: string): SafetensorsFile {
  const ranges = rangesOf(path);
  const guarded = <T>(use: () => T): T => {
    try {
      return use();
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new UserError('usage', `${path}: cannot be read (${messageOf(error)})`);
    }
  };
  const read: ReadRange = (begin, end) => guarded(() => ranges(begin, end));
  return guarded(() => parseHeader(path, statSync(path).size, read));
}

/** Several files as one: what `NAME.index.json` lists, each tensor in the file it names. Throws a UserError by name. */
export function openShards(folder: string, index: string): SafetensorsFile {
  const path = join(folder, index);
  const bad = (problem: string): never => {
    throw new UserError('usage', `${path}: ${problem}; fetch the model again`);
  };
  let map: Record<string, unknown> = {};
  try {
    map = (JSON.parse(readFileSync(path, 'utf8')) as { weight_map: Record<string, unknown> }).weight_map ?? {};
  } catch (error) {
    bad(`not an index of safetensors (${messageOf(error)})`);
  }
  const names = [...new Set(Object.values(map))].map((name) =>
    typeof name === 'string' && basename(name) === name ? name : bad(`names the file ${JSON.stringify(name)}`),
  );
  const shards = names.map((name) =>
    existsSync(join(folder, name)) ? openSafetensors(join(folder, name)) : bad(`${name} is missing`),
  );
  const tensors = new Map<string, TensorEntry>();
  const starts: number[] = [];
  let start = 0;
  for (const [i, shard] of shards.entries()) {
    for (const [name, entry] of shard.tensors) {
      if (tensors.has(name)) bad(`tensor ${name} stands in two files`);
      if (map[name] !== names[i]) bad(`tensor ${name} is in ${names[i]}, not in ${map[name] ?? 'the list'}`);
      tensors.set(name, { ...entry, begin: start + entry.begin, end: start + entry.end });
    }
    starts.push(start);
    start += statSync(shard.path).size;
  }
  for (const name of Object.keys(map)) if (!tensors.has(name)) bad(`tensor ${name} is not in ${map[name]}`);
  const read: ReadRange = (begin, end) => {
    const i = starts.findLastIndex((from) => from <= begin);
    return shards[i]!.read(begin - starts[i]!, end - starts[i]!);
  };
  return { path, tensors, metadata: {}, read };
}

/** The same for bytes in memory. */
export function parseSafetensors(bytes: Uint8Array, path: string): SafetensorsFile {
  return parseHeader(path, bytes.length, (begin, end) => Uint8Array.from(bytes.subarray(begin, end)));
}

function parseHeader(path: string, size: number, read: SafetensorsFile['read']): SafetensorsFile {
  const bad = (what: string): never => {
    throw new UserError('usage', `${path}: not a safetensors file (${what}); fetch or export it again`);
  };
  if (size < 8) bad(`${size} bytes`);
  const start = new TextDecoder().decode(read(0, Math.min(size, 40)));
  if (start.startsWith('version https://git-lfs'))
    bad('a pointer of Git LFS; the file itself comes with "git lfs pull"');
  if (/^\s*<(!doctype|html|\?xml)/i.test(start)) bad('a web page');
  const headerBytes = Number(new DataView(read(0, 8).buffer).getBigUint64(0, true));
  if (headerBytes > MAX_HEADER_BYTES || 8 + headerBytes > size) bad(`a header of ${headerBytes} bytes`);
  const text = new TextDecoder().decode(read(8, 8 + headerBytes));
  let header: Record<string, unknown> = {};
  try {
    header = JSON.parse(text);
  } catch {
    bad('the header is not JSON');
  }
  if (header === null || typeof header !== 'object' || Array.isArray(header)) bad('the header is no object');
  const twice = repeatedKey(text);
  if (twice !== null) bad(`tensor ${twice} stands twice`);
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const entry = readEntry(value, 8 + headerBytes, size);
    tensors.set(name, entry ?? bad(`tensor ${name}`));
  }
  const misplaced = misplacedIn(tensors, 8 + headerBytes, size);
  if (misplaced) bad(misplaced);
  return { path, tensors, metadata: (header.__metadata__ ?? {}) as Record<string, string>, read };
}

/** What is wrong with the places of the tensors, which fill the file's data one after the other; null: nothing. */
function misplacedIn(tensors: ReadonlyMap<string, TensorEntry>, dataBegin: number, size: number): string | null {
  const placed = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let [at, last] = [dataBegin, 'the header'];
  for (const [name, { begin, end }] of placed) {
    if (begin < at) return `tensor ${name} overlaps ${last}`;
    if (begin > at) return `${begin - at} bytes between ${last} and tensor ${name} belong to nothing`;
    [at, last] = [end, `tensor ${name}`];
  }
  return at === size ? null : `${size - at} bytes after ${last} belong to nothing`;
}

/** An entry of the header, or null where its type, shape and place do not fit each other and the file. */
function readEntry(value: unknown, dataBegin: number, size: number): TensorEntry | null {
  const {
    dtype,
    shape,
    data_offsets: offsets,
  } = (value ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  const isSizes = (x: unknown): x is number[] => Array.isArray(x) && x.every((n) => Number.isSafeInteger(n) && n >= 0);
  if (typeof dtype !== 'string' || !isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) return null;
  const [begin, end] = [dataBegin + offsets[0]!, dataBegin + offsets[1]!];
  const count = shape.reduce((a, b) => a * b, 1);
  const width = Object.hasOwn(BYTES, dtype) ? BYTES[dtype] : undefined;
  if (end > size || begin > end || (width !== undefined && end - begin !== count * width)) return null;
  return { dtype, shape, begin, end };
}

/** A tensor as float32. Throws a UserError on a missing name or a type that is none of F64, F32, F16, BF16. */
export function tensorData(file: SafetensorsFile, name: string): Float32Array {
  const entry = entryOf(file, name);
  const { shape } = entry;
  // Before there is room for it: only of types that are read does the shape have to fit the file.
  checkType(file, name, entry);
  const out = new Float32Array(shape.reduce((a, b) => a * b, 1));
  readElements(file, name, out, 0);
  return out;
}

/** What is held of a tensor's bytes at a time; whole numbers of any type. */
const PIECE_BYTES = 1 << 20;

/** The elements of a tensor from `begin` on, as many as `out` holds, as float32. Throws as `tensorData` does. */
export function readElements(file: SafetensorsFile, name: string, out: Float32Array, begin: number): void {
  const entry = entryOf(file, name);
  checkType(file, name, entry);
  const widen = WIDEN[entry.dtype]!;
  const width = BYTES[entry.dtype]!;
  const from = entry.begin + begin * width;
  const end = from + out.length * width;
  if (begin < 0 || end > entry.end)
    throw new RangeError(`${out.length} elements from ${begin} on are not all in tensor ${name}`);
  for (let at = from; at < end; at += PIECE_BYTES) {
    const bytes = file.read(at, Math.min(end, at + PIECE_BYTES));
    const first = (at - from) / width;
    widen(bytes, out.subarray(first, first + bytes.length / width));
  }
}

const WIDEN: Readonly<Record<string, (bytes: Uint8Array<ArrayBuffer>, out: Float32Array) => void>> = {
  F32: DEQUANTISERS.F32!,
  F16: DEQUANTISERS.F16!,
  BF16: DEQUANTISERS.BF16!,
  F64: (bytes, out) => out.set(new Float64Array(bytes.buffer)),
};

function checkType(file: SafetensorsFile, name: string, { dtype }: TensorEntry): void {
  if (Object.hasOwn(WIDEN, dtype)) return;
  throw new UserError('usage', `${file.path}: tensor ${name} is ${dtype}; wanted ${Object.keys(WIDEN).join(', ')}`);
}

function entryOf(file: SafetensorsFile, name: string): TensorEntry {
  const entry = file.tensors.get(name);
  if (entry) return entry;
  throw new UserError('usage', `${file.path}: tensor ${name} is missing; is this the right model?`);
}

export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** float32, or the bits of float16 numbers. */
  readonly data: Float32Array | Uint16Array;
}

/** The bytes of a safetensors file, keys sorted, the header padded to 8 bytes. */
export function encodeSafetensors(tensors: readonly NamedTensor[], metadata: Record<string, string>): Uint8Array {
  const sorted = [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const { name, shape, data } of sorted) {
    const dtype = data instanceof Uint16Array ? 'F16' : 'F32';
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const text = JSON.stringify(header);
  const json = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const out = new Uint8Array(8 + json.length + offset);
  new DataView(out.buffer).setBigUint64(0, BigInt(json.length), true);
  out.set(json, 8);
  let at = 8 + json.length;
  for (const { data } of sorted) {
    out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return out;
}
