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
  /** Of no more use: what waits has not left. */
  end(): void;
}

interface Waiting {
  readonly bytes: Uint8Array;
  readonly done: (left: boolean) => void;
}

/**
 * A line over the channel that `open` gives; `onEnd` is told once, when it is of no more use. The deadline is of each frame,
 * from when those before it have left. What finds no room has not left.
 */
export function createLine(options: {
  open: () => Promise<Channel>;
  deadlineMs: number;
  /** Of frames that wait; one always may. */
  maxBytes: number;
  onEnd: () => void;
  /** A frame did not find room. */
  onFull?: () => void;
}): Line {
  const queue: Waiting[] = [];
  let waitingBytes = 0;
  let wake: () => void = () => {};
  let isOver = false;
  let channel: Channel | null = null;
  let timer: NodeJS.Timeout | undefined;

  const end = (): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    options.onEnd();
    channel?.abort(new Error('the line has ended'));
    for (const { done } of queue.splice(0)) done(false);
    waitingBytes = 0;
    wake();
  };
  const watch = (): void => {
    clearTimeout(timer);
    if (queue.length > 0) timer = setTimeout(end, options.deadlineMs);
  };
  /** A frame has left when the channel asks for the next. */
  async function* frames(): AsyncGenerator<Uint8Array> {
    while (!isOver) {
      const next = queue[0];
      if (next) {
        yield next.bytes;
        if (queue[0] === next) {
          queue.shift();
          waitingBytes -= next.bytes.length;
        }
        watch();
        next.done(true);
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  }
  const run = async (): Promise<void> => {
    channel = await options.open();
    if (isOver) return channel.abort(new Error('the line has ended'));
    await channel.carry(frames());
  };
  run().then(end, end);
  return {
    end,
    send: (bytes) =>
      new Promise((resolve) => {
        if (isOver) return resolve(false);
        if (queue.length > 0 && waitingBytes + bytes.length > options.maxBytes) {
          options.onFull?.();
          return resolve(false);
        }
        waitingBytes += bytes.length;
        queue.push({ bytes, done: resolve });
        if (queue.length === 1) watch();
        wake();
      }),
  };
}
