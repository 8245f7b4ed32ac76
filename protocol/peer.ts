/** @file A peer as a plain object: what it knows, what it keeps, how it comes back after a crash. */
import type { RunSettings } from './config.ts';
import type { Edge, Exchange, Inbox } from './exchange.ts';
import type { Refusal } from './frame.ts';
import { type Members, memberOf, rememberedOf } from './membership.ts';
import type { FactorPair } from './mixing.ts';
import { createReach, type Reach } from './reach.ts';
import type { Phase, Snapshot } from './snapshot.ts';

/** Acquaintances kept in a snapshot. */
const MAX_REMEMBERED = 64;

/** What a peer that comes late waits for. */
export interface Question {
  /** The round this peer was at: who is no further than the next says that it is not late. */
  readonly round: number;
  readonly asked: string[];
  /** Since when all of them have answered (ms); null: not all have. */
  answeredAt: number | null;
  /** Packed adapters, by who sent them. */
  readonly answers: Record<string, { readonly round: number; readonly payload: Uint8Array }>;
}

export interface Peer {
  readonly id: string;
  readonly runId: string;
  readonly settings: RunSettings;
  /** Where the LoRA factors lie, for averaging `product`. */
  readonly factors: readonly FactorPair[];
  /** Everybody, sorted, where that is known beforehand and all can reach all: then nobody announces itself. Else null. */
  readonly roster: readonly string[] | null;
  phase: Phase;
  round: number;
  /** The newest round whose exchange was opened; -1: none. */
  exchanged: number;
  boot: number;
  /** Frames sent since the start. */
  frames: number;
  adapter: Float32Array;
  residual: Float32Array;
  /** Open exchanges, oldest first. */
  exchanges: Exchange[];
  reach: Reach;
  /** Rounds to come that a neighbour has called off its exchange of: none up to that one. */
  readonly declined: Map<string, number>;
  /** Whether something has changed that must survive a crash. */
  isUnsaved: boolean;
  readonly inbox: Inbox;
  members: Members;
  /** Members dialled in vain of late, less those met: how far those it has only heard of are doubted. */
  doubt: number;
  /** Of the members of which no adapter had ever come, about the share that has delivered one of late, and not been waited for in vain. */
  faith: number;
  /** When it will announce itself again (ms). */
  announceAt: number;
  addresses: readonly string[];
  deadlineAt: number;
  /** Since when this round's neighbours are waited for (ms). */
  waitingSince: number;
  /** How long anybody is waited for (ms): learned, at most the run's deadline. */
  swarmMs: number;
  /** When this round's training began, and how long one takes by and by; null: none has been seen (ms). */
  trainingSince: number | null;
  trainingMs: number | null;
  /** Once finished: until then open edges wait for peers that are not connected (ms). */
  lingerUntil: number;
  /** Refused frames by code. */
  refused: Partial<Record<Refusal, number>>;
  /** Frames of a sender that no honest peer sends. */
  strikes: Record<string, number>;
  /** Whether `finish` has been given out. */
  done: boolean;
  /** What is asked of others before going on; null: nothing. */
  question: Question | null;
  /** How often in a row that was in vain, and rounds it still lets begin before it asks again. */
  askedInVain: number;
  askingPause: number;
  /** Whether it waits, between two rounds, for as many as the run wants. */
  isPausing: boolean;
  /** Rounds in a row in which nothing of anybody was mixed, and since when it waits because of that to hear somebody (ms). */
  emptyRounds: number;
  cutOffSince: number | null;
  /** Whether it has waited in vain for as many as the run wants, and goes on with who is there until they are. */
  goesAlone: boolean;
  /** What it was at when it stopped, until it goes on with that. */
  stoppedAt: Phase | null;
  /** Those that invited it, whose word it takes where nobody else is there to agree. */
  readonly inviters: readonly string[];
}

/** Norm beyond which an adapter is never believed, whatever the run says: sums must stay finite. */
const NORM_CEILING = 1e18;

