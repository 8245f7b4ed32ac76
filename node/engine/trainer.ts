/** @file The trainer as the main thread sees it: jobs go to one worker thread and one session, whoever asks for them. */
import { Worker } from 'node:worker_threads';
import { UserError } from '../errors.ts';
import type { Batch, LabelWords, Sequence, TokenBatch } from './batch.ts';
import type { EngineOptions, TrainJob, TrainResult } from './engine.ts';
import { packForScoring } from './packing.ts';
import type { Job, Reply } from './worker.ts';

export interface Trainer {
  readonly device: string;
  /** A line for the user where `--device auto` fell back. */
  readonly notice: string | null;
  train(job: TrainJob, onStep?: (loss: number) => void): Promise<TrainResult>;
  /** Logits of the label words, a row a sequence in their order. Gives way to other jobs between batches. */
  score(request: ScoreRequest): Promise<Float32Array[]>;
  /** Log-probabilities of the words asked for, a list a batch. Gives way to other jobs between batches. */
  scoreTokens(request: TokenRequest): Promise<Float32Array[]>;
  /** Gives up what is queued, finishes the step at hand and ends the thread. */
  stop(): Promise<void>;
}

export interface ScoreRequest {
  readonly vector: Float32Array;
  readonly sequences: readonly Sequence[];
  readonly labels: LabelWords;
  readonly padId: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface TokenRequest {
  readonly vector: Float32Array;
  readonly batches: readonly TokenBatch[];
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onStep?: ((loss: number) => void) | undefined;
}

const NO_WORDS: LabelWords = { ids: [], bias: [] };

/** Batches of one scoring job, so that a long evaluation does not hold up training. */
const BATCHES_A_JOB = 8;

/** Starts the worker. Throws a UserError if the base cannot be read or the device cannot start. */
export async function createTrainer(options: EngineOptions): Promise<Trainer> {
  const cancelled = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: { options, cancelled } });
  const waiting = new Map<number, Waiting>();
  let count = 0;
  let dead: Error | null = null;
  const failAll = (error: Error): void => {
    dead ??= error;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  const ready = await new Promise<{ device: string; notice: string | null }>((resolve, reject) => {
    worker.on('error', (error) => {
      reject(error);
      failAll(error as Error);
    });
    worker.on('exit', () => failAll(new Error('the trainer has stopped')));
    worker.on('message', (reply: Reply) => {
      if (reply.type === 'ready') resolve(reply);
      else if (reply.type === 'failed')
        reject(reply.mistake ? new UserError(reply.mistake, reply.message) : new Error(reply.message));
      else settle(waiting, reply);
    });
  });
  const ask = <T>(job: Job, onStep?: (loss: number) => void): Promise<T> =>
    new Promise((resolve, reject) => {
      if (dead) return reject(dead);
      const id = count++;
      waiting.set(id, { resolve: resolve as (result: unknown) => void, reject, onStep });
      worker.postMessage({ id, job });
    });
  return {
    device: ready.device,
    notice: ready.notice,
    train: (job, onStep) => ask({ type: 'train', ...job }, onStep),
    score: (request) =>
      scoreAll(request, (batches) => ask({ type: 'score', vector: request.vector, batches, labels: request.labels })),
    scoreTokens: (request) =>
      inGroups(request.batches, request, (batches) =>
        ask({ type: 'score', vector: request.vector, batches, labels: NO_WORDS }),
      ),
    stop: async () => {
      if (dead) return;
      const exited = new Promise((resolve) => worker.once('exit', resolve));
      Atomics.store(cancelled, 0, 1);
      await ask({ type: 'stop' }).catch(() => {});
      await exited;
    },
  };
}

function settle(waiting: Map<number, Waiting>, reply: Extract<Reply, { id: number }>): void {
  const asked = waiting.get(reply.id);
  if (!asked) return;
  if (reply.type === 'step') return asked.onStep?.(reply.loss);
  waiting.delete(reply.id);
  if (reply.type === 'result') asked.resolve(reply.result);
  else asked.reject(new Error(reply.message));
}

async function scoreAll(
  request: ScoreRequest,
  score: (batches: readonly Batch[]) => Promise<Float32Array[]>,
): Promise<Float32Array[]> {
  const { sequences, labels, padId, onProgress, signal } = request;
  const classes = labels.bias.length;
  const packed = packForScoring(sequences, { padId, classes });
  const rows = new Array<Float32Array>(sequences.length);
  const counted = (done: number): void => {
    onProgress?.(
      packed.slice(0, done).reduce((sum, { order }) => sum + order.length, 0),
      sequences.length,
    );
  };
  const logits = await inGroups(
    packed.map(({ batch }) => batch),
    { onProgress: counted, ...(signal ? { signal } : {}) },
    score,
  );
  packed.forEach(({ order }, i) => {
    order.forEach((index, row) => {
      rows[index] = logits[i]!.slice(row * classes, (row + 1) * classes);
    });
  });
  return rows;
}

/** Scores batches a few at a time. */
async function inGroups<B extends Batch>(
  batches: readonly B[],
  { onProgress, signal }: { onProgress?: (done: number, total: number) => void; signal?: AbortSignal },
  score: (batches: readonly B[]) => Promise<Float32Array[]>,
): Promise<Float32Array[]> {
  const scores: Float32Array[] = [];
  while (scores.length < batches.length) {
    signal?.throwIfAborted();
    scores.push(...(await score(batches.slice(scores.length, scores.length + BATCHES_A_JOB))));
    onProgress?.(scores.length, batches.length);
  }
  return scores;
}
