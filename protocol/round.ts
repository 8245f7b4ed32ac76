/** @file The rounds: train, exchange with this round's neighbours, mix, go on; and when to stop waiting. */

import { CODECS, type CodecName } from './codec.ts';
import type { TrainStats } from './events.ts';
import {
  closeFinished,
  dropUnsent,
  type Exchange,
  hold,
  isHeld,
  isPartner,
  openExchange,
  type Parcel,
  takeUpTo,
} from './exchange.ts';
import { ask, askable, isAnswered } from './latecomer.ts';
import { catchUp, forgetSome, liveMembers } from './membership.ts';
import { type Contribution, crossTerm, edgeWeight, mixAs, packedSource, type Source, whole } from './mixing.ts';
import { drawNeighbours, drawOf } from './neighbours.ts';
import { type Outbox, save, sendData } from './outbox.ts';
import { normLimit, type Peer, totalRounds } from './peer.ts';
import { isFiniteVector } from './vector.ts';

/** Goes on, round after round, until something must be waited for: members, neighbours, the trainer or the deadline. */
export function advance(peer: Peer, out: Outbox): void {
  if (peer.phase === 'gathering') gather(peer, out);
  if (peer.phase === 'asking' && isAnswered(peer, out)) enterRound(peer, out);
  const isReady = (): boolean => out.now >= peer.deadlineAt || !isWaiting(peer);
  while (peer.phase === 'exchanging' && isReady()) finishExchange(peer, out);
  if (peer.phase === 'finished') {
    mixInbox(peer, out);
    maybeFinish(peer, out);
  }
}

function gather(peer: Peer, out: Outbox): void {
  const present = view(peer, out.now).length;
  // Once others are past the first round a quorum need not be waited for: some of it may have left.
  const underway = [...peer.members.values()].some((m) => m.round > 0 && m.sequence >= 0);
  const returning = Number.isFinite(peer.deadlineAt);
  const wanted = returning || underway ? Math.min(2, peer.settings.minPeers) : peer.settings.minPeers;
  out.effects.push({ type: 'report', metric: { type: 'gathering', members: present, wanted } });
  const isOver = present === 1 && [...peer.members.values()].some((m) => m.state === 'finished' && m.connected);
  if (isOver && wanted > 1 && !returning) {
    // All others have finished, as it seems: a while for one that has not to be heard.
    peer.deadlineAt = out.now + peer.settings.rejoinMs;
    out.effects.push({ type: 'timer', name: 'round', at: peer.deadlineAt });
  }
  if (present < wanted && out.now < peer.deadlineAt) return;
  const isAsking = peer.wasAsking && ask(peer, peer.round, out); // it stopped in the middle of that
  peer.wasAsking = false;
  if (!isAsking && peer.exchanged < peer.round) {
    beginRound(peer, peer.round, out);
  } else if (!isAsking) {
    peer.phase = 'exchanging';
    awaitNeighbours(peer, out);
  }
  out.announce();
}

/** The members that take part, this peer among them, sorted. */
function view(peer: Peer, now: number): readonly string[] {
  return peer.roster ?? [...others(peer, now), peer.id].sort();
}

/** The others that take part; of a roster, those heard of late. */
function others(peer: Peer, now: number): string[] {
  if (peer.roster) return [...peer.members.keys()];
  const { memberTimeoutMs, announceMs } = peer.settings;
  return liveMembers(peer.members, now, { timeoutMs: memberTimeoutMs, pauseMs: announceMs });
}

export function beginRound(peer: Peer, wanted: number, out: Outbox): void {
  peer.round = wanted;
  const over = roundIfOver(peer, wanted, out.now);
  const rounds = others(peer, out.now).map((id) => peer.members.get(id)!.round);
  const round = over ?? catchUp(wanted, rounds, peer.settings.rounds);
  if (round !== wanted) {
    skipTo(peer, wanted, round, out);
    if (ask(peer, round, out)) return;
  }
  enterRound(peer, out);
}

/** The end, where all others have reached it and this peer is far from it but may have an adapter of theirs; else null. */
function roundIfOver(peer: Peer, wanted: number, now: number): number | null {
  if (others(peer, now).length > 0) return null;
  const end = totalRounds(peer.settings);
  return wanted + 1 < end && askable(peer, end).length >= 2 ? end : null;
}

function enterRound(peer: Peer, out: Outbox): void {
  const { round } = peer;
  if (round >= totalRounds(peer.settings)) {
    peer.phase = 'finished';
    peer.exchanged = totalRounds(peer.settings);
    save(peer, out);
    out.announce();
    linger(peer, out);
  } else if (round >= peer.settings.rounds) {
    exchange(peer, out);
  } else {
    peer.phase = 'training';
    save(peer, out);
    out.effects.push({ type: 'train', round, adapter: peer.adapter, steps: peer.settings.localSteps });
  }
}

