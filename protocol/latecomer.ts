/**
 * @file Coming late. A peer the others are rounds ahead of would drag them back to where it stands. So it asks a few of
 * them for their adapters, takes one that another agrees with, and goes on from there: one liar alone is not believed, but
 * for who invited this peer and so has said already what the run is, where no two agree. What it had itself leaves the mean,
 * which moves by that much and no more; its open exchanges stay as they are.
 */
import { CODECS, type CodecName, decode } from './codec.ts';
import type { Member } from './membership.ts';
import { type Outbox, save } from './outbox.ts';
import { normLimit, type Peer, type Question } from './peer.ts';
import { hash32 } from './prng.ts';
import { distance, norm } from './vector.ts';

/** Asked at once; two of them must agree. */
const ASKED = 4;
/** Two adapters agree when they are no further apart than this share of the larger one's norm. */
const AGREEMENT = 0.5;

/** Whom to ask: some of those that are as far as `round`, drawn, inviters first; none where the run has it otherwise. */
export function askable({ id: self, settings, members, inviters }: Peer, round: number): string[] {
  if (settings.latecomers !== 'adopt') return [];
  const place = (id: string): number => (inviters.includes(id) ? -1 : hash32(`${self}/${round}/${id}`));
  return [...members.values()]
    .filter((m) => m.connected && m.state !== 'left' && m.round >= round)
    .map(({ id }) => id)
    .sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1))
    .slice(0, ASKED);
}

/** Whether these can settle what the swarm's adapter is. */
export function isQuorum({ inviters }: Peer, asked: readonly string[]): boolean {
  return asked.length >= 2 || asked.some((id) => inviters.includes(id));
}

/**
 * Asks them. False where they are too few; but who has just come waits a little, since it has hardly heard of anybody yet.
 */
export function ask(peer: Peer, round: number, out: Outbox): boolean {
  const { settings, phase } = peer;
  const asked = askable(peer, round);
  const isNew = phase === 'gathering' && settings.latecomers === 'adopt';
  if (!isQuorum(peer, asked) && !isNew) return false;
  peer.question = { round, asked, answers: {} };
  peer.phase = 'asking';
  peer.deadlineAt = out.now + Math.min(settings.roundDeadlineMs, settings.rejoinMs);
  save(peer);
  out.effects.push({ type: 'timer', name: 'round', at: peer.deadlineAt });
  askAgain(peer, out);
  return true;
}

/** Asks more of those heard of since, as long as there are too few. */
function askMore(peer: Peer, { asked, round }: Question, out: Outbox): void {
  if (asked.length >= ASKED) return;
  for (const id of askable(peer, round)) {
    if (asked.length >= ASKED || asked.includes(id)) continue;
    asked.push(id);
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
 * Whether two answers agree or nothing more is to be waited for; then the better of the two is this peer's adapter, or the
 * inviter's, if any.
 */
export function isAnswered(peer: Peer, out: Outbox): boolean {
  const { question, settings, adapter: before } = peer;
  if (!question) return true;
  askMore(peer, question, out);
  const codec = settings.codec as CodecName;
  const answers = Object.keys(question.answers)
    .sort()
    .map((from) => ({
      from,
      round: question.answers[from]!.round,
      vector: decode(codec, question.answers[from]!.payload, before.length)!, // checked when it came
    }));
  const pairs = answers.flatMap((a, i) => answers.slice(0, i).map((b) => ({ a, b, apart: apart(a.vector, b.vector) })));
  const closest = pairs.sort((x, y) => x.apart - y.apart)[0];
  const agreed = closest !== undefined && closest.apart <= AGREEMENT ? closest : null;
  const isOver = answers.length >= ASKED || out.now >= peer.deadlineAt;
  if (!agreed && !isOver) return false;
  peer.question = null;
  // An invite names others too, which its giver has only met: the giver comes first.
  const invited = peer.inviters.map((id) => answers.find((a) => a.from === id)).find((a) => a !== undefined);
  const taken = agreed ? (agreed.a.round > agreed.b.round ? agreed.a : agreed.b) : invited;
  if (!taken) return true;
  const { from, vector } = taken;
  peer.adapter = vector;
  peer.residual = new Float32Array(vector.length);
  save(peer);
  out.effects.push({ type: 'report', metric: { type: 'adopted', round: peer.round, from, before, adapter: vector } });
  return true;
}

/** ||a - b|| as a share of the larger norm. */
function apart(a: Float32Array, b: Float32Array): number {
  return distance(a, b) / Math.max(norm(a), norm(b), Number.MIN_VALUE);
}
