/** @file The rounds: train, exchange with this round's neighbours, mix, go on; and when to stop waiting. */

import { askOut, forgetGone, hasRoom, isAnswerNear, isShy } from './agreement.ts';
import { CODECS, type CodecName } from './codec.ts';
import type { TrainStats } from './events.ts';
import { closeFinished, dropUnsent, edgeOf, hold, isHeld, isPartner, openExchange, takeUpTo } from './exchange.ts';
import { adopt, ask, isBehind, settle } from './latecomer.ts';
import { catchUp, forgetSome, liveMembers, memberOf } from './membership.ts';
import { drawNeighbours, drawOf } from './neighbours.ts';
import { dial, type Outbox, save, sendData } from './outbox.ts';
import { crossTermOf, exchangedOf, mixParcels } from './parcels.ts';
import { awaitNeighbours, delivered, isWaiting, missedRound, trainedAt, withoutOverdue } from './patience.ts';
import { normLimit, type Peer, totalRounds } from './peer.ts';
import { radiusOf } from './reach.ts';
import { isUnproven, withoutMostUnproven } from './unproven.ts';
import { distance, isFiniteVector } from './vector.ts';

/** Goes on, round after round, until something must be waited for: members, neighbours, the trainer or the deadline. */
export function advance(peer: Peer, out: Outbox): void {
  if (peer.goesAlone && view(peer, out.now).length >= peer.settings.minPeers) peer.goesAlone = false;
  if (peer.phase === 'gathering') gather(peer, out);
  if (peer.phase === 'asking') goOnAnswered(peer, out);
  while ((peer.phase === 'opening' && opened(peer, out)) || (peer.phase === 'exchanging' && closed(peer, out)));
  if (peer.phase === 'finished') {
    mixLate(peer, out);
    maybeFinish(peer, out);
  }
}

function gather(peer: Peer, out: Outbox): void {
  const { cutOffSince } = peer;
  const isHere = (id: string): boolean =>
    cutOffSince === null || id === peer.id || peer.members.get(id)!.heardAt > cutOffSince;
  const present = view(peer, out.now).filter(isHere).length;
  // Once others are past the first round a quorum need not be waited for: some of it may have left.
  const underway = [...peer.members.values()].some((m) => m.round > 0 && m.sequence >= 0 && m.connected);
  const { isPausing } = peer;
  const returning = Number.isFinite(peer.deadlineAt) && !isPausing;
  const isEnough = (returning || underway) && !isPausing;
  // Who was invited does not begin by itself.
  const quorum = Math.max(peer.settings.minPeers, peer.inviters.length > 0 && peer.exchanged < 0 ? 2 : 1);
  const wanted = cutOffSince !== null ? 2 : isEnough ? Math.min(2, quorum) : quorum;
  const until = Number.isFinite(peer.deadlineAt) ? peer.deadlineAt : null;
  out.effects.push({ type: 'report', metric: { type: 'gathering', members: present, wanted, until } });
  const finished = [...peer.members.values()].filter((m) => m.state === 'finished' && m.met);
  const isOver = present === 1 && finished.some((m) => m.connected);
  if (isOver && wanted > 1 && !returning && !isPausing) {
    // All others have finished, as it seems: a while for one that has not to be heard.
    peer.deadlineAt = out.now + peer.settings.rejoinMs;
    out.effects.push({ type: 'timer', name: 'round', at: peer.deadlineAt });
  }
  const isVain = isPausing && finished.length > 0; // nobody is to come
  if (present < wanted && out.now < peer.deadlineAt && !isVain) return;
  // After a pause, or to go along with those that are under way; not because nobody has been found yet.
  const isFound = cutOffSince !== null && present >= wanted;
  peer.goesAlone = !isFound && present < peer.settings.minPeers && (isPausing || present >= wanted);
  Object.assign(peer, { isPausing: false, emptyRounds: 0, cutOffSince: null });
  goOn(peer, out);
  out.announce();
}

/** Goes on where it stopped. */
function goOn(peer: Peer, out: Outbox): void {
  const { stoppedAt } = peer;
  peer.stoppedAt = null;
  if (stoppedAt === 'asking' && ask(peer, peer.round - 2, out)) return; // it may have skipped already
  if (peer.exchanged >= peer.round) {
    peer.phase = 'exchanging';
    awaitNeighbours(peer, out);
  } else if (stoppedAt === 'opening') {
    toExchange(peer, out); // it has trained
  } else {
    beginRound(peer, peer.round, out);
  }
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
  if (isDeserted(peer, out.now)) return pause(peer, out);
  const { members, settings } = peer;
  const known = others(peer, out.now).filter((id) => members.get(id)!.mixed);
  const rounds = known.map((id) => members.get(id)!.round);
  const round = catchUp(wanted, rounds, settings.rounds - 1);
  if (round !== wanted) skipTo(peer, wanted, round, out);
  if (isBehind(peer, wanted) && ask(peer, wanted, out)) return;
  enterRound(peer, out);
}

