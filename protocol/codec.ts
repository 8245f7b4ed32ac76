/** @file How a vector is packed for sending. Each codec states its bound; the sender carries what rounding left over. */
import { addOwn } from './own.ts';

export interface Codec {
  /** Byte in a frame. */
  readonly id: number;
  /** Bytes of a packed vector of `count` elements. */
  readonly size: (count: number) => number;
  /** Packs; what rounding leaves over goes into `rest`, if given, which may be `x` itself. */
  readonly encode: (x: Float32Array, rest?: Float32Array) => Uint8Array;
  /** Whether nothing is rounded. */
  readonly exact: boolean;
  /** The L2 norm of what is packed; null where the bytes are not of this codec: another length, or a number that is not finite. */
  readonly norm: (bytes: Uint8Array, count: number) => number | null;
  /** Unpacks numbers from `begin`, a multiple of PIECE, until `out` is full. The bytes have a norm. */
  readonly read: (bytes: Uint8Array, count: number, begin: number, out: Float32Array) => void;
}

export const CODEC_NAMES = ['f32', 'f16', 'int8'] as const;
export type CodecName = (typeof CODEC_NAMES)[number];

const MAX_HALF = 65504;
/** Elements that share one int8 scale. */
const BLOCK = 128;
/** Where reading may begin: at multiples of this. */
export const PIECE = 2048;

const table: Record<CodecName, Codec> = {
  /** Exact. */
  f32: {
    id: 1,
    exact: true,
    size: (count) => 4 * count,
    encode: (x, rest) => {
      const bytes = new Uint8Array(4 * x.length);
      const view = new DataView(bytes.buffer);
      for (let i = 0; i < x.length; i++) view.setFloat32(4 * i, x[i]!, true);
      rest?.fill(0);
      return bytes;
    },
    norm: (bytes, count) => {
      if (bytes.length !== 4 * count) return null;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      let sum = 0;
      for (let i = 0; i < count; i++) sum += view.getFloat32(4 * i, true) ** 2;
      return Number.isFinite(sum) ? Math.sqrt(sum) : null;
    },
    read: (bytes, _count, begin, out) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let i = 0; i < out.length; i++) out[i] = view.getFloat32(4 * (begin + i), true);
    },
  },
  /** |error| <= max(2^-11 |x|, 2^-25) up to 65504, beyond which it is clamped. */
  f16: {
    id: 2,
    exact: false,
    size: (count) => 2 * count,
    encode: (x, rest) => {
      const bytes = new Uint8Array(2 * x.length);
      const view = new DataView(bytes.buffer);
      for (let i = 0; i < x.length; i++) {
        const half = toHalf(x[i]!);
        view.setUint16(2 * i, half, true);
        if (rest) rest[i] = x[i]! - fromHalf(half);
      }
      return bytes;
    },
    norm: (bytes, count) => {
      if (bytes.length !== 2 * count) return null;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      let sum = 0;
      for (let i = 0; i < count; i++) {
        const half = view.getUint16(2 * i, true);
        if ((half & 0x7c00) === 0x7c00) return null;
        sum += fromHalf(half) ** 2;
      }
      return Math.sqrt(sum);
    },
    read: (bytes, _count, begin, out) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let i = 0; i < out.length; i++) out[i] = fromHalf(view.getUint16(2 * (begin + i), true));
    },
  },
  /** Blocks of 128 with one f32 scale: |error| <= largest of the block / 254. */
  int8: {
    id: 3,
    exact: false,
    size: (count) => 4 * Math.ceil(count / BLOCK) + count,
    encode: encodeInt8,
    norm: normInt8,
    read: readInt8,
  },
};

export const CODECS: Readonly<Record<CodecName, Codec>> = table;

/** Names of the codecs that this program has brought along. */
export const OWN_CODECS = new Set<string>();

/** Bytes in a frame that are left to codecs of other programs: from this one to 255. */
export const FIRST_OWN_ID = 128;

