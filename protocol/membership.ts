/** @file Who is in the run, as far as this peer has heard: announcements signed by their author, and open connections. */
import type { Acquaintance, MemberState } from './frame.ts';
import type { Known } from './snapshot.ts';

/** What somebody takes until its adapter is here, from when this peer had its own on (ms): mean, mean deviation. */
export interface Habit {
  readonly mean: number;
  readonly deviation: number;
}

export interface Member {
  readonly id: string;
  /** The invite it was let in by, as the driver has verified; '' for the first of a run, and for all where none is needed. */
  invite: string;
  state: MemberState;
  /** The highest round heard of it. */
  round: number;
  sequence: number;
  addresses: readonly string[];
  /** When it was last heard (ms). */
  heardAt: number;
  /** Announcements of this peer's own since then. */
  silence: number;
  /** The same, while an exchange is open with it, since it last did anything to settle one. */
  unsettled: number;
  connected: boolean;
  /** Whether a dial has been asked for since it was last seen connected. */
  dialled: boolean;
  /** Whether it has been connected since this peer's start. */
  met: boolean;
  /** Since it was last connected: when it was last dialled in vain (ms); null: not yet. */
  failedAt: number | null;
  /** Over whose connection it was first told of; '': its own, or not known. */
  toldBy: string;
  /** Whether an adapter of it was mixed here, in this run: kept across restarts. */
  mixed: boolean;
  /** Whether an adapter of it has come, whatever became of it. */
  delivers: boolean;
  /** How long it takes to deliver; null: it has not yet. */
  habit: Habit | null;
  /** Rounds in a row for which it was drawn and did not deliver, and the round it is then tried again in. */
  missed: number;
  retryRound: number;
  /** When it was last given this peer's adapter for the asking (ms). */
  answeredAt?: number;
  /** The last reminder of it that was answered, over the connection there is (ms). */
  reminder?: { readonly type: string; readonly round: number; readonly at: number };
  /** Known from what another said, and not heard itself yet. */
  hearsay: boolean;
}

/** By id. */
export type Members = Map<string, Member>;

export const MAX_MEMBERS = 20_000;
/** Of them, those only others have spoken of. */
const MAX_HEARSAY = 64;
/** Announcements of one's own after which somebody that is silent, or connected and settles nothing, counts as gone for good: a clock may jump. */
const FORGET_AFTER = 30;

/** The member, added if there is room; of a roster, everybody is connected until it turns out otherwise. */
export function memberOf(
  { members, roster }: { readonly members: Members; readonly roster: readonly string[] | null },
  id: string,
  now: number,
): Member | null {
  const known = members.get(id);
  if (known) return known;
  if (members.size >= MAX_MEMBERS) return null;
  const member: Member = {
    id,
    invite: '',
    state: 'joined',
    round: 0,
    sequence: -1,
    addresses: [],
    heardAt: now,
    silence: 0,
    unsettled: 0,
    connected: roster !== null,
    dialled: false,
    met: roster !== null,
    mixed: roster !== null,
    delivers: roster !== null,
    failedAt: null,
    toldBy: '',
    habit: null,
    missed: 0,
    retryRound: 0,
    hearsay: false,
  };
  members.set(id, member);
  return member;
}

/** Somebody another has spoken of, added while there are few such. */
export function hearsayOf(members: Members, { id, addresses }: Acquaintance, now: number): Member | null {
  const known = members.get(id);
  if (!known && [...members.values()].filter((m) => m.hearsay).length >= MAX_HEARSAY) return null;
  const member = known ?? memberOf({ members, roster: null }, id, now);
  if (!member || (known && (!known.hearsay || known.connected))) return member;
  member.hearsay = true;
  member.addresses = addresses;
  return member;
}

/** Whether it was dialled in vain since it was last connected. */
export function isUnreached({ connected, failedAt }: Member): boolean {
  return !connected && failedAt !== null;
}

/** It has been heard, of what it says itself. What others told of it, and what came of that, says nothing of it. */
export function hearItself(member: Member, now: number): void {
  if (member.hearsay) Object.assign(member, { hearsay: false, dialled: false, failedAt: null });
  hear(member, now);
}

/** It has been heard. */
export function hear(member: Member, now: number): void {
  member.heardAt = now;
  member.silence = 0;
}

/** With each announcement of this peer's own: drops who is gone for good and is not needed. */
export function forgetSilent(members: Members, isNeeded: (id: string) => boolean): void {
  for (const member of members.values()) {
    member.silence += 1;
    member.unsettled = isNeeded(member.id) ? member.unsettled + 1 : 0;
    if (isGoneForGood(members, member.id) && !isNeeded(member.id)) members.delete(member.id);
  }
}

