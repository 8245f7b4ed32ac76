/** @file The baseline beside every swarm: as many rounds of the same steps, with these examples and nobody else. */
import { type EncodedExample, trainRound } from './learner.ts';
import { type Run, startOf } from './run.ts';
import type { Trainer } from './trainer.ts';

export interface AloneOptions {
  readonly run: Run;
  readonly trainer: Trainer;
  readonly examples: readonly EncodedExample[];
  /** Names the shuffles. */
  readonly peer: string;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** The adapter after all training rounds without mixing. Throws when the signal aborts. */
export async function trainAlone(options: AloneOptions): Promise<Float32Array> {
  const { run, trainer, examples, peer, signal, onProgress } = options;
  const { settings, task, labels, tensors } = run;
  const common = { trainer, task, settings, labels, tensors, examples, peer, steps: settings.localSteps };
  let vector = startOf(run);
  for (let round = 0; round < settings.rounds; round++) {
    signal.throwIfAborted();
    vector = (await trainRound({ ...common, round, vector })).vector;
    onProgress(round + 1, settings.rounds);
  }
  return vector;
}
