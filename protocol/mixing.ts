/** @file Mixes neighbour adapters; weights after Xiao and Boyd 2004 (Metropolis-Hastings). Conserves the mean. */

/** The weight of an edge between members of these degrees: symmetric, and at most 1 / (1 + own degree). */
export function edgeWeight(degree: number, otherDegree: number): number {
  return 1 / (1 + Math.max(degree, otherDegree));
}

export interface Contribution {
  readonly weight: number;
  /** What the neighbour sent, decoded. */
  readonly theirs: Float32Array;
  /** What was sent to it in the same exchange, decoded the same way. */
  readonly mine: Float32Array;
}

/** x + sum_k w_k (theirs_k - mine_k). The other end adds the exact opposite, so the sum over both stays. */
export function mix(x: Float32Array, contributions: readonly Contribution[]): Float32Array {
  const sum = Float64Array.from(x);
  for (const { weight, theirs, mine } of contributions) {
    for (let i = 0; i < sum.length; i++) sum[i]! += weight * (theirs[i]! - mine[i]!);
  }
  return Float32Array.from(sum);
}
