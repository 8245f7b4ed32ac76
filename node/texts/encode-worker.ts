/** @file The worker thread that tokenises, one job after the other, so that the thread of the network never does. */
import { parentPort } from 'node:worker_threads';
import type { Sequence } from '../engine/batch.ts';
import { messageOf, UserError } from '../errors.ts';
import { createWritingTask, type Piece, type WritingSource, type WritingTask } from './pieces.ts';
import { createTask, type Task, type TaskSource } from './task.ts';
import type { Writing } from './writings.ts';

export type EncodeJob =
  | {
      readonly type: 'prompts';
      readonly source: TaskSource;
      readonly texts: readonly string[];
      readonly prompt: number;
    }
  | { readonly type: 'writings'; readonly source: WritingSource; readonly writings: readonly Writing[] };

/** One text's tokens an element: of a prompt a sequence, of a writing its pieces. */
export interface Encoded {
  readonly prompts: Sequence;
  readonly writings: readonly Piece[];
}

export type EncodeReply =
  | { readonly id: number; readonly encoded: readonly Encoded[EncodeJob['type']][] }
  | { readonly id: number; readonly message: string; readonly mistake: UserError['mistake'] | null };

/** What is kept open of each kind: experiments go from one task to the next. */
const MAX_OPEN = 4;
const taskOf = keepOpen((source: TaskSource): Task => createTask(source.path, source.spec, source.reader));
const writingOf = keepOpen((source: WritingSource): WritingTask => createWritingTask(source));
const port = parentPort!;

function keepOpen<S, T>(open: (source: S) => T): (source: S) => T {
  const kept = new Map<string, T>();
  return (source) => {
    const key = JSON.stringify(source);
    const task = kept.get(key) ?? open(source);
    kept.delete(key);
    kept.set(key, task);
    for (const oldest of kept.keys()) if (kept.size > MAX_OPEN) kept.delete(oldest);
    return task;
  };
}

function encode(job: EncodeJob): Encoded[EncodeJob['type']][] {
  if (job.type === 'writings') return job.writings.map((writing) => writingOf(job.source).encode(writing));
  return job.texts.map((text) => taskOf(job.source).encode(text, job.prompt));
}

port.on('message', ({ id, job }: { id: number; job: EncodeJob }) => {
  const reply = (message: EncodeReply): void => port.postMessage(message);
  try {
    reply({ id, encoded: encode(job) });
  } catch (error) {
    reply({ id, message: messageOf(error), mistake: error instanceof UserError ? error.mistake : null });
  }
});
