/**
 * @file What the loss is multiplied by before the gradients are taken in float16, so that small ones do not vanish: halved where
 * one overflows, doubled after steps without. Micikevicius et al. 2018, arXiv:1710.03740, section 3.2.
 */

const START = 2 ** 16;
const [LEAST, MOST] = [2 ** -24, 2 ** 24];
/** Steps without overflow after which twice the scale is tried. */
const INTERVAL = 500;

export interface LossScale {
  /** Null: of float32, which needs none. */
  value(): number | null;
  /** After a step whose gradient overflowed; gives whether the batch may be tried again with less. */
  overflowed(): boolean;
  /** After a step that was taken. */
  passed(): void;
}

export const NO_SCALE: LossScale = { value: () => null, overflowed: () => false, passed: () => {} };

/** Starts anew for every job, so that what a round gives depends on nothing before it. */
export function createLossScale(): LossScale {
  let [scale, steps] = [START, 0];
  return {
    value: () => scale,
    overflowed: () => {
      [scale, steps] = [scale / 2, 0];
      return scale >= LEAST;
    },
    passed: () => {
      steps = (steps + 1) % INTERVAL;
      if (steps === 0) scale = Math.min(MOST, 2 * scale);
    },
  };
}
