/** @file Temperature scaling: one number that makes a model as sure as it is right. Guo et al. 2017, arXiv:1706.04599. */

/** Inverse temperatures between which the best is looked for. */
const [LEAST, MOST] = [1e-2, 1e2];
const HALVINGS = 60;

/** softmax(z / T). */
export function probabilitiesOf(logits: ArrayLike<number>, temperature: number): number[] {
  const z = Array.from(logits, (x) => x / temperature);
  const most = Math.max(...z);
  const weights = z.map((x) => Math.exp(x - most));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / total);
}

/**
 * The temperature that makes the classes `y` likeliest, for logits [N, K]. The loss is convex in 1 / T, so that halving finds it.
 */
export function calibrate(logits: readonly ArrayLike<number>[], y: readonly number[]): number {
  // What the loss grows by as 1 / T does: what is expected of the logits, less what the true class has.
  const slope = (inverse: number): number =>
    logits.reduce((sum, row, i) => {
      const expected = probabilitiesOf(row, 1 / inverse).reduce((e, p, k) => e + p * row[k]!, 0);
      return sum + expected - row[y[i]!]!;
    }, 0);
  let [low, high] = [LEAST, MOST];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = Math.sqrt(low * high);
    if (slope(middle) < 0) low = middle;
    else high = middle;
  }
  return 1 / Math.sqrt(low * high);
}
