/**
 * @file Tokenises off the main thread: one worker a process, started when first asked and never in the way of the process'
 * end, since it holds nothing that must be closed.
 */
import { Worker } from 'node:worker_threads';
import type { Sequence } from '../engine/batch.ts';
import { UserError } from '../errors.ts';
import type { Encoded, EncodeJob, EncodeReply } from './encode-worker.ts';
import type { Piece, WritingTask } from './pieces.ts';
import type { Task } from './task.ts';
import { type Writing, wholeText } from './writings.ts';

/** Of one job, so that handing over and taking back are short. */
const MAX_TEXTS = 256;
const MAX_CHARS = 1 << 20;

interface Waiting {
  readonly resolve: (encoded: readonly unknown[]) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<number, Waiting>;
}

let thread: Thread | null = null;
let count = 0;

/** The texts in a prompt of the task, in their order. Rejects where the worker fails, which the next call starts afresh. */
export function encodeElsewhere(task: Task, texts: readonly string[], prompt: number): Promise<Sequence[]> {
  const { source } = task;
  return inGroups(
    texts,
    (text) => text.length,
    (group) => ask({ type: 'prompts', source, texts: group, prompt }),
  );
}

/** The pieces of each writing, in their order. Rejects as `encodeElsewhere` does. */
export function encodeWritings({ source }: WritingTask, writings: readonly Writing[]): Promise<(readonly Piece[])[]> {
  return inGroups(
    writings,
    (writing) => wholeText(writing).length,
    (group) => ask({ type: 'writings', source, writings: group }),
  );
}

async function inGroups<T, E>(
  items: readonly T[],
  sizeOf: (item: T) => number,
  encode: (group: readonly T[]) => Promise<readonly E[]>,
): Promise<E[]> {
  const encoded: E[] = [];
  for (let at = 0; at < items.length; ) {
    const group: T[] = [];
    for (let chars = 0; at < items.length && group.length < MAX_TEXTS && chars < MAX_CHARS; at++) {
      group.push(items[at]!);
      chars += sizeOf(items[at]!);
    }
    for (const one of await encode(group)) encoded.push(one);
  }
  return encoded;
}

function ask<J extends EncodeJob>(job: J): Promise<readonly Encoded[J['type']][]> {
  thread ??= startThread();
  const { worker, waiting } = thread;
  const id = count++;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
    worker.ref();
    worker.postMessage({ id, job });
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
    if ('encoded' in reply) asked?.resolve(reply.encoded);
    else asked?.reject(reply.mistake ? new UserError(reply.mistake, reply.message) : new Error(reply.message));
  });
  return started;
}
