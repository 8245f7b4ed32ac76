/**
 * @file Strangers: members this peer has never been connected with. Where anybody's key may announce, over anybody's
 * connection, made-up members cost nothing; so one that was dialled in vain is neither drawn nor counted until it connects
 * itself, as one that nobody can dial does with whomever it draws. Without need members are dialled only while most of those
 * that are turn out not to be there.
 */
import { isUnreached, type Member } from './membership.ts';
import { dial, type Outbox } from './outbox.ts';
import type { Peer } from './peer.ts';

/** Strangers told over one connection that are remembered, beside as many as members have been met. */
const MAX_TOLD = 64;
/** Members dialled in vain, less twice those reached, from which on they are doubted; and how far that counts. */
const [DOUBTED, MAX_DOUBT] = [4, 16];
/** Up to this many connections are made without need, so that announcements find their way. */
const EAGER_CONNECTIONS = 8;
/** Dialled at once, with each reminder, while they are doubted. */
const PROBES = 8;

/** Whether somebody not heard of yet may be remembered, who was told of over that connection; its own is not bounded here. */
export function isRoomFor({ members }: Peer, from: string, via: string): boolean {
  if (via === from || members.has(from)) return true;
  let [told, met] = [0, 0];
  for (const member of members.values()) {
    if (member.met) met += 1;
    else if (member.toldBy === via) told += 1;
  }
  return told < MAX_TOLD + met;
}

/** It could not be reached. */
export function dialledInVain(peer: Peer, member: Member, now: number): void {
  if (member.failedAt === null) peer.doubt = Math.min(MAX_DOUBT, peer.doubt + 1);
  member.failedAt = now;
}

/** It is there after all. */
export function reached(peer: Peer, member: Member): void {
  if (!member.met || member.failedAt !== null) peer.doubt = Math.max(0, peer.doubt - 2);
  member.met = true;
  member.failedAt = null;
}

/** Dials a few of those not tried yet, while strangers are doubted. */
export function probe(peer: Peer, out: Outbox): void {
  if (peer.doubt < DOUBTED) return;
  let count = 0;
  for (const member of peer.members.values()) {
    const isUntried = !member.connected && member.failedAt === null && member.sequence >= 0;
    if (!isUntried || member.dialled || member.state === 'left') continue;
    dial(member, out);
    count += 1;
    if (count >= PROBES) return;
  }
}

/** Connects to someone new while there are few connections; later on, neighbours are dialled when they are drawn. */
export function meet(peer: Peer, member: Member, out: Outbox): void {
  if (!isUnreached(member) && isDiallable(member) && spareOf(peer) > 0) dial(member, out);
}

/** Tries again who was dialled in vain, for it may have been down: the longest ago first, more where there are few connections. */
export function meetAgain(peer: Peer, out: Outbox): void {
  [...peer.members.values()]
    .filter((member) => isUnreached(member) && isDiallable(member))
    .sort((a, b) => a.failedAt! - b.failedAt! || (a.id < b.id ? -1 : 1))
    .slice(0, Math.max(1, spareOf(peer)))
    .forEach((member) => {
      dial(member, out);
    });
}

function isDiallable({ connected, dialled, state, addresses }: Member): boolean {
  return !connected && !dialled && state !== 'left' && addresses.length > 0;
}

/** Connections still to be made without need. */
function spareOf({ members }: Peer): number {
  return EAGER_CONNECTIONS - [...members.values()].filter((m) => m.connected || m.dialled).length;
}
