/**
 * @file The heart: what a peer decides. `step(peer, event, context)` changes the plain object `peer` and gives the effects
 * to carry out, in order. No clock, no dice, no sockets: a network and a simulator run the same code.
 */

import { remindOf } from './agreement.ts';
import type { Effect, Event, TimerName } from './events.ts';
import { isPartner } from './exchange.ts';
import { MAX_ACQUAINTANCES } from './frame.ts';
import { askAgain } from './latecomer.ts';
import { acquaintancesOf, announcementPause, forgetSilent, hear, memberOf } from './membership.ts';
import { announcement, type Context, dial, Outbox, save, sendData } from './outbox.ts';
import type { Peer } from './peer.ts';
import { receive, refuse } from './receive.ts';
import { advance, linger, trained } from './round.ts';
import { dialledInVain, meet, meetAgain, probe, reached } from './strangers.ts';

/** The event of a type. */
type Of<T extends Event['type']> = Extract<Event, { type: T }>;

/** One event in; effects out. */
export function step(peer: Peer, event: Event, context: Context): Effect[] {
  const out = new Outbox(peer, context);
  switch (event.type) {
    case 'start':
      start(peer, event.addresses, out);
      break;
    case 'moved':
      peer.addresses = event.addresses;
      out.announce();
      break;
    case 'stop':
      out.announce('left');
      break;
    case 'timer':
      fired(peer, event.name, out);
      advance(peer, out);
      break;
    case 'frame':
      receive(peer, event.from, event.via ?? event.from, event.bytes, out);
      advance(peer, out);
      break;
    case 'admitted':
      admitted(peer, event.id, event.invite, out);
      break;
    case 'oversized':
      refuse(peer, event.from, 'oversized', out);
      break;
    case 'trained':
      trained(peer, event.round, event.adapter, event.stats, out);
      advance(peer, out);
      break;
    case 'peer':
      connection(peer, event, out);
      advance(peer, out);
      break;
  }
  return out.finish();
}

function fired(peer: Peer, name: TimerName, out: Outbox): void {
  switch (name) {
    case 'announce':
      return announceAgain(peer, out);
    case 'retry':
      remind(peer, out);
      askAgain(peer, out);
      if (!peer.roster) probe(peer, out);
      if (!peer.roster) hasten(peer, out);
      return remindLater(peer, out);
    case 'round': // a clock may fire early
      if (out.now < peer.deadlineAt) out.effects.push({ type: 'timer', name, at: peer.deadlineAt });
  }
}

function start(peer: Peer, addresses: readonly string[], out: Outbox): void {
  peer.boot += 1;
  peer.addresses = addresses;
  save(peer);
  for (const member of peer.members.values()) hear(member, out.now); // whom the snapshot remembers
  if (!peer.roster) announceAgain(peer, out);
  remindLater(peer, out);
  if (peer.phase === 'finished') linger(peer, out);
  else regather(peer, out);
  advance(peer, out);
}

/** A peer that comes back looks for the others before it goes on: for a while, since they may be gone. */
function regather(peer: Peer, out: Outbox): void {
  const fresh = peer.round === 0 && peer.exchanged < 0;
  const known = peer.members.size > 0;
  peer.stoppedAt = peer.phase;
  peer.phase = 'gathering';
  peer.deadlineAt = fresh ? Number.POSITIVE_INFINITY : out.now + (known ? peer.settings.rejoinMs : 0);
  if (!fresh) out.effects.push({ type: 'timer', name: 'round', at: peer.deadlineAt });
}

function announceAgain(peer: Peer, out: Outbox): void {
  out.announce();
  const { settings, members, exchanges } = peer;
  forgetSilent(members, (id) => isPartner(exchanges, id));
  for (const id of [...members.keys()].sort()) meet(peer, members.get(id)!, out);
  meetAgain(peer, out);
  announceAt(peer, out.now + announcementPause(members, settings.announceMs), out);
}

function announceAt(peer: Peer, at: number, out: Outbox): void {
  peer.announceAt = at;
  out.effects.push({ type: 'timer', name: 'announce', at });
}

/** Announces itself sooner, where members have turned out not to be there for whose sake it would have waited. */
function hasten(peer: Peer, out: Outbox): void {
  const at = out.now + announcementPause(peer.members, peer.settings.announceMs);
  if (at < peer.announceAt) announceAt(peer, at, out);
}

/** Reminds the given peers, or all, of unfinished exchanges. */
function remind(peer: Peer, out: Outbox, ids?: readonly string[]): void {
  for (const { round, edges } of peer.exchanges) {
    for (const id of ids ?? Object.keys(edges).sort()) {
      const [edge, member] = [edges[id], peer.members.get(id)];
      if (!edge || !member) continue;
      if (!member.connected) {
        if (!member.dialled && member.addresses.length > 0) dial(member, out);
        continue;
      }
      remindOf(peer, round, id, edge, out);
    }
  }
}

function remindLater(peer: Peer, out: Outbox): void {
  out.effects.push({ type: 'timer', name: 'retry', at: out.now + peer.settings.retryMs });
}

function admitted(peer: Peer, id: string, invite: string, out: Outbox): void {
  const member = id === peer.id ? null : memberOf(peer, id, out.now);
  if (member) member.invite = invite;
}

function connection(peer: Peer, { id, up, untried }: Of<'peer'>, out: Outbox): void {
  const member = memberOf(peer, id, out.now);
  if (!member) return;
  if (!up && member.dialled && !untried) dialledInVain(peer, member, out.now);
  if (!up && untried && member.failedAt !== null) member.failedAt = out.now; // others have their turn
  member.connected = up;
  member.dialled = false;
  delete member.reminder; // the answer may be lost
  if (!up) return;
  hear(member, out.now);
  if (!member.met) member.missed = 0; // what it missed could not reach it
  reached(peer, member);
  member.retryRound = 0;
  // What was on its way over an earlier connection is not any more.
  for (const { edges } of peer.exchanges) delete edges[id]?.sentAt;
  if (!peer.roster) introduce(peer, id, out);
  remind(peer, out, [id]);
  for (const exchange of peer.exchanges) if (exchange.edges[id]?.isUnsent) sendData(peer, exchange, [id], out);
}

function introduce(peer: Peer, id: string, out: Outbox): void {
  out.send(id, announcement(peer));
  const others = acquaintancesOf(peer.members, MAX_ACQUAINTANCES + 1).filter((other) => other.id !== id);
  if (others.length > 0) out.send(id, { type: 'peers', round: peer.round, peers: others.slice(0, MAX_ACQUAINTANCES) });
}
