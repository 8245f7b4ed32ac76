/** @file Reads and writes safetensors: an 8-byte little-endian header length, a JSON header, raw little-endian data. */
import { readFileSync } from 'node:fs';
import { messageOf, UserError } from '../errors.ts';

export interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes of the file that hold it. */
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

const BYTES: Readonly<Record<string, number>> = { F64: 8, F32: 4, F16: 2, BF16: 2 };
const MAX_HEADER_BYTES = 100_000_000;

/** Reads a file and checks every entry's place and size before anything is believed. */
export function readSafetensors(path: string): SafetensorsFile {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new UserError('usage', `${path}: cannot be read (${messageOf(error)})`);
  }
  return parseSafetensors(bytes, path);
}

export function parseSafetensors(bytes: Uint8Array, path: string): SafetensorsFile {
  const bad = (what: string): never => {
    throw new UserError('usage', `${path}: not a safetensors file (${what}); fetch or export it again`);
  };
  if (bytes.length < 8) bad(`${bytes.length} bytes`);
  const headerBytes = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (headerBytes > MAX_HEADER_BYTES || 8 + headerBytes > bytes.length) bad(`a header of ${headerBytes} bytes`);
  let header: Record<string, unknown> = {};
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes)));
  } catch {
    bad('the header is not JSON');
  }
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { dtype, shape, data_offsets } = value as { dtype: string; shape: number[]; data_offsets: [number, number] };
    const [begin, end] = [8 + headerBytes + data_offsets[0], 8 + headerBytes + data_offsets[1]];
    const count = shape.reduce((a, b) => a * b, 1);
    const size = BYTES[dtype];
    if (end > bytes.length || begin > end || (size !== undefined && end - begin !== count * size))
      bad(`tensor ${name}`);
    tensors.set(name, { dtype, shape, begin, end });
  }
  return { path, bytes, tensors, metadata: (header.__metadata__ ?? {}) as Record<string, string> };
}

/** A tensor as float32, expanded from f16 or bf16 where it must be. Throws on a missing name or another type. */
export function tensorData(file: SafetensorsFile, name: string): Float32Array {
  const entry = file.tensors.get(name);
  if (!entry) throw new UserError('usage', `${file.path}: tensor ${name} is missing; is this the right model?`);
  const bytes = Uint8Array.from(file.bytes.subarray(entry.begin, entry.end)); // a copy, aligned
  if (entry.dtype === 'F32') return new Float32Array(bytes.buffer);
  if (entry.dtype === 'F64') return Float32Array.from(new Float64Array(bytes.buffer));
  if (entry.dtype === 'F16') return expandHalf(new Uint16Array(bytes.buffer));
  if (entry.dtype === 'BF16') return expandBfloat(new Uint16Array(bytes.buffer));
  throw new UserError('usage', `${file.path}: tensor ${name} is ${entry.dtype}; wanted F32, F16 or BF16`);
}

export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The bytes of a safetensors file of float32 tensors, keys sorted, the header padded to 8 bytes. */
export function encodeSafetensors(tensors: readonly NamedTensor[], metadata: Record<string, string>): Uint8Array {
  const sorted = [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const { name, shape, data } of sorted) {
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] };
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

/** IEEE 754 binary16 to binary32. */
function expandHalf(halves: Uint16Array): Float32Array {
  const out = new Float32Array(halves.length);
  const bits = new Uint32Array(out.buffer);
  for (let i = 0; i < halves.length; i++) {
    const h = halves[i]!;
    const sign = (h & 0x8000) << 16;
    const exponent = (h >> 10) & 31;
    const fraction = h & 1023;
    if (exponent === 31) bits[i] = sign | 0x7f800000 | (fraction << 13);
    else if (exponent > 0) bits[i] = sign | ((exponent + 112) << 23) | (fraction << 13);
    else out[i] = (sign ? -1 : 1) * fraction * 2 ** -24;
  }
  return out;
}

/** bfloat16 is the upper half of binary32. */
function expandBfloat(halves: Uint16Array): Float32Array {
  const out = new Float32Array(halves.length);
  const bits = new Uint32Array(out.buffer);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
  return out;
}
