/**
 * @file The heart: what a peer decides. `step(peer, event, context)` changes the plain object `peer` and gives the effects
 * to carry out, in order. No clock, no dice, no sockets: a network and a simulator run the same code.
 */

import type { CodecName } from './codec.ts';
import type { RunSettings } from './config.ts';
import type { Effect, Event, TrainStats } from './events.ts';
import { closeFinished, type Exchange, openExchange, type Parcel } from './exchange.ts';
import { encodeFrame, type Hash, MAX_ACQUAINTANCES, type MemberState, type Message, type Refusal } from './frame.ts';
import { announcementPause, catchUp, liveMembers, type Member, type Members, memberOf } from './membership.ts';
import { type Contribution, edgeWeight, mix } from './mixing.ts';
import { drawNeighbours, type ScheduleName } from './neighbours.ts';
import { meet, receive, refuse } from './receive.ts';
import type { Phase, Snapshot } from './snapshot.ts';
import { distance, isFinite, norm } from './vector.ts';

export interface Peer {
  readonly id: string;
  readonly runId: string;
  readonly settings: RunSettings;
  phase: Phase;
  round: number;
  /** The newest round whose exchange was opened; -1: none. */
  exchanged: number;
  boot: number;
  /** Frames sent since the start. */
  frames: number;
  adapter: Float32Array;
  residual: Float32Array;
  /** Open exchanges, oldest first; the newest may be complete. */
  exchanges: Exchange[];
  /** Parcels by `round/from`. */
  inbox: Record<string, Parcel>;
  members: Members;
  addresses: readonly string[];
  deadlineAt: number;
  /** Refused frames by code. */
  refused: Partial<Record<Refusal, number>>;
  /** Frames of a sender that no honest peer sends. */
  strikes: Record<string, number>;
  /** Whether `finish` has been given out. */
  done: boolean;
}

/** What the driver lends: the time in ms and a digest. */
export interface Context {
  readonly now: number;
  readonly hash: Hash;
}

/** Frames a start leaves room for before the next start's sequence numbers begin. */
const FRAMES_A_BOOT = 2 ** 32;

export function createPeer(options: { id: string; runId: string; settings: RunSettings; adapter: Float32Array }): Peer {
  const { id, runId, settings, adapter } = options;
  const fresh: Snapshot = {
    runId,
    boot: 0,
    round: 0,
    exchanged: -1,
    phase: 'gathering',
    adapter,
    residual: new Float32Array(adapter.length),
    exchanges: [],
  };
  return restorePeer({ id, settings, snapshot: fresh });
}

/** A peer as it was when the snapshot was saved; whoever it knew must be heard again. */
export function restorePeer(options: { id: string; settings: RunSettings; snapshot: Snapshot }): Peer {
  const { runId, boot, round, exchanged, phase, adapter, residual, exchanges } = options.snapshot;
  return {
    id: options.id,
    runId,
    settings: options.settings,
    phase,
    round,
    exchanged,
    boot,
    frames: 0,
    adapter,
    residual,
    exchanges: copyExchanges(exchanges),
    inbox: {},
    members: {},
    addresses: [],
    deadlineAt: 0,
    refused: {},
    strikes: {},
    done: false,
  };
}

/** Training rounds, then those that only mix. */
export function totalRounds(settings: RunSettings): number {
  return settings.rounds + settings.closingRounds;
}

/** One event in; effects out. */
export function step(peer: Peer, event: Event, context: Context): Effect[] {
  const out = createOutbox(peer, context);
  switch (event.type) {
    case 'start':
      start(peer, event.addresses, out);
      break;
    case 'stop':
      out.announce('left');
      break;
    case 'timer':
      if (event.name === 'announce') announceAgain(peer, out);
      else if (event.name === 'retry') remind(peer, out, Object.keys(peer.members).sort());
      else advance(peer, out);
      break;
    case 'frame':
      receive(peer, event.from, event.bytes, out);
      advance(peer, out);
      break;
    case 'oversized':
      refuse(peer, event.from, 'oversized', out);
      break;
    case 'trained':
      trained(peer, event.round, event.adapter, event.stats, out);
      advance(peer, out);
      break;
    case 'peer':
      connection(peer, event.id, event.up, out);
      advance(peer, out);
      break;
  }
  return out.effects;
}

