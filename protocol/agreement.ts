/**
 * @file How an exchange ends where it is not mixed at both ends at once: by agreement, or not at all. Only who has not mixed
 * may ask out; the other end says `ack` (it has mixed, so the first has to) or `nack` (it has not and never will). Both are
 * durable before they are told. So an end that waits for an answer may wait for long; what it keeps so long is bounded.
 */
import { type Edge, type Exchange, edgeOf, isHeld, isUndecided } from './exchange.ts';
import { isGoneForGood } from './membership.ts';
import { type Outbox, save } from './outbox.ts';
import { isGivenUp } from './patience.ts';
import type { Peer } from './peer.ts';
import { isUnproven } from './unproven.ts';

/** Peers whose rounds to come were called off and are remembered as such. */
const MAX_DECLINED = 1024;

/** Whether no exchange of that round with it will ever be opened here; one that is open is another matter. */
export function isPast({ exchanged, declined }: Peer, round: number, id: string): boolean {
  return round <= exchanged || round <= (declined.get(id) ?? -1);
}

/** Forgets an edge and what was held for it: it has ended. */
export function dropEdge(peer: Peer, round: number, id: string): void {
  const exchange = peer.exchanges.find((e) => e.round === round);
  const ofRound = peer.inbox.get(round);
  if (ofRound?.delete(id) && ofRound.size === 0) peer.inbox.delete(round);
  if (exchange?.edges[id]?.received === false) save(peer); // it will not be mixed
  if (exchange) delete exchange.edges[id];
}

/**
 * Who speaks of an exchange of its own has ended all older ones with us, since it opens none before: where we have mixed it
 * has too, where we have not it never will.
 */
export function closeOlder(peer: Peer, round: number, id: string): void {
  for (const exchange of peer.exchanges) if (exchange.round < round) dropEdge(peer, exchange.round, id);
}

/** Asks out of everything that is not mixed at either end, as far as is known, so that there is room again. */
export function askOut(peer: Peer, out: Outbox): void {
  for (const { round, edges } of peer.exchanges) {
    for (const id of Object.keys(edges).sort()) {
      const edge = edges[id]!;
      if (!isUndecided(edge) || edge.cancelling || isHeld(peer.inbox, round, id)) continue;
      if (edge.isUnsent) {
        dropEdge(peer, round, id);
        continue;
      }
      edge.cancelling = true;
      save(peer);
      if (peer.members.get(id)?.connected) out.send(id, { type: 'cancel', round });
    }
  }
}

/** The other end asks out. It has not mixed ours and will not unless it hears that we have mixed theirs. */
export function askedOut(peer: Peer, round: number, from: string, out: Outbox): void {
  const edge = edgeOf(peer.exchanges, round, from);
  if (edge?.received) return out.send(from, { type: 'ack', round });
  if (edge) {
    dropEdge(peer, round, from);
    out.effects.push({ type: 'report', metric: { type: 'cancelled', round, with: from } });
  } else if (!isPast(peer, round, from)) {
    if (peer.declined.size >= MAX_DECLINED && !peer.declined.has(from)) return;
    peer.declined.set(from, round);
    dropEdge(peer, round, from);
    save(peer);
  }
  out.send(from, { type: 'nack', round });
}

/** The other end has mixed ours: so ours has to mix theirs, also where it had asked out. */
export function acknowledged(peer: Peer, round: number, from: string, out: Outbox): void {
  const edge = edgeOf(peer.exchanges, round, from);
  if (!edge) return;
  edge.acknowledged = true;
  edge.cancelling = false;
  if (!edge.received && !isHeld(peer.inbox, round, from)) out.send(from, { type: 'want', round });
}

/** Says again what an open edge waits for. */
export function remindOf(peer: Peer, round: number, id: string, edge: Edge, out: Outbox): void {
  if (edge.cancelling) return out.send(id, { type: 'cancel', round });
  if (!edge.acknowledged && !edge.isUnsent) out.send(id, { type: 'have', round });
  if (!edge.received && !isHeld(peer.inbox, round, id)) out.send(id, { type: 'want', round });
}

/** Rounds open with nobody but those nobody waits for take up room of their own, as much again. */
export function hasRoom(peer: Peer): boolean {
  const { exchanges } = peer;
  const { maxOpenRounds } = peer.settings;
  if (exchanges.length < maxOpenRounds) return true;
  const awaited = exchanges.filter(({ edges }) => Object.keys(edges).some((id) => !isGivenUp(peer, id)));
  return awaited.length < maxOpenRounds && exchanges.length < 2 * maxOpenRounds;
}

/** Whether as many rounds are open with the unproven as there is room for: no more are opened with any of them. */
export function isShy(peer: Peer): boolean {
  const open = peer.exchanges.filter(({ edges }) => Object.keys(edges).some((id) => isUnproven(peer, id)));
  return open.length >= peer.settings.maxOpenRounds;
}

/** For want of room, gives up on neighbours that are gone for good, and says so. */
export function forgetGone(peer: Peer, out: Outbox): void {
  for (const { round, edges } of peer.exchanges) {
    for (const id of Object.keys(edges).sort()) {
      if (!isGoneForGood(peer.members, id)) continue;
      dropEdge(peer, round, id);
      out.effects.push({ type: 'report', metric: { type: 'abandoned', round, with: id } });
    }
  }
}

/** Whether an answer that would help to open a round with these may be had soon: from one that is connected. */
export function isAnswerNear(peer: Peer, drawn: readonly string[]): boolean {
  const isNear = ({ edges }: Exchange, id: string): boolean =>
    id in edges && peer.members.get(id)?.connected === true && !isGivenUp(peer, id);
  // Mixed here, so the other end is at that round, or nearly: an acknowledgement away.
  const owed = peer.exchanges.some((e) => drawn.some((id) => e.edges[id]?.received === true && isNear(e, id)));
  return owed || (!hasRoom(peer) && peer.exchanges.some((e) => Object.keys(e.edges).some((id) => isNear(e, id))));
}
