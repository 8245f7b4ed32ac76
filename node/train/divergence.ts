/** @file What a peer does about losses that are not finite: it keeps the adapter from before, says so, and gives up in the end. */

import type { TrainResult } from '../engine/engine.ts';
import { UserError } from '../errors.ts';

/** Rounds in a row after which going on would only be noise. */
const MOST_IN_A_ROW = 3;

export interface Divergence {
  /** Takes in a round's result; gives how many have diverged. Throws a UserError after three in a row. */
  count(round: number, result: TrainResult): number;
}

/** Counts for one peer. */
export function createDivergence(onNotice?: (line: string) => void): Divergence {
  let [total, inARow] = [0, 0];
  return {
    count: (round, { diverged, vector }) => {
      const isSound = diverged === null && vector.every(Number.isFinite);
      inARow = isSound ? 0 : inARow + 1;
      total += Number(!isSound);
      if (isSound) return total;
      if (inARow >= MOST_IN_A_ROW)
        throw new UserError(
          'incompatible',
          `training gave numbers that are not finite in ${inARow} rounds in a row, to the last in round ${round}; the adapter from before is kept: try a lower --learning-rate, a --clip-norm, --compute f32, or --device cpu`,
        );
      if (diverged)
        onNotice?.(
          `round ${round}: step ${diverged.step} gave numbers that are not finite (loss ${diverged.loss}); kept the adapter from before it`,
        );
      return total;
    },
  };
}
