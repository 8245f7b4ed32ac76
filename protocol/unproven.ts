/**
 * @file The unproven: members of which no adapter has ever come. Names cost an attacker little, so what those that were drawn of
 * late were good for says how far the others of them are believed: while hardly one has delivered, they are not waited for, and
 * a few of them at a time are drawn. Whoever sends an adapter, drawn or not, is drawn like everybody from then on, and waited
 * for like everybody once an exchange with it has come about.
 */
import type { Member } from './membership.ts';
import type { Peer } from './peer.ts';
import { hash32 } from './prng.ts';

/** How much the last one counts that has delivered, and that has not. */
const [GAIN, LOSS] = [1 / 8, 1 / 4];
/** So far believed they are waited for, and so far they are all drawn. */
const [WAITED_FOR, DRAWN] = [1 / 2, 1 / 4];
/** Few: so many for each that is proven, or as many as make up so many neighbours. */
const [SHARE, LEAST] = [1 / 4, 4];

/** Whether nothing has ever come of it. */
export function isUnproven({ members }: Pick<Peer, 'members'>, id: string): boolean {
  return members.get(id)?.delivers === false;
}

/** Whether those with whom no exchange has come about are worth waiting for. */
export function isWorthWaiting({ faith }: Pick<Peer, 'faith'>): boolean {
  return faith >= WAITED_FOR;
}

/** The share of what others are granted beyond the usual that they are granted too: none, where they are hardly worth it. */
export function graceShare({ faith }: Pick<Peer, 'faith'>): number {
  return Math.max(0, faith - WAITED_FOR) / (1 - WAITED_FOR);
}

/** An adapter of it has come, asked for or not. */
export function proved(peer: Peer, member: Member): void {
  if (!member.delivers) peer.faith += GAIN * (1 - peer.faith);
  member.delivers = true;
}

/** The first exchange with it has come about; if late, it has disappointed nobody. */
export function kept(peer: Peer, member: Member): void {
  const before = Math.min(1, peer.faith / (1 - LOSS) ** member.missed);
  peer.faith = before + GAIN * (1 - before);
  member.delivers = true;
}

/** It was drawn, no exchange with it has come about yet, and nothing of it was there in time. */
export function disappointed(peer: Peer): void {
  peer.faith -= LOSS * peer.faith;
}

/**
 * Those of a round (sorted ids, this peer's among them) that neighbours are drawn of: where the unproven hardly ever deliver,
 * a few of them, in turn, the same for all who know of the same.
 */
export function withoutMostUnproven(peer: Peer, ids: readonly string[], round: number): readonly string[] {
  if (peer.faith >= DRAWN) return ids;
  const unproven = ids.filter((id) => isUnproven(peer, id));
  const proven = ids.length - 1 - unproven.length;
  const most = Math.max(Math.ceil(SHARE * proven), LEAST - proven);
  if (proven === 0 || unproven.length <= most) return ids;
  const place = new Map(unproven.map((id) => [id, hash32(`${peer.runId}/${round}/${id}`)]));
  const left = new Set(unproven.sort((a, b) => place.get(a)! - place.get(b)! || (a < b ? -1 : 1)).slice(most));
  return ids.filter((id) => !left.has(id));
}
