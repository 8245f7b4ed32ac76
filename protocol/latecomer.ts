/**
 * @file Coming late. A peer the others are rounds ahead of would drag them back to where it stands. So it asks a few of
 * them for their adapters, and where more than half agree goes on from there, at the round they are at. Those it has
 * exchanged with count a head each; who has exchanged with nobody yet asks whoever is there, and any number of members of
 * one invite are one voice, so that made-up members settle nothing. Whoever invited this peer has said already what the
 * run is: it is a voice of its own, and is believed where no majority agrees. What this peer had itself leaves the mean,
 * which moves by that much and no more; its open exchanges stay as they are.
 */
import { CODECS, type CodecName, decode } from './codec.ts';
import { type Member, memberOf } from './membership.ts';
import { type Outbox, save } from './outbox.ts';
import { normLimit, type Peer, type Question } from './peer.ts';
import { hash32 } from './prng.ts';
import { proved } from './unproven.ts';
import { distance, norm } from './vector.ts';

/** Asked at most: of so many, three that agree with each other and nobody else are no majority. */
const ASKED = 7;
/** Two adapters agree when they are no further apart than this share of the larger one's norm. */
const AGREEMENT = 0.5;
/** How long more members may be heard of once all those asked have answered, where their word is enough (ms). */
const QUIET_MS = 1000;
/** Asked in vain, it lets 1, 2, 4, ... rounds begin before it asks again, and so many at most. */
const MAX_PAUSE_ROUNDS = 32;

/** An adapter to go on with, and the round. */
export interface Found {
  readonly from: string;
  readonly round: number;
  readonly vector: Float32Array;
}

/** Rounds for which who has just come is a newcomer, for by then it may have exchanged only with others that came along with it. */
const NEW_ROUNDS = 3;

/**
 * Whose word on rounds and adapters counts: of those connected the ones this peer has exchanged with, a head each, where
 * there are two, and it was not invited of late and has found nothing to go on with yet; else all of them. Who has finished says nothing to a peer whose partners are still at it.
 */
function voters({ members, exchanged, askedInVain, inviters }: Peer): Member[] {
  const there = [...members.values()].filter((m) => m.connected && m.state !== 'left');
  const isUnderWay = there.some((m) => m.mixed && m.state !== 'finished');
  const counted = isUnderWay ? there.filter((m) => m.state !== 'finished') : there;
  const known = counted.filter((m) => m.mixed);
  const isNew = inviters.length > 0 && (exchanged < NEW_ROUNDS || askedInVain > 0);
  return known.length >= 2 && !isNew ? known : counted;
}

/** What each of these weighs: one that this peer has exchanged with, or was invited by, 1; else all of an invite together. */
function weigher({ members, inviters }: Peer, ids: readonly string[]): (id: string) => number {
  const isKnown = ids.every((id) => members.get(id)?.mixed);
  const voiceOf = (id: string): string =>
    isKnown || inviters.includes(id) ? `peer ${id}` : `invite ${members.get(id)?.invite ?? ''}`;
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(voiceOf(id), (counts.get(voiceOf(id)) ?? 0) + 1);
  return (id) => 1 / counts.get(voiceOf(id))!;
}

/** Whether more than half of these, by weight, are among the chosen. */
function isMajority(peer: Peer, ids: readonly string[], isChosen: (id: string) => boolean): boolean {
  const weightOf = weigher(peer, ids);
  const sum = (some: readonly string[]): number => some.reduce((total, id) => total + weightOf(id), 0);
  return sum(ids.filter(isChosen)) > sum(ids) / 2 + 1e-9;
}

/** Whether most of those whose word counts say that they are two rounds or more beyond this one. */
export function isBehind(peer: Peer, round: number): boolean {
  const heard = voters(peer).filter((m) => m.sequence >= 0 || peer.roster !== null);
  if (!heard.some((m) => m.round > round + 1)) return false; // most often
  const rounds = new Map(heard.map((m) => [m.id, m.round]));
  return isMajority(peer, [...rounds.keys()], (id) => rounds.get(id)! > round + 1);
}

/** Whom to ask: inviters first, then one of each invite, and so on; drawn. */
function askable(peer: Peer): string[] {
  const { id: self, round, inviters } = peer;
  const place = (id: string): number => hash32(`${self}/${round}/${id}`);
  const drawn = voters(peer).sort((a, b) => place(a.id) - place(b.id) || (a.id < b.id ? -1 : 1));
  const before = new Map<string, number>();
  const turns = new Map<string, number>();
  for (const { id, invite } of drawn) {
    turns.set(id, inviters.includes(id) ? -1 : (before.get(invite) ?? 0));
    before.set(invite, (before.get(invite) ?? 0) + 1);
  }
  return drawn
    .map(({ id }) => id)
    .sort((a, b) => turns.get(a)! - turns.get(b)!)
    .slice(0, ASKED);
}

/**
 * Asks them, as one that was at `round`. False where they are too few, or have been asked in vain of late; but who has just
 * come waits a little, since it has hardly heard of anybody yet.
 */
export function ask(peer: Peer, round: number, out: Outbox): boolean {
  const { settings, phase, inviters } = peer;
  if (peer.askingPause > 0) {
    peer.askingPause -= 1;
    return false;
  }
  const asked = askable(peer);
  const isQuorum = asked.length >= 2 || asked.some((id) => inviters.includes(id));
  if (!isQuorum && phase !== 'gathering') return false;
  peer.question = { round, asked, answeredAt: null, answers: {} };
  peer.phase = 'asking';
  peer.deadlineAt = out.now + Math.min(settings.roundDeadlineMs, settings.rejoinMs);
  save(peer);
  out.effects.push({ type: 'timer', name: 'round', at: peer.deadlineAt });
  askAgain(peer, out);
  return true;
}

