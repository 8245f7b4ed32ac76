/**
 * @file Writes GGUF, version 3, little-endian (github.com/ggml-org/ggml, docs/gguf.md): the header at once, tensors piece by
 * piece, so that no more of a model than a piece of it is in memory.
 */
import assert from 'node:assert/strict';
import { GGML_TYPES } from './ggml.ts';

/** A key of the metadata: the number of its type, and its value as the file has it. */
export interface GgufKey {
  readonly key: string;
  readonly type: number;
  readonly bytes: Uint8Array;
}

export interface GgufPart {
  readonly name: string;
  /** As ggml calls it: F32, Q4_K. */
  readonly type: string;
  /** The last runs fastest: [rows, columns] of a matrix. */
  readonly shape: readonly number[];
  /** Its bytes, one piece after the other. */
  readonly pieces: () => Iterable<Uint8Array>;
}

const MAGIC = 0x46554747;
const VERSION = 3;
/** Where the file does not say (`general.alignment`). */
const ALIGNMENT = 32;
const [U32, F32, STRING] = [4, 6, 8];

export function ggufText(key: string, text: string): GgufKey {
  return { key, type: STRING, bytes: string(text) };
}

export function ggufU32(key: string, value: number): GgufKey {
  return { key, type: U32, bytes: u32(value) };
}

export function ggufF32(key: string, value: number): GgufKey {
  return { key, type: F32, bytes: new Uint8Array(Float32Array.of(value).buffer) };
}

/** The bytes of a file, in order. A tensor whose pieces do not fill its shape is a bug. */
export function* encodeGguf(
  keys: readonly GgufKey[],
  parts: readonly GgufPart[],
  alignment = ALIGNMENT,
): Generator<Uint8Array> {
  const padding = (bytes: number): Uint8Array => new Uint8Array((alignment - (bytes % alignment)) % alignment);
  const header = headerOf(keys, parts, (bytes) => bytes + padding(bytes).length);
  yield header;
  yield padding(header.length);
  for (const part of parts) {
    const size = byteLengthOf(part);
    let written = 0;
    for (const piece of part.pieces()) {
      yield piece;
      written += piece.length;
    }
    assert(written === size, `tensor ${part.name} has ${written} bytes of ${size}`);
    yield padding(size);
  }
}

function headerOf(
  keys: readonly GgufKey[],
  parts: readonly GgufPart[],
  aligned: (bytes: number) => number,
): Uint8Array {
  const list = [u32(MAGIC), u32(VERSION), u64(parts.length), u64(keys.length)];
  for (const { key, type, bytes } of keys) list.push(string(key), u32(type), bytes);
  let at = 0;
  for (const part of parts) {
    const lengths = [...part.shape].reverse();
    list.push(string(part.name), u32(lengths.length), ...lengths.map(u64), u32(typeOf(part).id), u64(at));
    at = aligned(at + byteLengthOf(part));
  }
  return Buffer.concat(list);
}

function typeOf({ name, type: wanted }: GgufPart): { id: number; block: number; bytes: number } {
  for (const [id, type] of GGML_TYPES) if (type.name === wanted) return { id, ...type };
  throw new Error(`tensor ${name}: ggml has no type ${wanted}`);
}

function byteLengthOf(part: GgufPart): number {
  const { block, bytes } = typeOf(part);
  return (part.shape.reduce((a, b) => a * b, 1) / block) * bytes;
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function u64(value: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

function string(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  return Buffer.concat([u64(bytes.length), bytes]);
}
