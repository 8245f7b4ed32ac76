/**
 * @file How long a peer waits for its neighbours: what it has learned of them, not what they say. A neighbour is waited for
 * about as long as it has taken before, estimated as TCP does a round trip (RFC 6298); all of them together no longer than
 * most take, by median and median deviation, which fewer than half cannot move. Who misses two rounds is left out until it
 * delivers again.
 */
import { isHeld } from './exchange.ts';
import type { Habit, Member, Members } from './membership.ts';
import type { Outbox } from './outbox.ts';
import type { Peer } from './peer.ts';
import { disappointed, graceShare, isWorthWaiting, kept, proved } from './unproven.ts';

/** Rounds missed in a row after which somebody is left out. */
const MISSED = 2;
/** One left out is tried again, without being waited for, after 4, 8, ... rounds, and so many at most. */
const MAX_PAUSE_ROUNDS = 32;
/** What is always granted beyond what is expected: a share of this peer's own training, and so much at least (ms). */
const [GRACE_SHARE, MIN_GRACE_MS] = [0.25, 2000];
/** Rounds behind at most of somebody that may be met again soon. */
const NEAR = 8;
/** Gains and multiple of the deviation (RFC 6298, section 2). */
const [MEAN_GAIN, DEVIATION_GAIN, DEVIATIONS] = [1 / 8, 1 / 4, 4];
/** Median deviations beyond the median that all are waited for: about two standard deviations of a normal distribution. */
const SPREADS = 3;
/** The same for somebody new: what comes later is mixed later. */
const USUAL_DEVIATIONS = 2;

/** While the ways of fewer are known, who is new may take twice as long as this peer. */
const FEW = 3;

type Waiting = Pick<Peer, 'settings' | 'members' | 'trainingMs' | 'swarmMs' | 'faith'>;

/** From now on this round's neighbours are waited for. */
export function awaitNeighbours(peer: Peer, out: Outbox): void {
  peer.waitingSince = out.now;
  waitUntil(peer, out.now + peer.swarmMs, out);
}

/** Whether neighbours of the open round are waited for still, each as long as it deserves; sets the timer for the last. */
export function isWaiting(peer: Peer, out: Outbox): boolean {
  const { waitingSince, settings, exchanges, round } = peer;
  const since = exchanges.find((e) => e.round === round)?.openedAt ?? waitingSince;
  const patience = Math.max(0, ...awaited(peer).map((id) => patienceWith(peer, id)));
  const until = Math.min(since + patience, waitingSince + settings.roundDeadlineMs);
  if (out.now >= until) return false;
  if (until !== peer.deadlineAt) waitUntil(peer, until, out);
  return true;
}

function waitUntil(peer: Peer, at: number, out: Outbox): void {
  peer.deadlineAt = at;
  out.effects.push({ type: 'timer', name: 'round', at });
}

/** The neighbours of this round that may still answer. Who is not connected is left for later; a dial is worth waiting for where the two have met. */
export function awaited({ exchanges, round, members, inbox }: Peer): string[] {
  const edges = exchanges.find((e) => e.round === round)?.edges ?? {};
  return Object.keys(edges).filter((id) => {
    if (edges[id]!.received || isHeld(inbox, round, id)) return false;
    const member = members.get(id);
    return !member || (member.state !== 'left' && (member.connected || (member.dialled && member.met)));
  });
}

/** Learns how long a training takes. */
export function trainedAt(peer: Peer, now: number): void {
  if (peer.trainingSince === null) return;
  const tookMs = now - peer.trainingSince;
  peer.trainingMs = peer.trainingMs === null ? tookMs : (peer.trainingMs + tookMs) / 2;
  peer.trainingSince = null;
}

/** The habit after one more exchange. */
function learn(habit: Habit | null, tookMs: number): Habit {
  if (!habit) return { mean: tookMs, deviation: tookMs / 2 };
  const off = tookMs - habit.mean;
  return {
    mean: habit.mean + MEAN_GAIN * off,
    deviation: habit.deviation + DEVIATION_GAIN * (Math.abs(off) - habit.deviation),
  };
}

