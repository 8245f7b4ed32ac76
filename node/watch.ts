/** @file Scores texts nobody trains on with a peer's mixed adapters, as they come. */
import { messageOf } from './errors.ts';
import type { Exam } from './train/objective.ts';
import type { Score } from './train/score.ts';

export interface Watched {
  /** Texts watched after each mixing, or after every so many of them. */
  readonly development?: Exam;
  readonly watchEvery?: number;
}

/** Takes mixed adapters, and of how many rounds each is; skips those that come while one is being scored. */
export function createWatch(
  { development, watchEvery = 1 }: Watched,
  told: { report: (score: Score, rounds: number) => void; onNotice: (line: string) => void; isStopped: () => boolean },
): (adapter: Float32Array, rounds: number) => void {
  let [isBusy, mixings] = [false, 0];
  return (vector, rounds) => {
    mixings += 1;
    if (isBusy || !development || mixings % watchEvery !== 0) return;
    isBusy = true;
    development
      .score(vector)
      .then((score) => told.report(score, rounds))
      .catch((error) => {
        if (!told.isStopped()) told.onNotice(`development texts could not be scored: ${messageOf(error)}`);
      })
      .finally(() => {
        isBusy = false;
      });
  };
}
