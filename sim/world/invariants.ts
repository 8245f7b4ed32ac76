/** @file What must hold of a peer after every event, whatever the network, the disk and its neighbours do. */
import type { CodecName } from '../../protocol/codec.ts';
import type { Effect, Event, Metric } from '../../protocol/events.ts';
import { decodeFrame, type Frame } from '../../protocol/frame.ts';
import { MAX_MEMBERS } from '../../protocol/membership.ts';
import { normLimit } from '../../protocol/peer.ts';
import type { Snapshot } from '../../protocol/snapshot.ts';
import { norm } from '../../protocol/vector.ts';
import { quickHash } from './digest.ts';
import type { Seat } from './world.ts';

/** Parcels a peer may hold for rounds to come (protocol/receive.ts), and one for each open edge. */
const MAX_HELD = 256;

export interface Watch {
  /** To be called after every event with the effects carried out. */
  readonly look: (seat: Seat, event: Event, done: readonly Effect[], now: number) => void;
  /** The first thing that did not hold, and when (virtual ms); null: all did. */
  readonly problem: () => { readonly atMs: number; readonly problem: string } | null;
  /** The first exchange between two of these that one end has mixed and the other has not, of those that have ended; or null. */
  readonly uneven: (ids: readonly string[]) => string | null;
}

interface Seen {
  life: number;
  disk: Snapshot | null;
  round: number;
  exchanged: number;
  sequence: number;
  /** The adapter that was looked at last; a vector does not change. */
  sound: Float32Array | null;
  /** Adapters that are durably mixed in: whose of which round. */
  readonly mixed: Set<string>;
}

export function createWatch(): Watch {
  const all = new Map<string, Seen>();
  let first: { atMs: number; problem: string } | null = null;
  return {
    problem: () => first,
    uneven: (ids) => {
      for (const id of ids) {
        for (const key of all.get(id)?.mixed ?? []) {
          const [round, other] = key.split('/') as [string, string];
          if (ids.includes(other) && !all.get(other)?.mixed.has(`${round}/${id}`))
            return `${id} has mixed round ${round} of ${other}, which has not mixed its`;
        }
      }
      return null;
    },
    look: (seat, event, done, now) => {
      if (first) return;
      const { id } = seat.peer;
      const seen = all.get(id) ?? unseen();
      all.set(id, seen);
      const problem = stateProblem(seat, seen) ?? effectsProblem(seat, seen, done);
      if (problem)
        first = { atMs: now, problem: `${id}, after ${event.type} at ${now} ms, round ${seat.peer.round}: ${problem}` };
    },
  };
}

function unseen(): Seen {
  return { life: -1, disk: null, round: 0, exchanged: -1, sequence: -1, sound: null, mixed: new Set() };
}

/** Rounds rise, exchanges are in order and bounded, numbers are sane. */
function stateProblem({ peer, life }: Seat, seen: Seen): string | null {
  // A crash takes a peer back to what it saved.
  const floor = life === seen.life ? seen : { round: seen.disk?.round ?? 0, exchanged: seen.disk?.exchanged ?? -1 };
  const { round, exchanged, exchanges, adapter, settings } = peer;
  if (round < floor.round) return `round fell from ${floor.round}`;
  if (exchanged < floor.exchanged) return `the last exchange fell from ${floor.exchanged} to ${exchanged}`;
  Object.assign(seen, { life, round, exchanged });
  // Loops without a list of their own, since this runs after every event.
  const partners = new Set<string>();
  let [last, edges, held] = [-1, 0, 0];
  for (const exchange of exchanges) {
    if (exchange.round > exchanged || exchange.round <= last)
      return `exchanges out of order: ${exchanges.map((e) => e.round)}`;
    last = exchange.round;
    for (const id of Object.keys(exchange.edges)) {
      edges += 1;
      partners.add(id);
    }
  }
  // As many again with those that are not waited for.
  if (exchanges.length > 2 * settings.maxOpenRounds) return `${exchanges.length} exchanges are open`;
  if (partners.size < edges) return `two exchanges are open with one of ${[...partners]}`;
  for (const ofRound of peer.inbox.values()) held += ofRound.size;
  if (held > MAX_HELD + edges) return `${held} adapters are held`;
  if (peer.members.size > MAX_MEMBERS) return `${peer.members.size} members`;
  if (adapter === seen.sound) return null;
  if (!(norm(adapter) <= normLimit(peer))) return `the adapter's norm is ${norm(adapter)}`;
  seen.sound = adapter;
  return null;
}

/** What is sent is durable, once and for all, before it is sent. */
function effectsProblem({ peer }: Seat, seen: Seen, done: readonly Effect[]): string | null {
  const limits = { runId: peer.runId, count: peer.adapter.length, codec: peer.settings.codec as CodecName };
  for (const effect of done) {
    let problem: string | null = null;
    if (effect.type === 'save') seen.disk = effect.snapshot;
    if (effect.type === 'report') problem = mixedProblem(effect.metric, seen);
    if (effect.type === 'send' || effect.type === 'publish') {
      const decoded = decodeFrame(effect.bytes, limits, quickHash);
      if (!decoded.ok) return `sent a frame that is ${decoded.code}`;
      problem = sentProblem(decoded.frame, effect.type === 'send' ? effect.to : '', seen);
    }
    if (problem) return problem;
  }
  return null;
}

/** What is reported as mixed has been saved: once and for all. */
function mixedProblem(metric: Metric, { mixed }: Seen): string | null {
  if (metric.type !== 'mixed' && metric.type !== 'late') return null;
  for (const { id, round } of metric.with) {
    const key = `${round}/${id}`;
    if (mixed.has(key)) return `mixed round ${key} a second time`;
    mixed.add(key);
  }
  return null;
}

function sentProblem({ message, sequence }: Frame, to: string, seen: Seen): string | null {
  const { round } = message;
  // Copies of one adapter for many neighbours share a number.
  if (message.type !== 'data') {
    if (sequence <= seen.sequence) return `number ${sequence} was used before`;
    seen.sequence = sequence;
  }
  const exchange = seen.disk?.exchanges.find((e) => e.round === round);
  if (message.type === 'data') {
    const isSame = exchange?.payload.every((b, i) => b === message.payload[i]) ?? false;
    return isSame ? null : `sent an adapter of round ${round} that is not saved`;
  }
  const edge = exchange?.edges[to];
  if (message.type === 'ack' && edge?.received === false)
    return `acknowledged round ${round} of ${to} before it was saved`;
  if (message.type === 'cancel' && !edge?.cancelling) return `asked ${to} out of round ${round} before it was saved`;
  if (message.type === 'nack' && edge?.received === false)
    return `told ${to} that round ${round} is over while it is open`;
  return null;
}
