/**
 * @file Turns the weights of a GGUF file to float32, block by block as ggml defines them (ggml-quants.c), into a place that
 * is given: no more of a tensor than a piece of it is held beside.
 */
import { UserError } from '../errors.ts';
import type { GgmlType } from './ggml.ts';
import type { Gguf } from './gguf.ts';

/** Blocks one after the other: their bytes in, one float32 an element out, from out[0] on. */
type Dequantiser = (bytes: Uint8Array, out: Float32Array) => void;

/** The types that can be read, by ggml's names. Q4_0 to Q8_0 have 32 elements a block, those of K 256. */
export const DEQUANTISERS: Readonly<Record<string, Dequantiser>> = {
  F32: (bytes, out) => new Uint8Array(out.buffer, out.byteOffset, bytes.length).set(bytes),
  F16: (bytes, out) => {
    for (let i = 0; i < bytes.length / 2; i++) out[i] = half(bytes, 2 * i);
  },
  BF16: (bytes, out) => {
    const bits = new Uint32Array(out.buffer, out.byteOffset, bytes.length / 2);
    for (let i = 0; i < bits.length; i++) bits[i] = ((bytes[2 * i]! | (bytes[2 * i + 1]! << 8)) << 16) >>> 0;
  },
  Q8_0: (bytes, out) => {
    for (let at = 0, o = 0; at < bytes.length; at += 34, o += 32) {
      const d = half(bytes, at);
      for (let i = 0; i < 32; i++) out[o + i] = d * signed(bytes[at + 2 + i]!);
    }
  },
  Q4_0: (bytes, out) => nibbles(bytes, out, { blockBytes: 18, middle: 8, hasMinimum: false, hasFifth: false }),
  Q4_1: (bytes, out) => nibbles(bytes, out, { blockBytes: 20, middle: 0, hasMinimum: true, hasFifth: false }),
  Q5_0: (bytes, out) => nibbles(bytes, out, { blockBytes: 22, middle: 16, hasMinimum: false, hasFifth: true }),
  Q5_1: (bytes, out) => nibbles(bytes, out, { blockBytes: 24, middle: 0, hasMinimum: true, hasFifth: true }),
  Q4_K: (bytes, out) => {
    for (let at = 0, o = 0; at < bytes.length; at += 144, o += 256) superblock(bytes, out, { at, o, fifth: null });
  },
  Q5_K: (bytes, out) => {
    for (let at = 0, o = 0; at < bytes.length; at += 176, o += 256) superblock(bytes, out, { at, o, fifth: at + 16 });
  },
  Q6_K: (bytes, out) => {
    for (let at = 0, o = 0; at < bytes.length; at += 210, o += 256) sixBits(bytes, out, { at, o });
  },
};

/** What is held of a tensor's bytes at a time. */
const PIECE_BYTES = 1 << 20;

/** The rows [begin, end) of a tensor, all of them unless told, into `out` from its start. A tensor of one length is a row. */
export function readRows(
  file: Gguf,
  name: string,
  out: Float32Array,
  rows?: { readonly begin: number; readonly end: number },
): void {
  const tensor = file.tensors.get(name);
  if (!tensor) throw new UserError('usage', `${file.path}: tensor ${name} is missing; is this the right model?`);
  const dequantise = dequantiserOf(file, name, tensor.type);
  const columns = tensor.shape.at(-1)!;
  const all = tensor.shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const { begin, end } = rows ?? { begin: 0, end: all };
  if (!(begin >= 0 && begin <= end && end <= all && out.length >= (end - begin) * columns))
    throw new RangeError(`rows ${begin} to ${end} of ${all} do not fit ${out.length} numbers`);
  const { block, bytes: blockBytes } = tensor.type;
  const blocks = ((end - begin) * columns) / block;
  const first = (begin * columns) / block;
  const piece = Math.max(1, Math.floor(PIECE_BYTES / blockBytes));
  for (let i = 0; i < blocks; i += piece) {
    const count = Math.min(piece, blocks - i);
    const from = tensor.begin + (first + i) * blockBytes;
    dequantise(file.read(from, from + count * blockBytes), out.subarray(i * block, (i + count) * block));
  }
}

function dequantiserOf(file: Gguf, name: string, type: GgmlType): Dequantiser {
  const found = DEQUANTISERS[type.name];
  if (found) return found;
  const wanted = Object.keys(DEQUANTISERS).join(', ');
  throw new UserError(
    'usage',
    `${file.path}: tensor ${name} is stored as ${type.name}; wanted one of ${wanted}; fetch the model in another quantisation`,
  );
}

