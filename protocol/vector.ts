/** @file Arithmetic on vectors; sums accumulate in float64. */

/** The L2 norm. Four sums side by side, since each addition waits for the one before. */
export function norm(x: Float32Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = x.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    a += x[i]! * x[i]!;
    b += x[i + 1]! * x[i + 1]!;
    c += x[i + 2]! * x[i + 2]!;
    d += x[i + 3]! * x[i + 3]!;
  }
  for (let i = whole; i < x.length; i++) a += x[i]! * x[i]!;
  return Math.sqrt(a + b + c + d);
}

/** ||a - b||. */
export function distance(a: Float32Array, b: Float32Array): number {
  let [even, odd] = [0, 0];
  const whole = a.length & ~1;
  for (let i = 0; i < whole; i += 2) {
    const d = a[i]! - b[i]!;
    const e = a[i + 1]! - b[i + 1]!;
    even += d * d;
    odd += e * e;
  }
  if (whole < a.length) even += (a[whole]! - b[whole]!) ** 2;
  return Math.sqrt(even + odd);
}

/** a - b. A loop, since `map` takes ten times as long. */
export function difference(a: Float32Array, b: Float32Array): Float32Array {
  const out = new Float32Array(a.length);
  for (let i = 0; i < a.length; i++) out[i] = a[i]! - b[i]!;
  return out;
}

/** The mean of vectors of one length. */
export function mean(vectors: readonly Float32Array[]): Float32Array {
  const sum = new Float64Array(vectors[0]?.length ?? 0);
  for (const x of vectors) for (let i = 0; i < sum.length; i++) sum[i]! += x[i]!;
  for (let i = 0; i < sum.length; i++) sum[i]! /= vectors.length;
  return new Float32Array(sum);
}

/** Root mean square distance of the vectors from their mean, relative to the mean's norm: how far peers disagree. */
export function disagreement(vectors: readonly Float32Array[]): number {
  const centre = mean(vectors);
  const squares = vectors.reduce((sum, x) => sum + distance(x, centre) ** 2, 0);
  return Math.sqrt(squares / vectors.length) / Math.max(norm(centre), Number.MIN_VALUE);
}

/** The lower one of an even number; 0 of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? 0;
}

export function isFiniteVector(x: Float32Array): boolean {
  for (let i = 0; i < x.length; i++) if (!Number.isFinite(x[i]!)) return false;
  return true;
}
