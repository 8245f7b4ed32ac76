/**
 * @file What has happened to a peer, kept within bounds: made from its metrics, its refusals and its traffic. Reading it costs
 * the peer nothing while nobody looks.
 */
import type { Metric } from '../../protocol/events.ts';
import { frameRound, frameType, type Refusal, ROUND_OFFSET } from '../../protocol/frame.ts';
import type { Member } from '../../protocol/membership.ts';
import type {
  Comparison,
  EdgeRecord,
  Head,
  Notice,
  Patch,
  PeerRecord,
  RoundRecord,
  Subject,
  Traffic,
  Whole,
} from './record.ts';
import { RECORD_VERSION } from './record.ts';

/** The newest rounds are kept, and who was heard of first. */
const [MAX_ROUNDS, MAX_PEERS, MAX_NOTICES] = [4096, 512, 200];
/** Adapters that have come and wait for their round. */
const MAX_ARRIVED = 256;
/** Subscribers hear of what is new so often. */
const PATCH_MS = 250;

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Edge = Writable<EdgeRecord>;
type Round = Writable<Omit<RoundRecord, 'edges'>> & { edges: Map<string, Edge> };
/** What this peer has seen of another; the rest is looked up when somebody asks. */
interface Seen {
  late: number;
  mixed: number;
  clipped: number;
  given: number;
  distance: number | null;
  refused: Partial<Record<Refusal, number>>;
  sent: Writable<Traffic>;
  received: Writable<Traffic>;
}

/** Of a head, what is not counted here. */
type Own = Omit<Head, 'at' | 'beganAt' | 'refused'>;

/** What is looked up when somebody asks. */
export interface Sight {
  readonly subject: Subject;
  readonly head: () => Own;
  readonly members: () => Iterable<Member>;
  readonly isBanned: (id: string) => boolean;
  /** What another calls itself; '': nothing. */
  readonly nameOf: (id: string) => string;
}

export interface Chronicle {
  /** All of it, as JSON. */
  whole(): Whole;
  /** Tells what changes, a few times a second at most; gives what ends that. */
  subscribe(listener: (patch: Patch) => void): () => void;
  note(line: string): void;
  compared(comparison: Comparison): void;
}

/** Its other side, for whoever drives the peer. */
export interface Scribe {
  metric(metric: Metric): void;
  training(round: number): void;
  /** `to` is '' where it goes to everybody. */
  sent(to: string, bytes: Uint8Array): void;
  received(from: string, bytes: Uint8Array): void;
  refused(id: string, code: Refusal): void;
  labelled(round: number, count: number, precision: number | null): void;
  /** Of the adapter that was mixed last. */
  scored(score: number): void;
  /** Something else than rounds has changed. */
  changed(): void;
}