/** Goes on where most of those asked agree to be, if they do, with what they have. */
function goOnAnswered(peer: Peer, out: Outbox): void {
  const found = settle(peer, out);
  if (found === undefined) return;
  if (found && found.round > peer.round) skipTo(peer, peer.round, found.round, out);
  if (found && peer.settings.latecomers === 'adopt') adopt(peer, found, out);
  enterRound(peer, out);
}

/** Rounds in which nothing was mixed after which a peer takes itself for cut off. */
const EMPTY_ROUNDS = 4;

/** Whether nothing of those that it has exchanged with comes any more: connections that are cut look open for a while. */
function isCutOff({ roster, emptyRounds, members }: Peer): boolean {
  return roster === null && emptyRounds >= EMPTY_ROUNDS && [...members.values()].some((m) => m.mixed);
}

/**
 * Whether fewer are here than the run wants, or nobody is to be heard, others may come, and they have not been waited for in
 * vain already.
 */
function isDeserted(peer: Peer, now: number): boolean {
  const { settings, round, roster } = peer;
  const isShort = roster === null && view(peer, now).length < settings.minPeers;
  // Who is past training has nothing to learn by heart, and where somebody has finished nobody is to come.
  const isEnding = round >= settings.rounds || [...peer.members.values()].some((m) => m.state === 'finished' && m.met);
  return (isShort || isCutOff(peer)) && !peer.goesAlone && settings.aloneAfterMs > 0 && !isEnding;
}

/** Waits between two rounds for as many as the run wants, or to hear anybody, for a while. */
function pause(peer: Peer, out: Outbox): void {
  peer.cutOffSince = isCutOff(peer) ? out.now : null;
  peer.phase = 'gathering';
  peer.isPausing = true;
  peer.deadlineAt = out.now + peer.settings.aloneAfterMs;
  save(peer);
  out.effects.push({ type: 'timer', name: 'round', at: peer.deadlineAt });
  gather(peer, out);
}

function enterRound(peer: Peer, out: Outbox): void {
  const { round } = peer;
  if (round >= totalRounds(peer.settings)) {
    peer.phase = 'finished';
    peer.exchanged = totalRounds(peer.settings);
    save(peer);
    out.announce();
    linger(peer, out);
  } else if (round >= peer.settings.rounds) {
    toExchange(peer, out);
  } else {
    peer.phase = 'training';
    peer.trainingSince = out.now;
    save(peer);
    out.effects.push({ type: 'train', round, adapter: peer.adapter, steps: peer.settings.localSteps });
    dialAhead(peer, out);
  }
}

