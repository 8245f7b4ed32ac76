/** @file How a vector is packed for sending. Each codec states its bound; the sender carries what rounding left over. */
import { norm } from './vector.ts';

export interface Codec {
  /** Byte in a frame. */
  readonly id: number;
  /** Bytes of a packed vector of `count` elements. */
  readonly size: (count: number) => number;
  readonly encode: (x: Float32Array) => Uint8Array;
  /** Whether nothing is rounded. */
  readonly exact: boolean;
  /** The L2 norm of what is packed, or null where it would not unpack. */
  readonly norm: (bytes: Uint8Array, count: number) => number | null;
  /** The vector, into `out` if given; null where the bytes are not of this codec: another length, or a number that is not finite. */
  readonly decode: (bytes: Uint8Array, count: number, out?: Float32Array) => Float32Array | null;
}

export const CODEC_NAMES = ['f32', 'f16', 'int8'] as const;
export type CodecName = (typeof CODEC_NAMES)[number];

const MAX_HALF = 65504;
/** Elements that share one int8 scale. */
const BLOCK = 128;

export const CODECS: Readonly<Record<CodecName, Codec>> = {
  /** Exact. */
  f32: {
    id: 1,
    exact: true,
    size: (count) => 4 * count,
    encode: (x) => {
      const bytes = new Uint8Array(4 * x.length);
      const view = new DataView(bytes.buffer);
      for (let i = 0; i < x.length; i++) view.setFloat32(4 * i, x[i]!, true);
      return bytes;
    },
    norm: (bytes, count) => {
      if (bytes.length !== 4 * count) return null;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      let sum = 0;
      for (let i = 0; i < count; i++) sum += view.getFloat32(4 * i, true) ** 2;
      return Number.isFinite(sum) ? Math.sqrt(sum) : null;
    },
    decode: (bytes, count, out = new Float32Array(count)) => {
      if (bytes.length !== 4 * count) return null;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let i = 0; i < count; i++) {
        const value = view.getFloat32(4 * i, true);
        if (!Number.isFinite(value)) return null;
        out[i] = value;
      }
      return out;
    },
  },
  /** |error| <= max(2^-11 |x|, 2^-25) up to 65504, beyond which it is clamped. */
  f16: {
    id: 2,
    exact: false,
    norm: (bytes, count) => normOf(CODECS.f16.decode(bytes, count)),
    size: (count) => 2 * count,
    encode: (x) => {
      const bytes = new Uint8Array(2 * x.length);
      const view = new DataView(bytes.buffer);
      for (let i = 0; i < x.length; i++) view.setUint16(2 * i, toHalf(x[i]!), true);
      return bytes;
    },
    decode: (bytes, count, out = new Float32Array(count)) => {
      if (bytes.length !== 2 * count) return null;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let i = 0; i < count; i++) {
        const half = view.getUint16(2 * i, true);
        if ((half & 0x7c00) === 0x7c00) return null;
        out[i] = fromHalf(half);
      }
      return out;
    },
  },
  /** Blocks of 128 with one f32 scale: |error| <= largest of the block / 254. */
  int8: {
    id: 3,
    exact: false,
    size: (count) => 4 * Math.ceil(count / BLOCK) + count,
    norm: normInt8,
    encode: encodeInt8,
    decode: decodeInt8,
  },
};

/** The codec a frame names, or null. */
export function codecById(id: number): CodecName | null {
  return CODEC_NAMES.find((name) => CODECS[name].id === id) ?? null;
}

function encodeInt8(x: Float32Array): Uint8Array {
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
    if (scale === 0) continue;
    const inverse = 1 / scale;
    for (let i = begin; i < end; i++) {
      levels[i] = Math.floor(x[i]! * inverse + 0.5);
    }
  }
  return bytes;
}

function decodeInt8(
  bytes: Uint8Array,
  count: number,
  out: Float32Array = new Float32Array(count),
): Float32Array | null {
  const blocks = Math.ceil(count / BLOCK);
  if (bytes.length !== 4 * blocks + count) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const levels = new Int8Array(bytes.buffer, bytes.byteOffset + 4 * blocks, count);
  for (let block = 0; block < blocks; block++) {
    const scale = view.getFloat32(4 * block, true);
    if (!Number.isFinite(Math.fround(128 * scale)) || scale < 0) return null;
    const end = Math.min((block + 1) * BLOCK, count);
    for (let i = block * BLOCK; i < end; i++) out[i] = scale * levels[i]!;
  }
  return out;
}

/** As the norm of what decodeInt8 gives, block by block. */
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

function normOf(x: Float32Array | null): number | null {
  return x && norm(x);
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