/** A finished peer stays while exchanges are open: a while for those not connected, a deadline for all. */
export function linger(peer: Peer, out: Outbox): void {
  peer.lingerUntil = out.now + peer.settings.rejoinMs;
  peer.deadlineAt = out.now + Math.max(peer.settings.rejoinMs, peer.settings.roundDeadlineMs);
  out.effects.push({ type: 'timer', name: 'round', at: peer.lingerUntil });
}

/** Leaves out rounds: no exchange of theirs will be opened, so who sent an adapter for one is told. */
function skipTo(peer: Peer, from: number, to: number, out: Outbox): void {
  out.effects.push({ type: 'report', metric: { type: 'skipped', from, to } });
  peer.round = to;
  peer.exchanged = to - 1;
  save(peer, out); // before anybody is told
  for (const parcel of takeUpTo(peer.inbox, to - 1)) {
    const awaited = peer.exchanges.find((e) => e.round === parcel.round)?.edges[parcel.from];
    if (awaited) hold(peer.inbox, parcel);
    else out.send(parcel.from, { type: 'nack', round: parcel.round });
  }
}

export function trained(peer: Peer, round: number, adapter: Float32Array, stats: TrainStats, out: Outbox): void {
  if (peer.phase !== 'training' || round !== peer.round) return;
  if (isFiniteVector(adapter)) peer.adapter = adapter;
  else out.effects.push({ type: 'report', metric: { type: 'diverged', round } });
  out.effects.push({ type: 'report', metric: { type: 'trained', round, loss: stats.loss } });
  exchange(peer, out);
}

/** Opens this round's exchange: draw neighbours, pack, save, send. */
function exchange(peer: Peer, out: Outbox): void {
  const { settings } = peer;
  const members = view(peer, out.now);
  const drawn = drawNeighbours(drawOf(settings, { runId: peer.runId, round: peer.round, members }), peer.id);
  // Before an exchange is given up for want of room, what is here for it is mixed in.
  const mixed = peer.exchanges.length >= settings.maxOpenRounds ? mixParcels(peer, out) : [];
  const { round, adapter, residual } = peer;
  const open = closeFinished(peer.exchanges);
  const opened = openExchange({ round, neighbours: drawn, open, settings, adapter, residual });
  const { payload, edges } = opened.exchange;
  // What nobody would believe, packed, is not exchanged at all, so that no end mixes alone.
  const size = CODECS[settings.codec as CodecName].norm(payload, adapter.length);
  const isSane = size !== null && size <= normLimit(peer);
  if (!isSane) {
    out.effects.push({ type: 'report', metric: { type: 'diverged', round } });
    for (const id of drawn) delete edges[id];
  }
  peer.residual = opened.residual;
  const all = [...open, opened.exchange];
  const excess = Math.max(0, all.length - settings.maxOpenRounds);
  peer.exchanges = all.slice(excess);
  peer.exchanged = round;
  peer.phase = 'exchanging';
  save(peer, out);
  acknowledge(mixed, out);
  for (const given of all.slice(0, excess)) giveUp(given, out);
  sendData(peer, opened.exchange, isSane ? drawn : [], out);
  if (peer.roster) forgetSome(peer.members, (id) => isPartner(peer.exchanges, id));
  awaitNeighbours(peer, out);
}

/** Sets the deadline of the open round. */
export function awaitNeighbours(peer: Peer, out: Outbox): void {
  peer.deadlineAt = out.now + peer.settings.roundDeadlineMs;
  out.effects.push({ type: 'timer', name: 'round', at: peer.deadlineAt });
}

/** Whether a neighbour of this round may still answer. Whoever is not connected is left for later. */
function isWaiting({ exchanges, round, members, inbox }: Peer): boolean {
  const edges = exchanges.find((e) => e.round === round)?.edges ?? {};
  for (const id of Object.keys(edges)) {
    if (edges[id]!.received || isHeld(inbox, round, id)) continue;
    const member = members.get(id);
    const gone = member && (member.state === 'left' || (!member.connected && !member.dialled));
    if (!gone) return true;
  }
  return false;
}

function finishExchange(peer: Peer, out: Outbox): void {
  const round = peer.round;
  const exchange = peer.exchanges.find((e) => e.round === round);
  const edges = Object.entries(exchange?.edges ?? {});
  if (exchange) dropUnsent(exchange, peer.inbox);
  const late = edges.filter(([id, edge]) => !edge.received && !isHeld(peer.inbox, round, id));
  const mixed = mixParcels(peer, out);
  out.effects.push({
    type: 'report',
    metric: {
      type: 'mixed',
      round,
      adapter: peer.adapter,
      neighbours: edges.length,
      mixed: mixed.length,
      late: late.length,
      distance: meanDistance(peer, mixed),
      crossTerm: crossTermOf(peer, mixed),
    },
  });
  peer.round = round + 1;
  beginRound(peer, peer.round, out); // saves, so what follows it may be acknowledged
  acknowledge(mixed, out);
}