interface Nibbles {
  readonly blockBytes: number;
  /** What stands for zero where there is no minimum. */
  readonly middle: number;
  readonly hasMinimum: boolean;
  readonly hasFifth: boolean;
}

/** Blocks of 32: a scale, maybe a minimum, maybe the fifth bits of all, then low halves of bytes before the high ones. */
function nibbles(bytes: Uint8Array, out: Float32Array, { blockBytes, middle, hasMinimum, hasFifth }: Nibbles): void {
  const fifthAt = hasMinimum ? 4 : 2;
  const start = hasFifth ? fifthAt + 4 : fifthAt;
  for (let at = 0, o = 0; at < bytes.length; at += blockBytes, o += 32) {
    const d = half(bytes, at);
    // What is added to -0 and leaves it as it is, is -0.
    const m = hasMinimum ? half(bytes, at + 2) : -0;
    const f = at + fifthAt;
    const fifth = hasFifth ? bytes[f]! | (bytes[f + 1]! << 8) | (bytes[f + 2]! << 16) | (bytes[f + 3]! << 24) : 0;
    for (let i = 0; i < 16; i++) {
      const pair = bytes[at + start + i]!;
      out[o + i] = d * (((pair & 15) | (((fifth >>> i) & 1) << 4)) - middle) + m;
      out[o + i + 16] = d * (((pair >> 4) | (((fifth >>> (i + 16)) & 1) << 4)) - middle) + m;
    }
  }
}

interface Place {
  /** Where the block begins, and its elements. */
  readonly at: number;
  readonly o: number;
}

/** A block of 256 in eight groups, each with a scale and a minimum of six bits; fifth bits of all where `fifth` says. */
function superblock(bytes: Uint8Array, out: Float32Array, { at, o, fifth }: Place & { fifth: number | null }): void {
  const d = half(bytes, at);
  const dMinimum = half(bytes, at + 2);
  const start = at + (fifth === null ? 16 : 48);
  for (let group = 0; group < 8; group++) {
    const [scale, minimum] = sixBitPair(bytes, at + 4, group);
    const [x, m] = [d * scale, dMinimum * minimum];
    const from = start + (group >> 1) * 32;
    const shift = (group & 1) * 4;
    for (let i = 0; i < 32; i++) {
      const high = fifth === null ? 0 : ((bytes[fifth + i]! >> group) & 1) << 4;
      out[o + group * 32 + i] = x * (((bytes[from + i]! >> shift) & 15) | high) - m;
    }
  }
}

/** Scale and minimum of a group from twelve bytes: those of the first four whole, of the others split in four and two bits. */
function sixBitPair(bytes: Uint8Array, at: number, group: number): [scale: number, minimum: number] {
  if (group < 4) return [bytes[at + group]! & 63, bytes[at + group + 4]! & 63];
  const low = bytes[at + group + 4]!;
  return [(low & 15) | ((bytes[at + group - 4]! >> 6) << 4), (low >> 4) | ((bytes[at + group]! >> 6) << 4)];
}

/** A block of 256 numbers of six bits: 128 bytes of low halves, 64 of high pairs, 16 scales, one scale of all at the end. */
function sixBits(bytes: Uint8Array, out: Float32Array, { at, o }: Place): void {
  const d = half(bytes, at + 208);
  for (let part = 0; part < 8; part++) {
    const [which, quarter] = [part >> 2, part & 3];
    const low = at + which * 64 + (quarter & 1) * 32;
    const high = at + 128 + which * 32;
    for (let i = 0; i < 32; i++) {
      const nibble = (bytes[low + i]! >> ((quarter >> 1) * 4)) & 15;
      const pair = (bytes[high + i]! >> (quarter * 2)) & 3;
      const scale = signed(bytes[at + 192 + part * 2 + (i >> 4)]!);
      out[o + part * 32 + i] = d * scale * ((nibble | (pair << 4)) - 32);
    }
  }
}

function signed(byte: number): number {
  return (byte << 24) >> 24;
}

/** IEEE 754 binary16 at a place, by a table of all. */
function half(bytes: Uint8Array, at: number): number {
  halves ??= Float32Array.from({ length: 1 << 16 }, (_, bits) => halfOf(bits));
  return halves[bytes[at]! | (bytes[at + 1]! << 8)]!;
}

let halves: Float32Array | null = null;

function halfOf(bits: number): number {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}
