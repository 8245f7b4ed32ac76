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

/**
 * Takes in frame after frame until one is not taken; one that is begun must be whole in time, and the next is not read before
 * it is dealt with. `room` is asked before a frame is read, and told when it is dealt with.
 */
export async function receiveFrames(
  stream: Stream,
  options: {
    maxFrameBytes: number;
    onFrame: (bytes: Uint8Array) => Promise<void>;
    onOversized: () => void;
    room: { reserve: (bytes: number) => boolean; release: (bytes: number) => void };
  },
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let reserved = 0;
  const release = (): void => {
    options.room.release(reserved);
    reserved = 0;
  };
  const expect = (bytes: number): void => {
    if (!options.room.reserve(bytes)) throw new Error('no room');
    reserved = bytes;
    clearTimeout(timer);
    timer = setTimeout(() => stream.abort(new Error('deadline')), SEND_DEADLINE_MS);
  };
  const limits = { maxDataLength: options.maxFrameBytes, onLength: expect };
  try {
    for await (const message of lengthPrefixed.decode(stream.source, limits)) {
      clearTimeout(timer);
      await options.onFrame(message.subarray());
      release();
    }
    await stream.close();
  } catch (error) {
    if ((error as Error).name === 'InvalidDataLengthError') options.onOversized();
    stream.abort(error as Error);
  } finally {
    clearTimeout(timer);
    release();
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

/** Sends a text as one message, the last; to who does not read it, not for ever. */
export function say(stream: Stream, text: string): Promise<void> {
  return sendInTime(stream, [new TextEncoder().encode(text)]);
}

/** Says back the first bytes that come, once. */
export async function echo(stream: Stream): Promise<void> {
  const timer = setTimeout(() => stream.abort(new Error('deadline')), PIECE_DEADLINE_MS);
  try {
    for await (const bytes of stream.source) return await pipe([bytes], stream.sink);
  } catch {
    // cut off or too slow
  } finally {
    clearTimeout(timer);
  }
}

/** Sends many bytes in pieces, each in time. */
export function sendWhole(stream: Stream, bytes: Uint8Array): Promise<void> {
  return sendInTime(stream, piecesOf(bytes));
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

async function sendInTime(stream: Stream, pieces: Iterable<Uint8Array>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  function* watched(): Generator<Uint8Array> {
    for (const piece of pieces) {
      clearTimeout(timer);
      timer = setTimeout(() => stream.abort(new Error('deadline')), PIECE_DEADLINE_MS);
      yield piece;
    }
  }
  try {
    await pipe(watched(), (source) => lengthPrefixed.encode(source), stream.sink);
  } finally {
    clearTimeout(timer);
  }
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