/** Mixes what arrived late, at once, and acknowledges it. */
function mixInbox(peer: Peer, out: Outbox): void {
  const mixed = mixParcels(peer, out);
  if (mixed.length === 0) return;
  save(peer, out);
  acknowledge(mixed, out);
}

/** What was mixed. */
interface Mixed extends Contribution {
  readonly parcel: Parcel;
  readonly exchange: Exchange;
  /** ||theirs - mine||. */
  apart: number;
}

/** Adds every parcel whose exchange is open, in a fixed order; leaves those of rounds to come. */
function mixParcels(peer: Peer, out: Outbox): Mixed[] {
  const ready = readyParcels(peer, out);
  if (ready.length === 0) return [];
  const codec = peer.settings.codec as CodecName;
  const source = (payload: Uint8Array): Source => packedSource(codec, payload, peer.adapter.length);
  const sent = new Map<Exchange, Source>();
  const mixed = ready.map(({ parcel, exchange }): Mixed => {
    const mine = sent.get(exchange) ?? source(exchange.payload);
    sent.set(exchange, mine);
    const weight = edgeWeight(exchange.edges[parcel.from]!.degree, parcel.degree);
    return { parcel, exchange, mine, theirs: source(parcel.payload), weight, apart: 0 };
  });
  assertConvex(mixed);
  const squares = new Float64Array(mixed.length);
  peer.adapter = mixAs(peer.settings, peer.factors, peer.adapter, mixed, squares);
  for (const [k, of] of mixed.entries()) {
    of.apart = Math.sqrt(squares[k]!);
    of.exchange.edges[of.parcel.from]!.received = true;
  }
  return mixed;
}

/** Takes out of the inbox what can be mixed; who sent something for a round in which it was not drawn is told. */
function readyParcels(peer: Peer, out: Outbox): Pick<Mixed, 'parcel' | 'exchange'>[] {
  return takeUpTo(peer.inbox, peer.exchanged).flatMap((parcel) => {
    const exchange = peer.exchanges.find((e) => e.round === parcel.round);
    if (exchange?.edges[parcel.from]?.received === false) return [{ parcel, exchange }];
    out.send(parcel.from, { type: 'nack', round: parcel.round });
    return [];
  });
}

/** The weights of one round leave a non-negative rest for oneself, so with it they sum to 1. */
function assertConvex(mixed: readonly Mixed[]): void {
  const sums: Record<number, number> = {};
  for (const { parcel, weight } of mixed) sums[parcel.round] = (sums[parcel.round] ?? 0) + weight;
  if (Object.values(sums).some((sum) => sum > 1 + 1e-12)) throw new Error('mixing weights of a round sum to at most 1');
}

function acknowledge(mixed: readonly Mixed[], out: Outbox): void {
  for (const { parcel } of mixed) out.send(parcel.from, { type: 'ack', round: parcel.round });
}

/** Among what was sent and what came for it; exchanging products there is none. */
function crossTermOf({ settings, factors, adapter }: Peer, mixed: readonly Mixed[]): number | null {
  if (settings.averaging === 'product' || mixed.length === 0 || factors.length === 0) return null;
  const sources = [mixed[0]!.mine, ...mixed.map(({ theirs }) => theirs)];
  return crossTerm(
    sources.map((source) => whole(source, adapter.length)),
    factors,
  );
}

/** Of theirs from what was sent to them, relative to that. */
function meanDistance({ settings, adapter }: Peer, mixed: readonly Mixed[]): number | null {
  if (mixed.length === 0) return null;
  const { norm } = CODECS[settings.codec as CodecName];
  const norms = new Map<Exchange, number>();
  let sum = 0;
  for (const { exchange, apart } of mixed) {
    const own = norms.get(exchange) ?? Math.max(norm(exchange.payload, adapter.length)!, 1e-30);
    norms.set(exchange, own);
    sum += apart / own;
  }
  return sum / mixed.length;
}

/** An exchange there is no room or no time for any more: counted, and the other ends are told whether it was mixed here. */
function giveUp({ round, edges }: Exchange, out: Outbox): void {
  const ids = Object.keys(edges).sort();
  out.effects.push({ type: 'report', metric: { type: 'abandoned', round, edges: ids.length } });
  for (const id of ids) out.send(id, { type: edges[id]!.received ? 'ack' : 'nack', round });
}

/** Finished, and nobody who may still be reached needs something of this peer (or the last deadline has passed). */
function maybeFinish(peer: Peer, out: Outbox): void {
  peer.exchanges = closeFinished(peer.exchanges);
  const open = peer.exchanges.flatMap(({ edges }) => Object.keys(edges));
  const needed = open.some((id) => peer.members.get(id)?.connected || out.now < peer.lingerUntil);
  if (peer.done || (needed && out.now < peer.deadlineAt)) return;
  peer.done = true;
  if (open.length > 0) {
    const given = peer.exchanges;
    peer.exchanges = [];
    save(peer, out);
    for (const exchange of given) giveUp(exchange, out);
  }
  out.effects.push({ type: 'finish' });
}
