/** @file Messages over a libp2p stream, each with its length before it: frames one way, short questions and their answers. */
import type { Stream } from '@libp2p/interface';
import * as lengthPrefixed from 'it-length-prefixed';
import { pipe } from 'it-pipe';
import { SEND_DEADLINE_MS } from './limits.ts';
import type { Channel } from './line.ts';

/** Frames out over a stream, each with its length before it. */
export function channelOf(stream: Stream, maxDataLength: number): Channel {
  return {
    carry: (frames) => pipe(frames, (source) => lengthPrefixed.encode(source, { maxDataLength }), stream.sink),
    abort: (error) => stream.abort(error),
  };
}

/** Takes in frame after frame until one is not taken; one that is begun must be whole in time. */
export async function receiveFrames(
  stream: Stream,
  options: { maxFrameBytes: number; onFrame: (bytes: Uint8Array) => void; onOversized: () => void },
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const expect = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => stream.abort(new Error('deadline')), SEND_DEADLINE_MS);
  };
  const limits = { maxDataLength: options.maxFrameBytes, onLength: expect };
  try {
    for await (const message of lengthPrefixed.decode(stream.source, limits)) {
      clearTimeout(timer);
      options.onFrame(message.subarray());
    }
    await stream.close();
  } catch (error) {
    if ((error as Error).name === 'InvalidDataLengthError') options.onOversized();
    stream.abort(error as Error);
  } finally {
    clearTimeout(timer);
  }
}

/** Says something, where there is something to say, and gives the answer; null where none comes in time. */
export async function converse(
  stream: Stream,
  question: string,
  maxDataLength: number,
  signal: AbortSignal,
): Promise<string | null> {
  signal.addEventListener('abort', () => stream.abort(new Error('deadline')), { once: true });
  try {
    if (question !== '') await say(stream, question);
    for await (const message of lengthPrefixed.decode(stream.source, { maxDataLength }))
      return new TextDecoder().decode(message.subarray());
  } catch {
    // cut off or too slow
  }
  return null;
}

/** Sends a text as one message, the last. */
export function say(stream: Stream, text: string): Promise<void> {
  return pipe([new TextEncoder().encode(text)], (source) => lengthPrefixed.encode(source), stream.sink);
}
