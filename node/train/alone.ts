/** @file The baseline beside every swarm: as many rounds of the same steps, with these texts and nobody else. */
import type { Learner } from './objective.ts';
import { type Run, startOf } from './run.ts';

export interface AloneOptions {
  readonly run: Run;
  readonly learner: Learner;
  /** Names the shuffles. */
  readonly peer: string;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** The adapter after all training rounds without mixing. Throws when the signal aborts. */
export async function trainAlone({ run, learner, peer, signal, onProgress }: AloneOptions): Promise<Float32Array> {
  const { rounds, localSteps: steps } = run.settings;
  let vector = startOf(run);
  for (let round = 0; round < rounds; round++) {
    signal.throwIfAborted();
    vector = (await learner.train({ peer, round, vector, steps })).vector;
    onProgress(round + 1, rounds);
  }
  return vector;
}
