/** @file Watches the streams that others open on a connection: how fast, how many of no protocol yet, how many of none known. */
import type { Connection, Stream, StreamMuxerFactory } from '@libp2p/interface';
import type { Refusal } from '../protocol/frame.ts';
import { createBuckets } from './buckets.ts';
import { MAX_UNDECIDED_STREAMS, STREAMS, UNKNOWN_STREAMS } from './limits.ts';

interface Watch {
  /** Whose stream it is. */
  readonly find: (stream: Stream) => Connection | undefined;
  readonly onRefuse: (id: string, code: Refusal) => void;
  /** Too much of it: the connection is to be closed for good. */
  readonly onFlood: (connection: Connection) => void;
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
      return factory.createStreamMuxer({
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
    },
  };
}
