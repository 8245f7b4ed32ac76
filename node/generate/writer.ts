/** @file The writer as the main thread sees it: one worker thread, one text at a time, the others wait in their order. */
import { Worker } from 'node:worker_threads';
import { UserError } from '../errors.ts';
import type { DecoderOptions } from './decoder.ts';
import type { Answer, Ask } from './worker.ts';
import type { WriteRequest, Written } from './writing.ts';

export interface Writer {
  /** Tokens that prompt and answer may have together. */
  readonly maxTokens: number;
  /** Writes on after a prompt; where the signal aborts, gives what there is. Throws a UserError on a prompt that does not fit. */
  write(request: WriteRequest, options?: WriteOptions): Promise<Written>;
  /** Ends the text at hand after its word, and the thread. */
  stop(): Promise<void>;
}

export interface WriteOptions {
  readonly onToken?: (id: number) => void;
  readonly signal?: AbortSignal;
}

interface Waiting {
  readonly onToken: (id: number) => void;
  readonly resolve: (written: Written) => void;
  readonly reject: (error: Error) => void;
}

/** Starts the worker. Throws a UserError if the model cannot be read or is masked. */
export async function createWriter(options: DecoderOptions): Promise<Writer> {
  const cancelled = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: { options, cancelled } });
  let [waiting, dead] = [null as Waiting | null, null as Error | null];
  const die = (error: Error): void => {
    dead ??= error;
    waiting?.reject(dead);
    waiting = null;
  };
  const maxTokens = await new Promise<number>((resolve, reject) => {
    worker.on('error', (error) => {
      reject(error);
      die(error as Error);
    });
    worker.on('exit', () => die(new Error('the writer has stopped')));
    worker.on('message', (answer: Answer) => {
      switch (answer.type) {
        case 'ready':
          return resolve(answer.maxTokens);
        case 'failed':
          return reject(errorOf(answer));
        case 'token':
          return waiting?.onToken(answer.id);
        case 'written':
          return waiting?.resolve(answer.written);
        case 'error':
          return waiting?.reject(errorOf(answer));
      }
    });
  });
  const post = (ask: Ask): void => worker.postMessage(ask);
  const writeNow = async (request: WriteRequest, { onToken = () => {}, signal }: WriteOptions): Promise<Written> => {
    if (dead) throw dead;
    if (signal?.aborted) return { ids: [], finish: 'cancelled', reused: 0 };
    Atomics.store(cancelled, 0, 0);
    const cancel = (): void => {
      Atomics.store(cancelled, 0, 1);
    };
    signal?.addEventListener('abort', cancel);
    try {
      return await new Promise((resolve, reject) => {
        waiting = { onToken, resolve, reject };
        post({ type: 'write', request });
      });
    } finally {
      waiting = null;
      signal?.removeEventListener('abort', cancel);
    }
  };
  let last: Promise<unknown> = Promise.resolve();
  return {
    maxTokens,
    write: (request, given = {}) => {
      const written = last.then(() => writeNow(request, given));
      last = written.catch(() => {});
      return written;
    },
    stop: async () => {
      if (dead) return;
      const exited = new Promise((resolve) => worker.once('exit', resolve));
      dead = new Error('the writer has stopped');
      Atomics.store(cancelled, 0, 1);
      post({ type: 'stop' });
      await exited;
    },
  };
}

function errorOf({ message, mistake }: Extract<Answer, { message: string }>): Error {
  return mistake ? new UserError(mistake, message) : new Error(message);
}
