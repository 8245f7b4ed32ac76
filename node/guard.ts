/** @file Watches the streams that others open on a connection: how fast, how many of no protocol yet, how many of none known. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection, Stream, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface';
import type { Refusal } from '../protocol/frame.ts';
import { createBuckets } from './buckets.ts';
import { MAX_UNDECIDED_STREAMS, STALLED, STREAMS, UNKNOWN_STREAMS } from './limits.ts';

interface Watch {
  /** Whose stream it is. */
  readonly find: (stream: Stream) => Connection | undefined;
  readonly onRefuse: (id: string, code: Refusal) => void;
  /** Too much of it: the connection is to be closed for good. */
  readonly onFlood: (connection: Connection) => void;
}

interface Clock {
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
}

/** The muxer, watched. */
export function guardStreams(factory: StreamMuxerFactory, { find, onRefuse, onFlood }: Watch): StreamMuxerFactory {
  return {
    protocol: factory.protocol,
    createStreamMuxer: (init = {}) => {
      const opened = createBuckets(STREAMS);
      const unknown = createBuckets(UNKNOWN_STREAMS);
      const undecided = new Set<Stream>();
      let connection: Connection | undefined;
      let isOver = false;
      const refuse = (code: Refusal): void => {
        if (connection) onRefuse(connection.remotePeer.toString(), code);
      };
      const end = (): void => {
        if (isOver) return;
        isOver = true;
        if (connection) onFlood(connection);
      };
      const muxer = factory.createStreamMuxer({
        ...init,
        onIncomingStream: (stream) => {
          connection ??= find(stream);
          if (isOver) return stream.abort(new Error('too many streams'));
          for (const other of undecided) if (other.protocol !== undefined) undecided.delete(other);
          const isFast = !opened.take('');
          if (!isFast && undecided.size < MAX_UNDECIDED_STREAMS) {
            undecided.add(stream);
            return init.onIncomingStream?.(stream);
          }
          refuse(isFast ? 'too-fast' : 'unknown-protocol');
          stream.abort(new Error('too many streams'));
          end();
        },
        onStreamEnd: (stream) => {
          if (undecided.delete(stream) && stream.protocol === undefined && !isOver) {
            refuse('unknown-protocol');
            if (!unknown.take('')) end();
          }
          init.onStreamEnd?.(stream);
        },
      });
      return readAsRead(muxer, () => {
        const [stream] = muxer.streams;
        connection ??= stream && find(stream);
        refuse('slow-reader');
        muxer.abort(new Error('it reads nothing'));
      });
    },
  };
}

/**
 * A muxer that answers (pings, resets) no faster than its other end takes answers: while that takes nothing of what waits, little
 * is read of it, though not nothing, or two ends that write at once would wait for each other; after a while `onStalled` is told.
 */
export function readAsRead(
  muxer: StreamMuxer,
  onStalled: () => void,
  { now, wait }: Clock = {
    now: () => performance.now(),
    wait: (ms) => pause(ms, undefined, { ref: false }),
  },
): StreamMuxer {
  let takenAt = now();
  const waitingBytes = (): number => (muxer.source as { readableLength?: number }).readableLength ?? 0;
  async function* taken(): AsyncGenerator<Awaited<ReturnType<typeof muxer.source.next>>['value']> {
    for await (const bytes of muxer.source) {
      takenAt = now();
      yield bytes;
      takenAt = now();
    }
  }
  async function* read<T extends { readonly byteLength: number }>(
    source: AsyncIterable<T> | Iterable<T>,
  ): AsyncGenerator<T> {
    for await (const bytes of source) {
      yield bytes;
      const stalledMs = now() - takenAt;
      if (waitingBytes() < STALLED.waitingBytes || stalledMs < STALLED.afterMs) continue;
      if (stalledMs >= STALLED.closeAfterMs) return onStalled();
      await wait((bytes.byteLength * 1000) / STALLED.readBytes);
    }
  }
  return {
    protocol: muxer.protocol,
    get streams() {
      return muxer.streams;
    },
    newStream: (name) => muxer.newStream(name),
    close: (options) => muxer.close(options),
    abort: (error) => muxer.abort(error),
    source: taken(),
    sink: (source) => muxer.sink(read(source)),
  };
}