/** Begins a chronicle; `now` is in ms since 1970. */
export function createChronicle(sight: Sight, now: () => number = Date.now): Chronicle & { readonly scribe: Scribe } {
  const beganAt = now();
  const rounds = new Map<number, Round>();
  const seen = new Map<string, Seen>();
  const arrived = new Map<string, { at: number; bytes: number }>();
  const published: Writable<Traffic> = {};
  const refused: Partial<Record<Refusal, number>> = {};
  const notices: Notice[] = [];
  let comparison: Comparison | null = null;
  const listeners = new Set<(patch: Patch) => void>();
  const dirty = { rounds: new Set<number>(), rest: false, notices: false };
  let isTelling = false;

  const headOf = (): Head => ({ ...pickHead(sight.head()), at: now(), beganAt, refused: { ...refused } });
  const stir = (what?: { round?: number; notices?: true }): void => {
    if (listeners.size === 0) return;
    if (what?.round !== undefined) dirty.rounds.add(what.round);
    else if (what?.notices) dirty.notices = true;
    else dirty.rest = true;
    if (!isTelling) setTimeout(tell, PATCH_MS).unref();
    isTelling = true;
  };
  const tell = (): void => {
    isTelling = false;
    const patch: Patch = {
      head: headOf(),
      peers: peersOf(sight, seen),
      ...(dirty.rounds.size > 0 ? { rounds: [...dirty.rounds].flatMap((n) => plainOf(rounds.get(n))) } : {}),
      ...(dirty.notices ? { notices: [...notices] } : {}),
      ...(dirty.rest ? { published: { ...published }, comparison } : {}),
    };
    Object.assign(dirty, { rounds: new Set(), rest: false, notices: false });
    for (const listener of listeners) {
      try {
        listener(patch);
      } catch {
        listeners.delete(listener); // whoever looks on is no reason for the peer to stop
      }
    }
  };

  const roundOf = (round: number): Round => {
    const known = rounds.get(round);
    if (known) return known;
    const fresh: Round = {
      ...{ round, beganAt: now(), trainedAt: null, mixedAt: null, loss: null, score: null, distance: null },
      ...{ crossTerm: null, missed: 0, softLabels: 0, precision: null, edges: new Map() },
    };
    rounds.set(round, fresh);
    if (rounds.size > MAX_ROUNDS) rounds.delete(rounds.keys().next().value!);
    return fresh;
  };
  const edgeOf = (round: number, id: string): Edge => {
    const { edges } = roundOf(round);
    const edge = edges.get(id) ?? {
      ...{ id, sentAt: null, receivedAt: null, sentBytes: 0, receivedBytes: 0, distance: null },
      ...{ isClipped: false, outcome: 'open' as const },
    };
    edges.set(id, edge);
    const key = `${round}/${id}`;
    const parcel = arrived.get(key);
    if (parcel) Object.assign(edge, { receivedAt: parcel.at, receivedBytes: parcel.bytes });
    arrived.delete(key);
    return edge;
  };
  /** Null where there is no room for another. */
  const seenOf = (id: string): Seen | null => {
    const known = seen.get(id);
    if (known || seen.size >= MAX_PEERS) return known ?? null;
    const fresh: Seen = {
      ...{ mixed: 0, late: 0, clipped: 0, given: 0, distance: null },
      ...{ refused: {}, sent: {}, received: {} },
    };
    seen.set(id, fresh);
    return fresh;
  };
  const settle = (round: number, id: string, outcome: Edge['outcome']): void => {
    const edge = rounds.get(round)?.edges.get(id);
    if (edge) edge.outcome = outcome;
    const peer = seenOf(id);
    if (peer) peer.given += 1;
    stir({ round });
  };
  const mixedWith = (exchanged: Extract<Metric, { type: 'late' }>['with'], current: number | null): void => {
    for (const { id, round, distance, isClipped } of exchanged) {
      const isLate = round !== current;
      Object.assign(edgeOf(round, id), { distance, isClipped, outcome: isLate ? 'late' : 'mixed' });
      const peer = seenOf(id);
      if (peer) {
        peer.mixed += 1;
        peer.late += isLate ? 1 : 0;
        peer.clipped += isClipped ? 1 : 0;
        peer.distance = distance;
      }
      stir({ round });
    }
  };

  const scribe: Scribe = {
    training: (round) => {
      roundOf(round);
      stir({ round });
    },
    metric: (metric) => {
      switch (metric.type) {
        case 'trained':
          Object.assign(roundOf(metric.round), { trainedAt: now(), loss: metric.loss });
          stir({ round: metric.round });
          break;
        case 'mixed': {
          const { round, distance, crossTerm, late } = metric;
          mixedWith(metric.with, round);
          Object.assign(roundOf(round), { mixedAt: now(), distance, crossTerm, missed: late });
          stir({ round });
          break;
        }
        case 'late':
          mixedWith(metric.with, null);
          break;
        case 'cancelled':
        case 'abandoned':
          settle(metric.round, metric.with, metric.type);
          break;
        case 'gathering':
        case 'skipped':
        case 'adopted':
        case 'crowded':
        case 'undecided':
        case 'diverged':
          stir();
          break;
      }
    },
    sent: (to, bytes) => {
      const type = kindOf(bytes);
      if (to === '') count(published, type, bytes);
      else {
        const peer = seenOf(to);
        if (peer) count(peer.sent, type, bytes);
      }
      if (type === 'data') {
        const round = frameRound(bytes);
        Object.assign(edgeOf(round, to), { sentAt: now(), sentBytes: bytes.length });
        stir({ round });
      }
      stir();
    },
    received: (from, bytes) => {
      const type = kindOf(bytes);
      const peer = seenOf(from);
      if (peer) count(peer.received, type, bytes);
      stir();
      if (type !== 'data') return;
      // It is not checked yet: it counts where this peer has drawn, or comes to mix, its sender.
      const round = frameRound(bytes);
      const edge = rounds.get(round)?.edges.get(from);
      if (edge?.receivedAt === null) {
        Object.assign(edge, { receivedAt: now(), receivedBytes: bytes.length });
        stir({ round });
      } else if (!edge) {
        arrived.set(`${round}/${from}`, { at: now(), bytes: bytes.length });
        if (arrived.size > MAX_ARRIVED) arrived.delete(arrived.keys().next().value!);
      }
    },
    refused: (id, code) => {
      refused[code] = (refused[code] ?? 0) + 1;
      const peer = seenOf(id);
      if (peer) peer.refused[code] = (peer.refused[code] ?? 0) + 1;
      stir();
    },
    labelled: (round, softLabels, precision) => {
      Object.assign(roundOf(round), { softLabels, precision });
      stir({ round });
    },
    scored: (score) => {
      const last = [...rounds.values()].findLast(({ mixedAt }) => mixedAt !== null);
      if (!last) return;
      last.score = score;
      stir({ round: last.round });
    },
    changed: () => stir(),
  };
  return {
    scribe,
    whole: () => ({
      version: RECORD_VERSION,
      subject: sight.subject,
      head: headOf(),
      rounds: [...rounds.values()].flatMap(plainOf).sort((a, b) => a.round - b.round),
      peers: peersOf(sight, seen),
      published: { ...published },
      notices: [...notices],
      comparison,
    }),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    note: (text) => {
      notices.push({ at: now(), text });
      if (notices.length > MAX_NOTICES) notices.shift();
      stir({ notices: true });
    },
    compared: (result) => {
      comparison = result;
      stir();
    },
  };
}