/** Collects effects; knows how to number and seal frames. */
export interface Outbox {
  readonly effects: Effect[];
  readonly now: number;
  readonly hash: Hash;
  send(to: string, message: Message): void;
  announce(state?: MemberState): void;
}

function createOutbox(peer: Peer, { now, hash }: Context): Outbox {
  const effects: Effect[] = [];
  const seal = (message: Message): Uint8Array =>
    encodeFrame({ message, sequence: peer.boot * FRAMES_A_BOOT + peer.frames++ }, peer.runId, hash);
  return {
    effects,
    now,
    hash,
    send: (to, message) => {
      effects.push({ type: 'send', to, bytes: seal(message) });
    },
    announce: (state) => {
      effects.push({ type: 'publish', bytes: seal(announcement(peer, state)) });
    },
  };
}

function announcement(peer: Peer, state: MemberState = peer.phase === 'finished' ? 'finished' : 'joined'): Message {
  return { type: 'announce', round: peer.round, state, addresses: peer.addresses };
}

function start(peer: Peer, addresses: readonly string[], out: Outbox): void {
  peer.boot += 1;
  peer.addresses = addresses;
  save(peer, out);
  announceAgain(peer, out);
  out.effects.push({ type: 'timer', name: 'retry', at: out.now + peer.settings.retryMs });
  if (peer.phase === 'training') beginRound(peer, peer.round, out);
  else if (peer.phase === 'exchanging') awaitNeighbours(peer, out);
  else advance(peer, out);
}

function announceAgain(peer: Peer, out: Outbox): void {
  out.announce();
  for (const id of Object.keys(peer.members).sort()) meet(peer, peer.members[id]!, out);
  out.effects.push({
    type: 'timer',
    name: 'announce',
    at: out.now + announcementPause(peer.members, peer.settings.announceMs),
  });
}

/** Goes on, round after round, until something must be waited for: members, neighbours, the trainer or the deadline. */
function advance(peer: Peer, out: Outbox): void {
  while (peer.phase === 'exchanging' && (out.now >= peer.deadlineAt || awaited(peer).length === 0))
    finishExchange(peer, out);
  if (peer.phase === 'gathering') gather(peer, out);
  if (peer.phase === 'finished') {
    mixInbox(peer, out);
    maybeFinish(peer, out);
  }
}

function gather(peer: Peer, out: Outbox): void {
  const members = view(peer, out.now).length;
  out.effects.push({ type: 'report', metric: { type: 'gathering', members, wanted: peer.settings.minPeers } });
  if (members >= peer.settings.minPeers) beginRound(peer, 0, out);
}

/** The members that take part, this peer among them, sorted. */
function view(peer: Peer, now: number): string[] {
  return [...others(peer, now), peer.id].sort();
}

function others(peer: Peer, now: number): string[] {
  const { memberTimeoutMs, announceMs } = peer.settings;
  return liveMembers(peer.members, now, { timeoutMs: memberTimeoutMs, pauseMs: announceMs });
}

function beginRound(peer: Peer, wanted: number, out: Outbox): void {
  const rounds = others(peer, out.now).map((id) => peer.members[id]!.round);
  const round = catchUp(wanted, rounds, peer.settings.rounds);
  if (round !== wanted) out.effects.push({ type: 'report', metric: { type: 'skipped', from: wanted, to: round } });
  peer.round = round;
  if (round >= totalRounds(peer.settings)) {
    peer.phase = 'finished';
    peer.deadlineAt = out.now + peer.settings.roundDeadlineMs;
    save(peer, out);
    out.announce();
    out.effects.push({ type: 'timer', name: 'round', at: peer.deadlineAt });
  } else if (round >= peer.settings.rounds) {
    exchange(peer, out);
  } else {
    peer.phase = 'training';
    save(peer, out);
    out.effects.push({ type: 'train', round, adapter: peer.adapter, steps: peer.settings.localSteps });
  }
}

function trained(peer: Peer, round: number, adapter: Float32Array, stats: TrainStats, out: Outbox): void {
  if (peer.phase !== 'training' || round !== peer.round) return;
  if (isFinite(adapter)) peer.adapter = adapter;
  else out.effects.push({ type: 'report', metric: { type: 'diverged', round } });
  out.effects.push({ type: 'report', metric: { type: 'trained', round, loss: stats.loss } });
  exchange(peer, out);
}

