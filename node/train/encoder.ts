/**
 * @file Tokenises off the main thread: one worker a process, started when first asked and never in the way of the process'
 * end, since it holds nothing that must be closed.
 */
import { Worker } from 'node:worker_threads';
import { UserError } from '../errors.ts';
import type { Sequence } from './batch.ts';
import type { EncodeJob, EncodeReply } from './encode-worker.ts';
import type { Task } from './task.ts';

/** Of one job, so that handing over and taking back are short. */
const MAX_TEXTS = 256;
const MAX_CHARS = 1 << 20;

interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<number, { resolve: (sequences: readonly Sequence[]) => void; reject: (error: Error) => void }>;
}

let thread: Thread | null = null;
let count = 0;

/** The texts in a prompt of the task, in their order. Rejects where the worker fails, which the next call starts afresh. */
export async function encodeElsewhere(task: Task, texts: readonly string[], prompt: number): Promise<Sequence[]> {
  const sequences: Sequence[] = [];
  for (let at = 0; at < texts.length; ) {
    const group: string[] = [];
    for (let chars = 0; at < texts.length && group.length < MAX_TEXTS && chars < MAX_CHARS; at++) {
      group.push(texts[at]!);
      chars += texts[at]!.length;
    }
    sequences.push(...(await ask({ source: task.source, texts: group, prompt })));
  }
  return sequences;
}

function ask(job: Omit<EncodeJob, 'id'>): Promise<readonly Sequence[]> {
  thread ??= startThread();
  const { worker, waiting } = thread;
  const id = count++;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.ref();
    worker.postMessage({ id, ...job } satisfies EncodeJob);
  });
}

function startThread(): Thread {
  const worker = new Worker(new URL('./encode-worker.js', import.meta.url));
  const started: Thread = { worker, waiting: new Map() };
  const fail = (error: Error): void => {
    if (thread === started) thread = null;
    for (const { reject } of started.waiting.values()) reject(error);
    started.waiting.clear();
  };
  worker.on('error', (error) => fail(error as Error));
  worker.on('exit', () => fail(new Error('the tokenising thread has stopped')));
  worker.on('message', (reply: EncodeReply) => {
    const asked = started.waiting.get(reply.id);
    started.waiting.delete(reply.id);
    if (started.waiting.size === 0) worker.unref();
    if ('sequences' in reply) asked?.resolve(reply.sequences);
    else asked?.reject(reply.mistake ? new UserError(reply.mistake, reply.message) : new Error(reply.message));
  });
  return started;
}
