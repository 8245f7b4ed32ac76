/** @file The worker thread that writes: owns the decoder, so that the main thread never waits for a word. */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf, UserError } from '../errors.ts';
import { createDecoder, type DecoderOptions } from './decoder.ts';
import { type WriteRequest, type Written, write } from './writing.ts';

export type Ask = { readonly type: 'write'; readonly request: WriteRequest } | { readonly type: 'stop' };

interface Failure {
  readonly message: string;
  readonly mistake: UserError['mistake'] | null;
}

export type Answer =
  | { readonly type: 'ready'; readonly maxTokens: number }
  | ({ readonly type: 'failed' } & Failure)
  | { readonly type: 'token'; readonly id: number }
  | { readonly type: 'written'; readonly written: Written }
  | ({ readonly type: 'error' } & Failure);

const port = parentPort!;
const answer = (message: Answer): void => port.postMessage(message);

function failureOf(error: unknown): Failure {
  return { message: messageOf(error), mistake: error instanceof UserError ? error.mistake : null };
}

const { options, cancelled } = workerData as { options: DecoderOptions; cancelled: Int32Array };
/** Whether the text at hand is wanted no more; looked at between words. */
const isCancelled = (): boolean => Atomics.load(cancelled, 0) === 1;

try {
  const decoder = await createDecoder(options);
  let last: Promise<unknown> = Promise.resolve();
  const take = async (ask: Ask): Promise<void> => {
    if (ask.type === 'stop') {
      await decoder.release();
      port.close();
      return;
    }
    try {
      const written = await write(decoder, ask.request, (id) => answer({ type: 'token', id }), isCancelled);
      answer({ type: 'written', written });
    } catch (error) {
      answer({ type: 'error', ...failureOf(error) });
    }
  };
  port.on('message', (ask: Ask) => {
    last = last.then(() => take(ask));
  });
  answer({ type: 'ready', maxTokens: decoder.maxTokens });
} catch (error) {
  answer({ type: 'failed', ...failureOf(error) });
  port.close();
}