/** The largest norm that is believed, and sent. */
export function normLimit({ settings }: Pick<Peer, 'settings'>): number {
  return settings.maxNorm > 0 ? Math.min(settings.maxNorm, NORM_CEILING) : NORM_CEILING;
}

export function createPeer(options: {
  id: string;
  runId: string;
  settings: RunSettings;
  adapter: Float32Array;
  factors?: readonly FactorPair[];
  roster?: readonly string[] | null;
  inviters?: readonly string[];
}): Peer {
  const { runId, adapter } = options;
  const fresh: Snapshot = {
    runId,
    boot: 0,
    round: 0,
    exchanged: -1,
    phase: 'gathering',
    adapter,
    residual: new Float32Array(adapter.length),
    exchanges: [],
    reach: createReach(),
    declined: [],
    acquaintances: [],
  };
  return restorePeer({ ...options, snapshot: fresh });
}

/** A peer as it was when the snapshot was saved; whoever it knew can be dialled, but must be heard again to count. */
export function restorePeer(options: {
  id: string;
  settings: RunSettings;
  snapshot: Snapshot;
  factors?: readonly FactorPair[];
  roster?: readonly string[] | null;
  inviters?: readonly string[];
}): Peer {
  const { runId, boot, round, exchanged, phase, adapter, residual, exchanges, reach } = options.snapshot;
  const { roster = null } = options;
  const members: Members = new Map();
  for (const { id, addresses, mixed } of options.snapshot.acquaintances) {
    const isKnown = mixed || roster !== null;
    Object.assign(memberOf({ members, roster }, id, 0)!, { addresses, mixed: isKnown, delivers: isKnown });
  }
  for (const { edges } of exchanges) for (const id of Object.keys(edges)) memberOf({ members, roster }, id, 0);
  return {
    id: options.id,
    runId,
    settings: options.settings,
    factors: options.factors ?? [],
    roster,
    phase,
    round,
    exchanged,
    boot,
    frames: 0,
    adapter,
    residual,
    exchanges: copyExchanges(exchanges),
    reach: { ...createReach(), ...reach },
    declined: new Map(options.snapshot.declined),
    isUnsaved: false,
    inbox: new Map(),
    members,
    doubt: 0,
    faith: 1,
    announceAt: 0,
    addresses: [],
    deadlineAt: 0,
    waitingSince: 0,
    swarmMs: options.settings.roundDeadlineMs,
    trainingSince: null,
    trainingMs: null,
    lingerUntil: 0,
    refused: {},
    strikes: {},
    done: false,
    question: null,
    askedInVain: 0,
    askingPause: 0,
    isPausing: false,
    emptyRounds: 0,
    cutOffSince: null,
    goesAlone: false,
    stoppedAt: null,
    inviters: options.inviters ?? [],
  };
}

/** What must survive a crash. */
export function snapshotOf(peer: Peer): Snapshot {
  const { runId, boot, round, exchanged, phase, adapter, residual } = peer;
  const partners = peer.exchanges.flatMap(({ edges }) => Object.keys(edges));
  const acquaintances = rememberedOf(peer.members, MAX_REMEMBERED, partners);
  return {
    runId,
    boot,
    round,
    exchanged,
    phase,
    adapter,
    residual,
    exchanges: copyExchanges(peer.exchanges),
    reach: { moved: peer.reach.moved, distances: peer.reach.distances },
    declined: [...peer.declined].filter(([, declined]) => declined > exchanged).sort(([a], [b]) => (a < b ? -1 : 1)),
    acquaintances,
  };
}

/** Training rounds, then those that only mix. */
export function totalRounds(settings: RunSettings): number {
  return settings.rounds + settings.closingRounds;
}

function copyExchanges(exchanges: readonly Exchange[]): Exchange[] {
  return exchanges.map(({ round, payload, edges }) => {
    const copies: Record<string, Edge> = Object.create(null);
    for (const id of Object.keys(edges)) {
      const { sentAt: _, ...kept } = edges[id]!;
      copies[id] = kept;
    }
    return { round, payload, edges: copies };
  });
}
