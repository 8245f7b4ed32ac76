/** @file Does joining help? The base, training alone on one's own texts, and the swarm, on texts nobody here trained on. */
import { trainAlone } from './alone.ts';
import type { Exam, Learner } from './objective.ts';
import type { Run } from './run.ts';
import type { Score } from './score.ts';

export interface Compared {
  /** With the label prior left on; null where the run takes none off. */
  readonly baseZeroShot: Score | null;
  readonly base: Score;
  /** As many steps on its own texts and nobody else's; null where there was no text to train on alone. */
  readonly alone: Score | null;
  readonly swarm: Score;
}

export interface CompareOptions {
  readonly run: Run;
  readonly learner: Learner;
  /** The adapter that the swarm has made. */
  readonly swarm: Float32Array;
  /** Names the shuffles. */
  readonly peer: string;
  readonly signal: AbortSignal;
  /** Told of each stage as it goes on. */
  readonly onProgress?: (stage: string, done: number, total: number) => void;
}

/** Scores all of them, training alone first. Throws what the signal is aborted with. */
export async function compareOn(exam: Exam, options: CompareOptions): Promise<Compared> {
  const { run, learner, swarm, peer, signal, onProgress = () => {} } = options;
  const trainedAlone = (of: Learner): Promise<Float32Array> =>
    trainAlone({
      ...{ run, learner: of, peer, signal },
      onProgress: (done, total) => onProgress('training alone, to compare', done, total),
    });
  const alone = learner.alone && (await trainedAlone(learner.alone));
  const score = (stage: string, vector: Float32Array, by = exam.score): Promise<Score> =>
    by(vector, { signal, onProgress: (done, total) => onProgress(stage, done, total) });
  return {
    baseZeroShot: exam.scoreBare ? await score('base, zero-shot', run.initial, exam.scoreBare) : null,
    base: await score('base', run.initial),
    alone: alone && (await score('alone', alone)),
    swarm: await score('swarm', swarm),
  };
}
