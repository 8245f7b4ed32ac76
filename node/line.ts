/** @file Frames to a peer, one after the other over one stream, opened at the first and again after a failure. */
import type { Stream } from '@libp2p/interface';
import * as lengthPrefixed from 'it-length-prefixed';
import { pipe } from 'it-pipe';

export interface Line {
  /** Resolves when the frame has left; false where it has not in time, or the line is broken. */
  send(bytes: Uint8Array): Promise<boolean>;
}

interface Waiting {
  readonly bytes: Uint8Array;
  readonly done: (left: boolean) => void;
}

/** A line over the stream that `open` gives; `onEnd` is told once, when it is of no more use. */
export function createLine(options: {
  open: () => Promise<Stream>;
  maxFrameBytes: number;
  deadlineMs: number;
  onEnd: () => void;
}): Line {
  const queue: Waiting[] = [];
  let wake: () => void = () => {};
  let isOver = false;

  /** A frame has left when the stream asks for the next. */
  async function* frames(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const next = queue[0];
      if (next) {
        yield next.bytes;
        queue.shift();
        next.done(true);
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  }
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    options.onEnd();
    for (const { done } of queue.splice(0)) done(false);
  };
  let stream: Stream | null = null;
  const run = async (): Promise<void> => {
    stream = await options.open();
    if (isOver) return stream.abort(new Error('deadline'));
    const encode = (source: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> =>
      lengthPrefixed.encode(source, { maxDataLength: options.maxFrameBytes });
    await pipe(frames, encode as never, stream.sink as never);
  };
  run().then(end, end);
  return {
    send: (bytes) =>
      new Promise((resolve) => {
        if (isOver) return resolve(false);
        const timer = setTimeout(() => {
          stream?.abort(new Error('deadline'));
          end();
        }, options.deadlineMs);
        const done = (left: boolean): void => {
          clearTimeout(timer);
          resolve(left);
        };
        queue.push({ bytes, done });
        wake();
      }),
  };
}