/** Its adapter is here, so long after this peer's own was ready; null where that round is not known here (yet). */
export function delivered(peer: Peer, member: Member, tookMs: number | null): void {
  if (tookMs === null) proved(peer, member);
  else if (!member.habit) kept(peer, member);
  member.missed = 0;
  if (tookMs === null) return;
  member.habit = learn(member.habit, Math.min(Math.max(0, tookMs), peer.settings.roundDeadlineMs));
  peer.swarmMs = swarmPatience(peer);
}

/** Somebody was drawn for this round and nothing of it was there in time. */
export function missedRound(peer: Peer, id: string): void {
  const { members, round } = peer;
  const member = members.get(id);
  if (!member) return;
  if (!member.habit) disappointed(peer);
  member.missed += 1;
  member.retryRound = round + Math.min(2 ** member.missed, MAX_PAUSE_ROUNDS);
}

/** It is at work, but behind: it is drawn in the next round, though not waited for, so that what it then sends has an edge. */
export function outOfStep(peer: Peer, member: Member, round: number): void {
  const { exchanged } = peer;
  if (round <= exchanged - NEAR) return;
  proved(peer, member);
  member.retryRound = Math.min(member.retryRound, exchanged + 1);
}

/** Whether nobody waits for it: it has missed rounds, or is new where those that are new hardly ever deliver. */
export function isGivenUp(peer: Pick<Peer, 'members' | 'faith'>, id: string): boolean {
  const member = peer.members.get(id);
  return member !== undefined && (member.missed >= MISSED || (!member.habit && !isWorthWaiting(peer)));
}

/** The members of a round without those that are left out of it; the very list where none is. */
export function withoutOverdue(members: Members, ids: readonly string[], round: number): readonly string[] {
  const out = new Set<string>();
  for (const { id, missed, retryRound } of members.values()) if (missed >= MISSED && round < retryRound) out.add(id);
  return out.size === 0 ? ids : ids.filter((id) => !out.has(id));
}

/** How long after this peer's own a neighbour's adapter is waited for (ms); 0 where it is not expected in time. */
function patienceWith(peer: Waiting, id: string): number {
  const { members, swarmMs, trainingMs } = peer;
  const limit = peer.settings.roundDeadlineMs;
  if (isGivenUp(peer, id)) return 0;
  const habit = members.get(id)?.habit ?? null;
  if (!habit && habitsOf(members).length < FEW) {
    // Where somebody has delivered, nobody waits for the others as if all had just begun.
    const isLate = [...members.values()].some(({ delivers }) => delivers);
    return Math.min(limit, Math.max(isLate ? graceOf(peer) : swarmMs, trainingMs ?? limit));
  }
  if (!habit) {
    const usual = Math.min(swarmMs, usualPatience(peer));
    return Math.ceil(usual + graceShare(peer) * Math.min(swarmMs - usual, trainingMs ?? limit));
  }
  return habit.mean > swarmMs ? 0 : Math.min(swarmMs, Math.ceil(expected(habit) + graceOf(peer)));
}

/** How long anybody is waited for (ms): as long as most take; while nobody is known, as long as the setting says. */
function swarmPatience(peer: Waiting): number {
  const limit = peer.settings.roundDeadlineMs;
  const usual = habitsOf(peer.members).map(expected);
  if (usual.length === 0) return limit;
  const middle = median(usual);
  const spread = median(usual.map((ms) => Math.abs(ms - middle)));
  return Math.min(limit, Math.ceil(middle + SPREADS * spread + graceOf(peer)));
}

/** How long somebody of whom nothing is known is waited for (ms): as long as most of the others take. */
function usualPatience({ members }: Waiting): number {
  return Math.ceil(median(habitsOf(members).map(({ mean, deviation }) => mean + USUAL_DEVIATIONS * deviation)));
}

function habitsOf(members: Members): Habit[] {
  return [...members.values()].flatMap(({ habit }) => habit ?? []);
}

function expected({ mean, deviation }: Habit): number {
  return mean + DEVIATIONS * deviation;
}

function graceOf({ trainingMs }: Waiting): number {
  return Math.max(MIN_GRACE_MS, GRACE_SHARE * (trainingMs ?? 0));
}

/** The lower one of an even number. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)]!;
}