/** Opens this round's exchange: draw neighbours, pack, save, send. */
function exchange(peer: Peer, out: Outbox): void {
  const { settings } = peer;
  const draw = { runId: peer.runId, round: peer.round, members: view(peer, out.now), degree: settings.degree };
  const neighbours = drawNeighbours(settings.schedule as ScheduleName, draw, peer.id);
  const codec = settings.codec as CodecName;
  const opened = openExchange({ round: peer.round, neighbours, codec, adapter: peer.adapter, residual: peer.residual });
  peer.residual = opened.residual;
  peer.exchanges = boundExchanges(peer, [...closeFinished(peer.exchanges), opened.exchange], out);
  peer.exchanged = peer.round;
  peer.phase = 'exchanging';
  save(peer, out);
  for (const id of neighbours) sendData(peer, opened.exchange, id, out);
  awaitNeighbours(peer, out);
}

/** Sets the deadline of the open round. */
function awaitNeighbours(peer: Peer, out: Outbox): void {
  peer.deadlineAt = out.now + peer.settings.roundDeadlineMs;
  out.effects.push({ type: 'timer', name: 'round', at: peer.deadlineAt });
}

/** Neighbours of this round that may still answer. Whoever is not connected is left for later. */
function awaited(peer: Peer): string[] {
  const current = peer.exchanges.find((e) => e.round === peer.round);
  return Object.entries(current?.edges ?? {}).flatMap(([id, edge]) => {
    const member = peer.members[id];
    const gone = member && (member.state === 'left' || (!member.connected && !member.dialled));
    return edge.received || gone || peer.inbox[parcelKey(peer.round, id)] ? [] : [id];
  });
}

function finishExchange(peer: Peer, out: Outbox): void {
  const round = peer.round;
  const current = peer.exchanges.find((e) => e.round === round);
  const late = Object.keys(current?.edges ?? {}).filter(
    (id) => !current?.edges[id]!.received && !peer.inbox[parcelKey(round, id)],
  );
  const mixed = mixParcels(peer);
  out.effects.push({
    type: 'report',
    metric: {
      type: 'mixed',
      round,
      adapter: peer.adapter,
      neighbours: Object.keys(current?.edges ?? {}).length,
      mixed: mixed.length,
      late: late.length,
      distance: meanDistance(mixed),
    },
  });
  peer.round = round + 1;
  beginRound(peer, peer.round, out); // saves, so what follows it may be acknowledged
  acknowledge(mixed, out);
}

/** Mixes what arrived late, at once, and acknowledges it. */
function mixInbox(peer: Peer, out: Outbox): void {
  const mixed = mixParcels(peer);
  if (mixed.length === 0) return;
  save(peer, out);
  acknowledge(mixed, out);
}

interface Mixed {
  readonly parcel: Parcel;
  readonly exchange: Exchange;
}

/** Adds every parcel whose exchange is open, in a fixed order; leaves those of rounds to come. */
function mixParcels(peer: Peer): Mixed[] {
  const ready = Object.keys(peer.inbox)
    .sort()
    .flatMap((key): Mixed[] => {
      const parcel = peer.inbox[key]!;
      if (parcel.round > peer.exchanged) return [];
      delete peer.inbox[key];
      const found = peer.exchanges.find((e) => e.round === parcel.round);
      return found?.edges[parcel.from] && !found.edges[parcel.from]!.received ? [{ parcel, exchange: found }] : [];
    });
  const contributions = ready.map(({ parcel, exchange: { degree, sent } }): Contribution => {
    return { weight: edgeWeight(degree, parcel.degree), theirs: parcel.vector, mine: sent };
  });
  assertConvex(ready, contributions);
  if (ready.length > 0) peer.adapter = mix(peer.adapter, contributions);
  for (const {
    parcel,
    exchange: { edges },
  } of ready)
    edges[parcel.from]!.received = true;
  return ready;
}

/** The weights of one round leave a non-negative rest for oneself, so with it they sum to 1. */
function assertConvex(ready: readonly Mixed[], contributions: readonly Contribution[]): void {
  const sums: Record<number, number> = {};
  ready.forEach(({ parcel }, i) => {
    sums[parcel.round] = (sums[parcel.round] ?? 0) + contributions[i]!.weight;
  });
  if (Object.values(sums).some((sum) => sum > 1 + 1e-12)) throw new Error('mixing weights of a round sum to at most 1');
}

