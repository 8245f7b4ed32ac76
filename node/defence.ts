/** @file What a host lets in, and how fast: connections, streams, frames, announcements; whoever floods it is refused for good. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection, ConnectionGater, IncomingStreamData, Stream, StreamMuxerFactory } from '@libp2p/interface';
import type { Refusal } from '../protocol/frame.ts';
import { createBuckets } from './buckets.ts';
import { createGate } from './gate.ts';
import { guardStreams } from './guard.ts';
import * as limits from './limits.ts';
import { hostOf, isOverRelay } from './questions.ts';
import { createRoom } from './room.ts';

export interface Defence {
  readonly gater: Pick<ConnectionGater, 'denyInboundConnection' | 'denyInboundEncryptedConnection'>;
  guard(factory: StreamMuxerFactory): StreamMuxerFactory;
  isBanned(id: string): boolean;
  ban(id: string): void;
  /** Its last connection has closed. */
  gone(id: string): void;
  /** Resolves when a frame of this peer may be taken in; throws where it is to be heard no more. */
  frame(from: string, bytes: number): Promise<void>;
  /** Whether an announcement may be read, of whom and passed on by whom. */
  announcement(author: string, via: string): boolean;
  /** Whether a question may be read; where not, its stream is closed. */
  question(incoming: IncomingStreamData): boolean;
  /** Whether a stream of frames is read: of who belongs to the run; where not, it is closed. */
  mayTalk(incoming: IncomingStreamData, belongs: boolean): boolean;
  /** Somebody has asked what it may. */
  heard(incoming: Pick<IncomingStreamData, 'connection'>): void;
  /** How long a frame to a peer may take, and how many bytes may wait for one that does not read. */
  lineTo(id: string): { deadlineMs: number; maxBytes: number; onFull: () => void };
  roomFor(id: string): { reserve: (bytes: number) => boolean; release: (bytes: number) => void };
  stop(): void;
}

export function createDefence(options: {
  maxFrameBytes: number;
  onRefuse: (id: string, code: Refusal) => void;
  connections: () => readonly Connection[];
  /** Closes all connections with a peer. */
  hangUp: (id: string) => void;
  signal: AbortSignal;
}): Defence {
  const { maxFrameBytes, onRefuse, connections, hangUp, signal } = options;
  const banned = new Set<string>();
  const gate = createGate({ onRefuse });
  const frames = createBuckets(limits.FRAMES);
  const held = createBuckets(limits.HELD_FRAMES);
  const authors = createBuckets(limits.ANNOUNCEMENTS);
  const carriers = createBuckets(limits.PASSED_ON);
  const questions = createBuckets(limits.QUESTIONS);
  const unproved = createBuckets(limits.UNPROVED);
  const roomOf = (room: { bytes: number; frames: number }): number => Math.max(room.bytes, room.frames * maxFrameBytes);
  const room = createRoom({ inAll: roomOf(limits.ALL_ROOM), each: roomOf(limits.PEER_ROOM) });
  const sweeping = setInterval(gate.sweep, limits.SWEEP_MS).unref();
  const ban = (id: string): void => {
    banned.add(id);
    if (banned.size > limits.MAX_BANNED) banned.delete(banned.values().next().value!);
    hangUp(id);
  };
  return {
    gater: {
      // Whoever comes by way of a member is apart from that one, and from others at its address.
      denyInboundConnection: (incoming) =>
        !gate.admit(incoming, isOverRelay(incoming) ? incoming.remoteAddr.toString() : hostOf(incoming)),
      denyInboundEncryptedConnection: (id, { timeline }) => {
        gate.identify(timeline, id.toString());
        if (!banned.has(id.toString())) return false;
        onRefuse(id.toString(), 'banned');
        return true;
      },
    },
    guard: (factory) =>
      guardStreams(factory, {
        find: (stream: Stream) => connections().find(({ streams }) => streams.includes(stream)),
        onRefuse,
        onFlood: (connection) => {
          connection.abort(new Error('it floods'));
          ban(connection.remotePeer.toString());
        },
      }),
    isBanned: (id) => banned.has(id),
    ban,
    gone: gate.gone,
    frame: async (from, bytes) => {
      if (banned.has(from)) throw new Error('banned');
      gate.heard(from);
      const tokens = Math.min(limits.MAX_TOKENS, 1 + Math.floor(bytes / limits.TOKEN_BYTES));
      const waitMs = frames.borrow(from, tokens);
      if (waitMs === 0) return;
      onRefuse(from, 'too-fast');
      if (!held.take(from)) ban(from);
      await pause(waitMs, undefined, { signal, ref: false });
      if (banned.has(from)) throw new Error('banned');
    },
    announcement: (author, via) => {
      if (banned.has(author) || banned.has(via)) return false;
      if (carriers.take(via) && authors.take(author)) return true;
      onRefuse(via, 'too-fast');
      return false;
    },
    mayTalk: ({ stream, connection }, belongs) => {
      if (belongs) return true;
      const id = connection.remotePeer.toString();
      onRefuse(id, 'not-admitted');
      stream.abort(new Error('it has not shown that it belongs to the run'));
      if (!unproved.take(id)) ban(id);
      return false;
    },
    heard: ({ connection }) => gate.heard(connection.remotePeer.toString()),
    question: ({ stream, connection }) => {
      const id = connection.remotePeer.toString();
      if (questions.take(id)) return true;
      onRefuse(id, 'too-fast');
      stream.abort(new Error('too many questions'));
      return false;
    },
    lineTo: (id) => ({
      deadlineMs: limits.SEND_DEADLINE_MS,
      maxBytes: roomOf(limits.LINE_ROOM),
      onFull: () => onRefuse(id, 'slow-reader'),
    }),
    roomFor: (id) => ({
      reserve: (bytes) => {
        if (room.reserve(id, bytes)) return true;
        onRefuse(id, 'inbox-full');
        return false;
      },
      release: (bytes) => room.release(id, bytes),
    }),
    stop: () => clearInterval(sweeping),
  };
}
