/** @file Turns float32 to the widths that weights are stored in, to the nearest, halves to even, as IEEE 754 has it. */

export const WIDTHS = ['f32', 'f16', 'bf16'] as const;
export type Width = (typeof WIDTHS)[number];

/** The bytes of numbers in a width, little-endian. What float16 cannot hold, from 65,520 on, becomes infinite. */
export function narrow(data: Float32Array, width: Width): Uint8Array {
  if (width === 'f32') return Uint8Array.from(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const out = new Uint16Array(data.length);
  const one = width === 'f16' ? halfOf : brainOf;
  for (let i = 0; i < out.length; i++) out[i] = one(bits[i]!);
  return new Uint8Array(out.buffer);
}

export function bytesOf(width: Width): number {
  return width === 'f32' ? 4 : 2;
}

/** bfloat16 of the bits of a float32: its upper half. */
function brainOf(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** binary16 of the bits of a float32. */
function halfOf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) return sign | 0x7e00;
  const exponent = (rest >>> 23) - 112;
  if (exponent >= 31) return sign | 0x7c00;
  if (exponent <= -11) return sign;
  // Below the smallest normal number the fraction is shifted to the exponent that they share.
  const [fraction, shift] = exponent > 0 ? [rest - (112 << 23), 13] : [(rest & 0x7fffff) | 0x800000, 14 - exponent];
  const half = fraction >>> shift;
  const left = fraction & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (left > middle || (left === middle && half & 1) ? half + 1 : half);
}
