/** @file What a run learns of texts and how that is scored: the same questions, answered by each objective in its own way. */

import type { TrainResult } from '../engine/engine.ts';
import type { Trainer } from '../engine/trainer.ts';
import type { DataFile } from '../texts/data.ts';
import type { Notebook } from './notebook.ts';
import type { PseudoSet } from './pseudo.ts';
import type { Run } from './run.ts';
import type { Score } from './score.ts';

/** The texts of one file, read for a run. */
export interface Texts {
  readonly file: DataFile;
  /** What identifies each text that is kept. */
  readonly texts: readonly string[];
  /** How many of them can be scored. */
  readonly scored: number;
  /** What of the file is not scored, in a line; null: nothing is left out. */
  readonly leftOut: string | null;
  /** Apart: those that are trained on, and those that are not, as `choose` tells by all that can be scored. */
  holdOut(choose: (texts: readonly string[]) => (text: string) => boolean): {
    readonly own: Texts;
    readonly held: Texts;
  };
  /** What there is to know of them before they are trained on. */
  inspect(): Promise<Inspected>;
  /** The run with what its first peer measures on its texts. */
  calibrate(trainer: Trainer): Promise<Run>;
  learner(run: Run, trainer: Trainer): Promise<Learner>;
  exam(run: Run, trainer: Trainer): Promise<Exam>;
}

export interface Inspected {
  readonly path: string;
  readonly lines: readonly string[];
  /** For a program. */
  readonly fields: object;
  /** Of the tokens of the texts; null where there are none. */
  readonly unknownShare: number | null;
}

/** A peer's own texts, ready to be learned from, round after round. */
export interface Learner {
  readonly objective: Run['objective'];
  /** Texts that are learned as they stand, and those that the swarm labels first. */
  readonly labelled: number;
  readonly unlabelled: number;
  /** Where they have classes and a user may change them while they are learned. */
  readonly texts?: CorrectableTexts;
  /** A round of local steps; a peer with nothing to learn from changes nothing. */
  train(request: RoundRequest): Promise<TrainResult>;
  /** The same without what others' knowledge gives it; null where nothing is left to learn from. */
  readonly alone: Learner | null;
}

/** What a user may see and change of a peer's texts; changes count from the next round. */
export interface CorrectableTexts extends Pick<Notebook, 'list' | 'revise'> {
  readonly classes: readonly string[];
  /** Texts that are trained on with a soft label now. */
  softly(): ReadonlySet<string>;
  /** Of each class for each text, by an adapter, as soft labels are made: [texts, classes]. */
  probabilities(texts: readonly string[], vector: Float32Array): Promise<number[][]>;
}

export interface RoundRequest {
  /** Whose shuffle: peers draw differently. */
  readonly peer: string;
  readonly round: number;
  readonly vector: Float32Array;
  readonly steps: number;
  readonly onStep?: (loss: number) => void;
  /** Told what the round's unlabelled texts were labelled, before they are trained on. */
  readonly onLabelled?: (set: PseudoSet) => void;
}

/** Texts that nobody here trains on. */
export interface Exam {
  /** How many. */
  readonly count: number;
  score(vector: Float32Array, options?: ScoreOptions): Promise<Score>;
  /** Of texts to write like: the tokens one of them begins with, to write on after. */
  readonly opening?: readonly number[];
  /** Without what the run takes off the base's answers; where it takes something off. */
  readonly scoreBare?: Exam['score'];
}

export interface ScoreOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}