/** Connects, while it trains, to whom it will then need. */
function dialAhead(peer: Peer, out: Outbox): void {
  if (peer.roster) return;
  for (const id of neighboursOf(peer, out.now)) {
    const member = peer.members.get(id)!;
    if (!member.connected && !member.dialled) dial(member, out);
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
  save(peer);
  for (const parcel of takeUpTo(peer.inbox, to - 1)) {
    if (edgeOf(peer.exchanges, parcel.round, parcel.from)) hold(peer.inbox, parcel);
    else out.send(parcel.from, { type: 'nack', round: parcel.round });
  }
}

export function trained(peer: Peer, round: number, adapter: Float32Array, stats: TrainStats, out: Outbox): void {
  if (peer.phase !== 'training' || round !== peer.round) return;
  trainedAt(peer, out.now);
  if (isFiniteVector(adapter)) {
    peer.reach.moved = Math.fround(distance(adapter, peer.adapter));
    peer.adapter = adapter;
  } else out.effects.push({ type: 'report', metric: { type: 'diverged', round } });
  out.effects.push({ type: 'report', metric: { type: 'trained', round, loss: stats.loss } });
  toExchange(peer, out);
}

/** This round's exchange is to be opened, by its deadline at the latest. */
function toExchange(peer: Peer, out: Outbox): void {
  peer.phase = 'opening';
  awaitNeighbours(peer, out);
}

/**
 * Opens this round's exchange: draw neighbours, pack, save, send; false where answers are waited for first. None is opened
 * with a neighbour that owes one, nor with anybody where too many are undecided.
 */
function opened(peer: Peer, out: Outbox): boolean {
  const { round } = peer;
  mixLate(peer, out);
  const drawn = neighboursOf(peer, out.now);
  if (!hasRoom(peer)) makeRoom(peer, out);
  if (out.now < peer.deadlineAt && isAnswerNear(peer, drawn)) return false;
  peer.exchanged = round;
  peer.phase = 'exchanging';
  save(peer);
  for (const id of drawn) if (isPartner(peer.exchanges, id)) missedRound(peer, id);
  if (hasRoom(peer)) {
    const isLeftOut = (id: string): boolean =>
      isPartner(peer.exchanges, id) || (peer.declined.get(id) ?? -1) >= round || (isShyNow && isUnproven(peer, id));
    const isShyNow = isShy(peer);
    send(
      peer,
      drawn.filter((id) => !isLeftOut(id)),
      out,
    );
  } else {
    out.effects.push({ type: 'report', metric: { type: 'crowded', round, open: peer.exchanges.length } });
  }
  if (peer.roster) forgetSome(peer.members, (id) => isPartner(peer.exchanges, id));
  return true;
}

/**
 * This round's neighbours, without those that are left out. Where places count, everybody keeps its own; else the others
 * close up.
 */
function neighboursOf(peer: Peer, now: number): readonly string[] {
  const { settings, runId, round } = peer;
  const all = view(peer, now);
  const closesUp = settings.schedule === 'random-regular';
  const members = closesUp ? withoutMostUnproven(peer, withoutOverdue(peer.members, all, round), round) : all;
  const drawn = drawNeighbours(drawOf(settings, { runId, round, members }), peer.id);
  return closesUp ? drawn : withoutOverdue(peer.members, drawn, round);
}

/** What is undecided is asked out of, and who is gone for good is not waited for. */
function makeRoom(peer: Peer, out: Outbox): void {
  askOut(peer, out);
  forgetGone(peer, out);
  peer.exchanges = closeFinished(peer.exchanges);
}

/** Packs the adapter for these neighbours and sends it. */
function send(peer: Peer, neighbours: readonly string[], out: Outbox): void {
  if (neighbours.length === 0) return;
  const { settings, round, adapter, residual } = peer;
  const { exchange, residual: rest } = openExchange({
    round,
    neighbours,
    settings,
    adapter,
    residual,
    radiusFor: (id) => radiusOf(peer.reach, settings, { round, id, neighbours: neighbours.length }),
  });
  // What nobody would believe, packed, is not exchanged at all, so that no end mixes alone.
  const size = CODECS[settings.codec as CodecName].norm(exchange.payload, adapter.length);
  if (size === null || size > normLimit(peer)) {
    out.effects.push({ type: 'report', metric: { type: 'diverged', round } });
    return;
  }
  peer.residual = rest;
  peer.exchanges = [...peer.exchanges, { ...exchange, openedAt: out.now }];
  for (const id of neighbours) if (isHeld(peer.inbox, round, id)) delivered(peer, memberOf(peer, id, out.now)!, 0);
  sendData(peer, exchange, neighbours, out);
}

/** Ends the open round and goes to the next; false where neighbours are waited for, each as long as it deserves. */
function closed(peer: Peer, out: Outbox): boolean {
  if (isWaiting(peer, out)) return false;
  const { round } = peer;
  const exchange = peer.exchanges.find((e) => e.round === round);
  const edges = Object.entries(exchange?.edges ?? {});
  if (exchange && dropUnsent(exchange, peer.inbox)) save(peer);
  const late = edges.filter(([id, edge]) => !edge.received && !isHeld(peer.inbox, round, id));
  for (const [id] of late) missedRound(peer, id);
  const mixed = mixParcels(peer, out, round);
  const met = exchangedOf(peer, mixed);
  out.effects.push({
    type: 'report',
    metric: {
      type: 'mixed',
      round,
      adapter: peer.adapter,
      neighbours: edges.length,
      mixed: mixed.length,
      late: late.length,
      with: met,
      distance: met.length > 0 ? met.reduce((sum, { distance }) => sum + distance, 0) / met.length : null,
      crossTerm: crossTermOf(peer, mixed),
    },
  });
  peer.emptyRounds = mixed.length > 0 ? 0 : peer.emptyRounds + 1;
  peer.exchanges = closeFinished(peer.exchanges);
  if (!hasRoom(peer)) askOut(peer, out); // the answers come while it trains
  peer.round = round + 1;
  beginRound(peer, peer.round, out);
  return true;
}

/** Mixes what came late, at once. */
function mixLate(peer: Peer, out: Outbox): void {
  const mixed = mixParcels(peer, out);
  peer.exchanges = closeFinished(peer.exchanges);
  if (mixed.length === 0) return;
  peer.emptyRounds = 0;
  out.effects.push({ type: 'report', metric: { type: 'late', with: exchangedOf(peer, mixed) } });
}

/**
 * Finished, and nobody who may still be reached needs something of this peer (or the last deadline has passed). What is
 * undecided then stays in the snapshot, and is settled should both ends come back.
 */
function maybeFinish(peer: Peer, out: Outbox): void {
  if (peer.done) return;
  const open = peer.exchanges.flatMap(({ edges }) => Object.keys(edges)).sort();
  const isNeeded = open.some((id) => peer.members.get(id)?.connected || out.now < peer.lingerUntil);
  if (isNeeded && out.now < peer.deadlineAt) {
    if (out.now >= peer.lingerUntil) askOut(peer, out);
    return;
  }
  peer.done = true;
  if (open.length > 0) out.effects.push({ type: 'report', metric: { type: 'undecided', with: open } });
  out.effects.push({ type: 'finish' });
}
