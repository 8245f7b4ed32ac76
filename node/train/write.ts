/** @file Learning to write as texts do: the next token of each, loss and perplexity. */
import { strict as assert } from 'node:assert';
import type { RunSettings } from '../../protocol/config.ts';
import { createPrng } from '../../protocol/prng.ts';
import type { TokenBatch, TrainBatch } from '../engine/batch.ts';
import { packPassages, withWeights } from '../engine/packing.ts';
import type { Trainer } from '../engine/trainer.ts';
import { type DataFile, type DataOptions, goodRows, type Row } from '../texts/data.ts';
import { encodeWritings } from '../texts/encoder.ts';
import { learnedCount, type Piece, passagesOf } from '../texts/pieces.ts';
import type { Writing } from '../texts/writings.ts';
import { inspectWritings } from './inspect-writings.ts';
import type { Exam, Learner, RoundRequest, Texts } from './objective.ts';
import type { Run, WritingRun } from './run.ts';
import { tokenLossOf } from './score.ts';
import { passes, takeSteps } from './steps.ts';

/** Tokens in one scoring batch. */
const SCORE_BATCH_TOKENS = 1024;

/** Reads texts, prompts with completions, or chats. */
export function readWritingTexts(run: WritingRun, file: DataFile, options: DataOptions): Texts {
  return writingTexts(run, file, goodRows(file, options));
}

function writingTexts(run: WritingRun, file: DataFile, rows: readonly Row[]): Texts {
  const writings = rows.map(({ text, writing }): Writing => writing ?? { type: 'text', text });
  let encoded: Promise<(readonly Piece[])[]> | null = null;
  const encode = (): Promise<(readonly Piece[])[]> => {
    encoded ??= encodeWritings(run.writing, writings);
    return encoded;
  };
  const bad = file.bad.length;
  return {
    file,
    texts: rows.map(({ text }) => text),
    scored: rows.length,
    leftOut: bad > 0 ? `${file.path}: ${bad === 1 ? '1 bad row' : `${bad} bad rows`} left out` : null,
    holdOut: (choose) => {
      const isHeld = choose(rows.map(({ text }) => text));
      const part = (isIn: boolean): Texts =>
        writingTexts(
          run,
          file,
          rows.filter(({ text }) => isHeld(text) === isIn),
        );
      return { own: part(false), held: part(true) };
    },
    inspect: async () => inspectWritings(run.writing, file, rows, await encode()),
    calibrate: async () => run,
    learner: async (of, trainer) => createWritingLearner({ run: writingRun(of), trainer, texts: await encode() }),
    exam: async (of, trainer) => createWritingExam(writingRun(of), trainer, await encode()),
  };
}

function writingRun(run: Run): WritingRun {
  assert(run.objective === 'next-token', 'texts are read for the run that learns them');
  return run;
}

interface WritingLearnerOptions {
  readonly run: WritingRun;
  readonly trainer: Trainer;
  /** The pieces of each text. */
  readonly texts: readonly (readonly Piece[])[];
  /** Whether every weight is trained, and not an adapter. */
  readonly isFull?: boolean;
}

/** Learns each text's next tokens. */
export function createWritingLearner({ run, trainer, texts, isFull = false }: WritingLearnerOptions): Learner {
  const { settings, writing, tensors } = run;
  const pieces = texts.flat();
  const learner: Learner = {
    objective: 'next-token',
    labelled: texts.length,
    unlabelled: 0,
    train: ({ onLabelled: _, ...request }) => {
      const batches = writingBatches({ settings, padId: writing.padId, pieces }, request);
      return takeSteps({ trainer, settings, ...(isFull ? {} : { tensors }), ...request }, batches);
    },
    get alone() {
      return pieces.length > 0 ? learner : null;
    },
  };
  return learner;
}

/**
 * The batches of a round: shuffled passes over the pieces, drawn from seed, peer and round alone. Every learned token of a batch
 * weighs the same, as in Transformers and TRL.
 */
export function writingBatches(
  { settings, padId, pieces }: { settings: RunSettings; padId: number; pieces: readonly Piece[] },
  { peer, round, steps }: Pick<RoundRequest, 'peer' | 'round' | 'steps'>,
): TrainBatch[] {
  const prng = createPrng(settings.seed).fork('batches').fork(peer).fork(round);
  const size = Math.min(settings.batchSize, pieces.length);
  if (size === 0) return [];
  const next = passes(pieces, prng);
  return Array.from({ length: steps }, () => {
    const passages = passagesOf(next(size));
    return withWeights(packPassages(passages, settings.maxTokens, padId), passages);
  });
}

/** How well next tokens are said: loss a token. */
export function createWritingExam(
  { settings, writing }: WritingRun,
  trainer: Trainer,
  texts: readonly (readonly Piece[])[],
): Exam {
  const batches = scoringBatches(texts.flat(), settings.maxTokens, writing.padId);
  const first = texts.flat()[0];
  return {
    count: texts.length,
    ...(first ? { opening: openingOf(first) } : {}),
    score: async (vector, options = {}) => tokenLossOf(await trainer.scoreTokens({ vector, batches, ...options })),
  };
}

/** Tokens of a text without a prompt that one is told to write on after. */
const OPENING = 8;

/** What stands before the first learned token; of a text that is learned from its beginning, some of that. */
function openingOf({ ids, learned }: Piece): number[] {
  const from = learned[0]?.[0] ?? 0;
  const length = from > OPENING ? from : Math.min(OPENING, Math.max(1, Math.floor(ids.length / 2)));
  return [...ids.subarray(0, length)];
}

/** By length, so that rows are full and batches alike. */
function scoringBatches(pieces: readonly Piece[], maxTokens: number, padId: number): TokenBatch[] {
  const sorted = pieces.filter((piece) => learnedCount(piece) > 0).sort((a, b) => a.ids.length - b.ids.length);
  const batches: TokenBatch[] = [];
  let [group, tokens]: [Piece[], number] = [[], 0];
  const close = (): void => {
    if (group.length > 0) batches.push(packPassages(passagesOf(group), maxTokens, padId));
    [group, tokens] = [[], 0];
  };
  for (const piece of sorted) {
    if (tokens + piece.ids.length > SCORE_BATCH_TOKENS) close();
    group.push(piece);
    tokens += piece.ids.length;
  }
  close();
  return batches;
}