/** Whether it has been out of reach, or has settled nothing, for so long that it is not waited for any more. */
export function isGoneForGood(members: Members, id: string): boolean {
  const member = members.get(id);
  if (!member) return false;
  return member.connected ? member.unsettled > FORGET_AFTER : member.silence > FORGET_AFTER;
}

/** Of a roster, how many are remembered at most: their rounds tell how far the others are. */
const MAX_OF_ROSTER = 24;

/** Forgets those of a roster who are as it says, connected, and not needed: the first met first, half of them at a time. */
export function forgetSome(members: Members, isNeeded: (id: string) => boolean): void {
  if (members.size <= MAX_OF_ROSTER) return;
  for (const { id, connected, missed } of members.values()) {
    if (members.size <= MAX_OF_ROSTER / 2) return;
    if (connected && missed === 0 && !isNeeded(id)) members.delete(id);
  }
}

/** Members that announce at the configured pause; more make it longer, so that what each hears a second stays bounded. */
const UNHURRIED_MEMBERS = 8;
/** So many times as long at most, however many say that they are there. */
const MAX_STRETCH = 60;

/** The pause between announcements (ms). */
export function announcementPause(members: Members, pauseMs: number): number {
  const announcing = [...members.values()].filter(
    (m) => m.sequence >= 0 && m.state !== 'left' && !isUnreached(m),
  ).length;
  return Math.round(pauseMs * Math.min(MAX_STRETCH, Math.max(1, announcing / UNHURRIED_MEMBERS)));
}

/** Those heard most lately whose address is known, the connected first. */
export function acquaintancesOf(members: Members, count: number): Acquaintance[] {
  return [...members.values()]
    .filter((m) => m.addresses.length > 0 && m.state !== 'left' && !m.hearsay && !isUnreached(m))
    .sort((a, b) => Number(b.connected) - Number(a.connected) || heardLater(a, b))
    .slice(0, count)
    .map(({ id, addresses }) => ({ id, addresses }));
}

/** Whom to find again after a crash: who is needed first, then those it has exchanged with, then the connected. */
export function rememberedOf(members: Members, count: number, needed: readonly string[]): Known[] {
  const rank = ({ id, mixed, connected, failedAt }: Member): number =>
    (needed.includes(id) ? 8 : 0) + (mixed ? 4 : 0) + (connected ? 2 : 0) + (failedAt === null ? 1 : 0);
  return [...members.values()]
    .filter((m) => m.addresses.length > 0 || m.mixed)
    .filter((m) => needed.includes(m.id) || (m.state !== 'left' && !m.hearsay))
    .sort((a, b) => rank(b) - rank(a) || heardLater(a, b))
    .slice(0, count)
    .map(({ id, addresses, mixed }) => ({ id, addresses, mixed }));
}

function heardLater(a: Member, b: Member): number {
  return b.heardAt - a.heardAt || (a.id < b.id ? -1 : 1);
}

/**
 * Ids of those who take part, or will: announced, neither finished nor gone, not silent for too long. One that was dialled in
 * vain is not given the longer while that many members take to announce themselves; never met, it is given none. Sorted.
 */
export function liveMembers(members: Members, now: number, timing: { timeoutMs: number; pauseMs: number }): string[] {
  const timeoutMs = Math.max(timing.timeoutMs, 3 * announcementPause(members, timing.pauseMs));
  const takesPart = (m: Member): boolean => m.sequence >= 0 && (m.state === 'joined' || m.state === 'gathering');
  const grantedMs = (m: Member): number => (!isUnreached(m) ? timeoutMs : m.met ? timing.timeoutMs : -1);
  return [...members.values()]
    .filter((m) => takesPart(m) && (m.connected || now - m.heardAt <= grantedMs(m)))
    .map((m) => m.id)
    .sort();
}

/** Rounds skipped at once on the mere word of others: a few trainings late are made good, and a lie costs no more. */
const MAX_SKIP = 8;

/**
 * The round to go to next: the one asked for, unless more than half of the others are two or more ahead; then the lower
 * median of theirs, since nobody is left to mix with before it. Never more than a few rounds on, nor beyond `last`.
 */
export function catchUp(round: number, others: readonly number[], last: number): number {
  // Most often nobody is that far ahead.
  if (!others.some((other) => other > round + 1)) return round;
  const sorted = [...others].sort((a, b) => a - b);
  const median = sorted[Math.floor((sorted.length - 1) / 2)]!;
  return median > round + 1 ? Math.max(round, Math.min(median, round + MAX_SKIP, last)) : round;
}
