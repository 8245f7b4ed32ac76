/** @file Arithmetic on vectors; sums accumulate in float64. */

/** The L2 norm. */
export function norm(x: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * x[i]!;
  return Math.sqrt(sum);
}

/** ||a - b||. */
export function distance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const d = a[i]! - b[i]!;
    sum += d * d;
  }
  return Math.sqrt(sum);
}

/** The mean of vectors of one length. */
export function mean(vectors: readonly Float32Array[]): Float32Array {
  const sum = new Float64Array(vectors[0]?.length ?? 0);
  for (const x of vectors) for (let i = 0; i < sum.length; i++) sum[i]! += x[i]!;
  for (let i = 0; i < sum.length; i++) sum[i]! /= vectors.length;
  return Float32Array.from(sum);
}

/** Root mean square distance of the vectors from their mean, relative to the mean's norm: how far peers disagree. */
export function disagreement(vectors: readonly Float32Array[]): number {
  const centre = mean(vectors);
  const squares = vectors.reduce((sum, x) => sum + distance(x, centre) ** 2, 0);
  return Math.sqrt(squares / vectors.length) / Math.max(norm(centre), Number.MIN_VALUE);
}

export function isFiniteVector(x: Float32Array): boolean {
  for (let i = 0; i < x.length; i++) if (!Number.isFinite(x[i]!)) return false;
  return true;
}