/** Lets this process pack by a codec of its own; the name enters the run id. Throws where name or id are none or stand for another. */
export function addCodec(name: string, codec: Codec): void {
  const { id } = codec;
  if (!Number.isInteger(id) || id < FIRST_OWN_ID || id > 255)
    throw new RangeError(`codec ${name}: its id is ${id}; wanted ${FIRST_OWN_ID} to 255`);
  const other = codecById(id);
  if (other !== null && other !== name) throw new RangeError(`codec ${name}: its id ${id} is that of ${other}`);
  addOwn(table, OWN_CODECS, name, codec);
}

/** The vector that was packed, or null where the bytes are not of this codec. */
export function decode(codec: CodecName, bytes: Uint8Array, count: number): Float32Array | null {
  if (CODECS[codec].norm(bytes, count) === null) return null;
  const out = new Float32Array(count);
  CODECS[codec].read(bytes, count, 0, out);
  return out;
}

/** The codec a frame names, or null. */
export function codecById(id: number): CodecName | null {
  const names = [...CODEC_NAMES, ...OWN_CODECS] as CodecName[];
  return names.find((name) => CODECS[name].id === id) ?? null;
}

function encodeInt8(x: Float32Array, rest?: Float32Array): Uint8Array {
  const blocks = Math.ceil(x.length / BLOCK);
  const bytes = new Uint8Array(4 * blocks + x.length);
  const view = new DataView(bytes.buffer);
  const levels = new Int8Array(bytes.buffer, 4 * blocks);
  for (let block = 0; block < blocks; block++) {
    const [begin, end] = [block * BLOCK, Math.min((block + 1) * BLOCK, x.length)];
    let largest = 0;
    for (let i = begin; i < end; i++) {
      const size = Math.abs(x[i]!);
      if (size > largest) largest = size;
    }
    let scale = Math.fround(largest / 127);
    if (largest > 127.4 * scale) scale *= 2; // of numbers so small that the scale itself was rounded
    view.setFloat32(4 * block, scale, true);
    const inverse = scale === 0 ? 0 : 1 / scale;
    for (let i = begin; i < end; i++) {
      const level = Math.floor(x[i]! * inverse + 0.5);
      levels[i] = level;
      if (rest) rest[i] = x[i]! - Math.fround(scale * level);
    }
  }
  return bytes;
}

function readInt8(bytes: Uint8Array, count: number, begin: number, out: Float32Array): void {
  const scaleBytes = 4 * Math.ceil(count / BLOCK);
  const view = new DataView(bytes.buffer, bytes.byteOffset, scaleBytes);
  const levels = new Int8Array(bytes.buffer, bytes.byteOffset + scaleBytes + begin, out.length);
  for (let at = 0; at < out.length; at += BLOCK) {
    const scale = view.getFloat32((4 * (begin + at)) / BLOCK, true);
    const end = Math.min(at + BLOCK, out.length);
    for (let i = at; i < end; i++) out[i] = scale * levels[i]!;
  }
}

function normInt8(bytes: Uint8Array, count: number): number | null {
  const blocks = Math.ceil(count / BLOCK);
  if (bytes.length !== 4 * blocks + count) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const levels = new Int8Array(bytes.buffer, bytes.byteOffset + 4 * blocks, count);
  let sum = 0;
  for (let block = 0; block < blocks; block++) {
    const scale = view.getFloat32(4 * block, true);
    if (!Number.isFinite(Math.fround(128 * scale)) || scale < 0) return null;
    const end = Math.min((block + 1) * BLOCK, count);
    let squares = 0;
    for (let i = block * BLOCK; i < end; i++) squares = (squares + levels[i]! * levels[i]!) | 0;
    sum += scale * scale * squares;
  }
  return Math.sqrt(sum);
}

const single = new Float32Array(1);
const bits = new Uint32Array(single.buffer);

/** Binary32 to binary16, to nearest, ties to even; clamped to the largest finite. */
export function toHalf(x: number): number {
  single[0] = Math.max(-MAX_HALF, Math.min(MAX_HALF, x));
  const b = bits[0]!;
  const sign = (b >>> 16) & 0x8000;
  const magnitude = b & 0x7fffffff;
  if (magnitude < 0x38800000) return sign | roundEven(Math.abs(single[0]) * 2 ** 24); // subnormal halves
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded >>> 13) - (112 << 10));
}

function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

function fromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