function acknowledge(mixed: readonly Mixed[], out: Outbox): void {
  for (const { parcel } of mixed) out.send(parcel.from, { type: 'ack', round: parcel.round });
}

function meanDistance(mixed: readonly Mixed[]): number | null {
  if (mixed.length === 0) return null;
  const each = mixed.map(
    ({ parcel, exchange: { sent } }) => distance(parcel.vector, sent) / Math.max(norm(sent), 1e-30),
  );
  return each.reduce((a, b) => a + b, 0) / each.length;
}

/** Keeps at most maxOpenRounds exchanges; the oldest is given up and counted. */
function boundExchanges(peer: Peer, exchanges: Exchange[], out: Outbox): Exchange[] {
  const excess = Math.max(0, exchanges.length - peer.settings.maxOpenRounds);
  for (const { round, edges } of exchanges.slice(0, excess)) {
    out.effects.push({ type: 'report', metric: { type: 'abandoned', round, edges: Object.keys(edges).length } });
  }
  return exchanges.slice(excess);
}

export function sendData(peer: Peer, { round, degree, payload }: Exchange, to: string, out: Outbox): void {
  const member = memberOf(peer.members, to, out.now);
  if (member && !member.connected && !member.dialled) dial(member, out);
  const codec = peer.settings.codec as CodecName;
  out.send(to, { type: 'data', round, degree, codec, count: peer.adapter.length, payload });
}

export function dial(member: Member, out: Outbox): void {
  member.dialled = true;
  out.effects.push({ type: 'dial', id: member.id, addresses: member.addresses });
}

/** Reminds the given peers of unfinished exchanges. */
function remind(peer: Peer, out: Outbox, ids: readonly string[]): void {
  for (const { round, edges } of peer.exchanges) {
    for (const id of ids) {
      const [edge, member] = [edges[id], peer.members[id]];
      if (!edge || !member) continue;
      if (!member.connected) {
        if (!member.dialled && member.addresses.length > 0) dial(member, out);
        continue;
      }
      if (!edge.acknowledged) out.send(id, { type: 'have', round });
      if (!edge.received && !peer.inbox[parcelKey(round, id)]) out.send(id, { type: 'want', round });
    }
  }
  out.effects.push({ type: 'timer', name: 'retry', at: out.now + peer.settings.retryMs });
}

function connection(peer: Peer, id: string, up: boolean, out: Outbox): void {
  const member = memberOf(peer.members, id, out.now);
  if (!member) return;
  member.connected = up;
  member.dialled = false;
  member.heardAt = out.now;
  if (!up) return;
  out.send(id, announcement(peer));
  const known = Object.values(peer.members).filter((m) => m.connected && m.id !== id && m.addresses.length > 0);
  const newest = known.sort((a, b) => b.heardAt - a.heardAt || (a.id < b.id ? -1 : 1)).slice(0, MAX_ACQUAINTANCES);
  if (newest.length > 0) out.send(id, { type: 'peers', round: peer.round, peers: newest });
  remind(peer, out, [id]);
}

/** Finished, and nobody connected still needs something of this peer (or the last deadline has passed). */
function maybeFinish(peer: Peer, out: Outbox): void {
  peer.exchanges = closeFinished(peer.exchanges);
  const needed = peer.exchanges.some((e) => Object.keys(e.edges).some((id) => peer.members[id]?.connected));
  if (peer.done || (needed && out.now < peer.deadlineAt)) return;
  peer.done = true;
  out.effects.push({ type: 'finish' });
}

/** Hands the driver what must survive a crash before anything that follows is done. */
function save(peer: Peer, out: Outbox): void {
  const { runId, boot, round, exchanged, phase, adapter, residual } = peer;
  const exchanges = copyExchanges(peer.exchanges);
  out.effects.push({ type: 'save', snapshot: { runId, boot, round, exchanged, phase, adapter, residual, exchanges } });
}

function copyExchanges(exchanges: readonly Exchange[]): Exchange[] {
  const copyEdges = (edges: Exchange['edges']): Exchange['edges'] =>
    Object.fromEntries(Object.entries(edges).map(([id, edge]) => [id, { ...edge }]));
  return exchanges.map((e) => ({ ...e, edges: copyEdges(e.edges) }));
}

export function parcelKey(round: number, from: string): string {
  return `${String(round).padStart(10, '0')}/${from}`;
}
