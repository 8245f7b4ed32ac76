/** @file The worker thread that tokenises, one job after the other, so that the thread of the network never does. */
import { parentPort } from 'node:worker_threads';
import { messageOf, UserError } from '../errors.ts';
import type { Sequence } from './batch.ts';
import { createTask, type Task, type TaskSource } from './task.ts';

export interface EncodeJob {
  readonly id: number;
  readonly source: TaskSource;
  readonly texts: readonly string[];
  readonly prompt: number;
}

export type EncodeReply =
  | { readonly id: number; readonly sequences: readonly Sequence[] }
  | { readonly id: number; readonly message: string; readonly mistake: UserError['mistake'] | null };

/** Tasks kept open: experiments go from one to the next. */
const MAX_TASKS = 4;
const tasks = new Map<string, Task>();
const port = parentPort!;

function taskOf(source: TaskSource): Task {
  const key = JSON.stringify(source);
  const task = tasks.get(key) ?? createTask(source.path, source.spec, source.reader);
  tasks.delete(key);
  tasks.set(key, task);
  for (const oldest of tasks.keys()) if (tasks.size > MAX_TASKS) tasks.delete(oldest);
  return task;
}

port.on('message', ({ id, source, texts, prompt }: EncodeJob) => {
  const reply = (message: EncodeReply): void => port.postMessage(message);
  try {
    const task = taskOf(source);
    reply({ id, sequences: texts.map((text) => task.encode(text, prompt)) });
  } catch (error) {
    reply({ id, message: messageOf(error), mistake: error instanceof UserError ? error.mistake : null });
  }
});
