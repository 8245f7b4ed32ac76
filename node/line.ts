/** @file Frames to a peer, one after the other over one channel, opened at the first and again after a failure. */

/** A way to a peer, open. */
export interface Channel {
  /** Carries frames away as they come; resolves when there are no more, rejects where the way breaks. */
  carry(frames: AsyncIterable<Uint8Array>): Promise<void>;
  abort(error: Error): void;
}

export interface Line {
  /** Resolves when the frame has left; false where it has not in time, or the line is broken. */
  send(bytes: Uint8Array): Promise<boolean>;
}

interface Waiting {
  readonly bytes: Uint8Array;
  readonly done: (left: boolean) => void;
}

/** A line over the channel that `open` gives; `onEnd` is told once, when it is of no more use. */
export function createLine(options: { open: () => Promise<Channel>; deadlineMs: number; onEnd: () => void }): Line {
  const queue: Waiting[] = [];
  let wake: () => void = () => {};
  let isOver = false;
  let channel: Channel | null = null;

  /** A frame has left when the channel asks for the next. */
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
  const run = async (): Promise<void> => {
    channel = await options.open();
    if (isOver) return channel.abort(new Error('deadline'));
    await channel.carry(frames());
  };
  run().then(end, end);
  return {
    send: (bytes) =>
      new Promise((resolve) => {
        if (isOver) return resolve(false);
        const timer = setTimeout(() => {
          channel?.abort(new Error('deadline'));
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
