/** @file Messages over a libp2p stream, each with its length before it: frames one way, short questions and their answers. */
import type { Stream } from '@libp2p/interface';
import * as lengthPrefixed from 'it-length-prefixed';
import { pipe } from 'it-pipe';
import { PIECE_BYTES, PIECE_DEADLINE_MS, SEND_DEADLINE_MS } from './limits.ts';
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

/** Sends many bytes in pieces. */
export function sendWhole(stream: Stream, bytes: Uint8Array): Promise<void> {
  return pipe(piecesOf(bytes), (source) => lengthPrefixed.encode(source), stream.sink);
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

/** Takes in exactly `count` bytes, each piece in time; null where they are fewer, more, or too slow. */
export async function receiveWhole(
  stream: Stream,
  count: number,
  onProgress: (done: number, total: number) => void,
): Promise<Uint8Array | null> {
  const whole = new Uint8Array(count);
  const expect = (): NodeJS.Timeout => setTimeout(() => stream.abort(new Error('deadline')), PIECE_DEADLINE_MS);
  let [at, timer] = [0, expect()];
  try {
    for await (const piece of lengthPrefixed.decode(stream.source, { maxDataLength: PIECE_BYTES })) {
      clearTimeout(timer);
      timer = expect();
      if (at + piece.length > count) return null;
      whole.set(piece.subarray(), at);
      at += piece.length;
      onProgress(at, count);
    }
  } catch {
    // cut off or too slow
  } finally {
    clearTimeout(timer);
  }
  return at === count ? whole : null;
}