/** These fields and no other of what may hold more. */
function pickHead({
  phase,
  round,
  members,
  wanted,
  awaited,
  untilMs,
  isPausing,
  labelled,
  unlabelled,
  ...rest
}: Own): Own {
  const { sentBytes, receivedBytes, diverged, adoptedFrom, undecided } = rest;
  return {
    ...{ phase, round, members, wanted, awaited, untilMs, isPausing, labelled, unlabelled },
    ...{ sentBytes, receivedBytes, diverged, adoptedFrom, undecided },
  };
}

function kindOf(bytes: Uint8Array): keyof Traffic {
  return (bytes.length >= ROUND_OFFSET + 4 ? frameType(bytes) : null) ?? 'unknown';
}

function count(traffic: Writable<Traffic>, kind: keyof Traffic, bytes: Uint8Array): void {
  const before = traffic[kind] ?? { count: 0, bytes: 0 };
  traffic[kind] = { count: before.count + 1, bytes: before.bytes + bytes.length };
}

function plainOf(round: Round | undefined): RoundRecord[] {
  return round ? [{ ...round, edges: [...round.edges.values()].map((edge) => ({ ...edge })) }] : [];
}

const NOTHING: Seen = {
  ...{ mixed: 0, late: 0, clipped: 0, given: 0, distance: null },
  ...{ refused: {}, sent: {}, received: {} },
};

/** Those that were met, and members that were not, while there is room. */
function peersOf({ members, isBanned, nameOf, subject }: Sight, seen: ReadonlyMap<string, Seen>): PeerRecord[] {
  const known = new Map<string, Member | null>([...seen.keys()].map((id) => [id, null]));
  for (const member of members()) if (known.has(member.id) || known.size < MAX_PEERS) known.set(member.id, member);
  known.delete(subject.id);
  return [...known].map(([id, member]): PeerRecord => {
    const { mixed, late, clipped, given, distance, ...own } = seen.get(id) ?? NOTHING;
    return {
      id,
      name: nameOf(id),
      // Who has connected and said nothing of itself may be a stranger who only asks.
      state: member && member.sequence >= 0 ? member.state : 'unknown',
      isConnected: member?.connected ?? false,
      round: member?.round ?? 0,
      waitMs: member?.habit?.mean ?? null,
      missed: member?.missed ?? 0,
      ...{ mixed, late, clipped, given, distance },
      refused: { ...own.refused },
      isBanned: isBanned(id),
      sent: { ...own.sent },
      received: { ...own.received },
    };
  });
}