/** Asks more of those heard of since, as long as there are too few. */
function askMore(peer: Peer, { asked }: Question, out: Outbox): void {
  if (asked.length >= ASKED) return;
  for (const id of askable(peer)) {
    if (asked.length >= ASKED || asked.includes(id)) continue;
    asked.push(id);
    peer.question!.answeredAt = null;
    out.send(id, { type: 'ask', round: peer.round });
  }
}

/** Asks those that have not answered. */
export function askAgain({ question, round }: Peer, out: Outbox): void {
  for (const id of question?.asked ?? []) if (!question!.answers[id]) out.send(id, { type: 'ask', round });
}

/** Gives this peer's adapter to who asks, seldom enough that asking costs others little. */
export function answer(peer: Peer, member: Member, out: Outbox): void {
  const [codec, count] = [peer.settings.codec as CodecName, peer.adapter.length];
  const isOften = member.answeredAt !== undefined && out.now - member.answeredAt < peer.settings.retryMs / 2;
  if (isOften || peer.exchanged < 0 || norm(peer.adapter) > normLimit(peer)) return;
  member.answeredAt = out.now;
  const payload = CODECS[codec].encode(peer.adapter);
  out.send(member.id, { type: 'adapter', round: peer.round, codec, count, payload });
}

/**
 * What to go on with, once it is settled: what most agree on, at the lower median of their rounds; else, at the deadline, what
 * the inviter says; null: nothing. Undefined while answers are waited for.
 */
export function settle(peer: Peer, out: Outbox): Found | null | undefined {
  const { question } = peer;
  if (!question) return null;
  askMore(peer, question, out);
  const { asked } = question;
  const codec = peer.settings.codec as CodecName;
  const answers = Object.keys(question.answers)
    .sort()
    .map((from): Found => {
      const { round, payload } = question.answers[from]!;
      return { from, round, vector: decode(codec, payload, peer.adapter.length)! }; // checked when it came
    });
  const isOver = out.now >= peer.deadlineAt || isQuiet(peer, question, out);
  const agreed = agreedOf(peer, asked, answers);
  // Who has exchanged with nobody may have heard of the wrong ones first, unless somebody that invited it is among them.
  const isEarly = asked.length < ASKED && !asked.every((id) => peer.members.get(id)?.mixed);
  const isSure = agreed !== null && (!isEarly || agreed.some(({ from }) => peer.inviters.includes(from)));
  if (!isSure && !isOver) return undefined;
  peer.question = null;
  // An invite names others too, which its giver has only met: the giver comes first.
  const invited = peer.inviters.map((id) => answers.find((a) => a.from === id)).find((a) => a !== undefined);
  const believed = agreed ?? (invited ? [invited] : []);
  for (const { from } of believed) proved(peer, memberOf(peer, from, out.now)!);
  // Where they are by now; the answers may have been waited for.
  const rounds = believed.map(({ from, round }) => Math.max(round, peer.members.get(from)?.round ?? 0));
  const middle = rounds.sort((a, b) => a - b)[(rounds.length - 1) >> 1];
  const found = middle === undefined ? null : { ...believed[0]!, round: middle };
  peer.askedInVain = found ? 0 : peer.askedInVain + 1;
  peer.askingPause = found ? 0 : Math.min(MAX_PAUSE_ROUNDS, 2 ** (peer.askedInVain - 1));
  return found && found.round > question.round + 1 ? found : null;
}

/** Whether no more answers are to be expected: as many as are asked at most have answered, or all that there are, a while ago. */
function isQuiet(peer: Peer, question: Question, out: Outbox): boolean {
  const { asked, answers } = question;
  if (!asked.every((id) => answers[id])) return false;
  if (asked.length >= ASKED) return true;
  // Strangers alone are not believed so soon: others may not have been heard of yet.
  const isKnown = asked.some((id) => peer.inviters.includes(id)) || asked.every((id) => peer.members.get(id)?.mixed);
  if (asked.length === 0 || !isKnown) return false;
  question.answeredAt ??= out.now;
  const until = question.answeredAt + QUIET_MS;
  if (out.now >= until) return true;
  out.effects.push({ type: 'timer', name: 'round', at: Math.min(until, peer.deadlineAt) });
  return false;
}

/** Answers of more than half of those asked, by weight, that agree with one of them, which comes first; null: none. */
function agreedOf(peer: Peer, asked: readonly string[], answers: readonly Found[]): Found[] | null {
  const groups = answers.map((centre) => {
    const others = answers
      .map((a) => ({ ...a, apart: a === centre ? -1 : apart(a.vector, centre.vector) }))
      .filter((a) => a.apart <= AGREEMENT)
      .sort((a, b) => a.apart - b.apart);
    return { others, spread: others.reduce((sum, a) => sum + Math.max(0, a.apart), 0) / others.length };
  });
  const agreed = groups
    .filter(({ others }) => others.length >= 2 && isMajority(peer, asked, (id) => others.some((a) => a.from === id)))
    .sort((a, b) => b.others.length - a.others.length || a.spread - b.spread);
  return agreed[0]?.others ?? null;
}

/** Goes on with another's adapter. */
export function adopt(peer: Peer, { from, vector }: Found, out: Outbox): void {
  const before = peer.adapter;
  peer.adapter = vector;
  peer.residual = new Float32Array(vector.length);
  save(peer);
  out.effects.push({ type: 'report', metric: { type: 'adopted', round: peer.round, from, before, adapter: vector } });
}

/** ||a - b|| as a share of the larger norm. */
function apart(a: Float32Array, b: Float32Array): number {
  return distance(a, b) / Math.max(norm(a), norm(b), Number.MIN_VALUE);
}
