/** @file What a peer does with a frame: check, refuse with a counted code, or take it in. */

import { acknowledged, askedOut, closeOlder, dropEdge, isPast } from './agreement.ts';
import { CODECS, type CodecName } from './codec.ts';
import { edgeOf, hold, isHeld } from './exchange.ts';
import { type Acquaintance, decodeFrame, type Message, type Of, type Refusal } from './frame.ts';
import { answer } from './latecomer.ts';
import { hearItself, hearsayOf, type Member, memberOf } from './membership.ts';
import { type Outbox, sendData } from './outbox.ts';
import { delivered, outOfStep } from './patience.ts';
import { normLimit, type Peer, totalRounds } from './peer.ts';
import { isRoomFor, meet } from './strangers.ts';

/** Refusals no honest peer of this run earns; after this many the connection is dropped. */
const MAX_STRIKES = 16;
/** Adapters held for rounds to come, from all senders. */
const MAX_PARCELS = 256;
/** Senders whose strikes are remembered. */
const MAX_STRUCK = 1024;
const HONEST: readonly Refusal[] = [
  'huge-norm',
  'far-ahead',
  'stale-round',
  'stale-sequence',
  'inbox-full',
  'unasked',
  'too-many-members',
  'repeated',
];

/** What is said again after a pause, and answered once in half of it. */
const REMINDERS: readonly Message['type'][] = ['have', 'cancel', 'ask'];

/** What is only said of an exchange that its sender has opened. */
const HAS_OPENED: readonly Message['type'][] = ['data', 'ack', 'have', 'want', 'cancel'];

/** What brings an exchange to its end. */
const SETTLES: readonly Message['type'][] = ['data', 'ack', 'nack', 'cancel'];

/** Takes in a frame from an authenticated sender, which came over the connection `via`. */
export function receive(peer: Peer, from: string, via: string, bytes: Uint8Array, out: Outbox): void {
  if (from === peer.id) return; // an announcement of ours that came round
  const codec = peer.settings.codec as CodecName;
  const decoded = decodeFrame(bytes, { runId: peer.runId, count: peer.adapter.length, codec }, out.hash);
  if (!decoded.ok) return refuse(peer, from, decoded.code, out);
  const { message, sequence } = decoded.frame;
  if (!placesOf(message, from).every(({ id, addresses }) => out.isPlace(id, addresses)))
    return refuse(peer, from, 'malformed', out);
  if (message.round > totalRounds(peer.settings)) return refuse(peer, from, 'beyond-the-run', out);
  const isNew = !peer.members.has(from);
  const member = isRoomFor(peer, from, via) ? memberOf(peer, from, out.now) : null;
  if (!member) return refuse(peer, from, 'too-many-members', out);
  if (isNew && via !== from) member.toldBy = via;
  hearItself(member, out.now);
  if (REMINDERS.includes(message.type) && isRepeated(peer, member, message, out.now))
    return refuse(peer, from, 'repeated', out);
  if (SETTLES.includes(message.type)) member.unsettled = 0;
  if (HAS_OPENED.includes(message.type)) closeOlder(peer, message.round, from);
  if (message.type !== 'nack' && message.type !== 'want') member.round = Math.max(member.round, message.round);
  switch (message.type) {
    case 'announce':
      return announced(peer, member, message, sequence, out);
    case 'peers':
      return introduced(peer, message, out);
    case 'data':
      delete member.reminder; // the next has another answer
      if (member.state === 'gathering') member.state = 'joined'; // the announcement was lost
      return data(peer, member, message, out);
    case 'ack':
      return acknowledged(peer, message.round, from, out);
    case 'nack':
      // Where ours is mixed, both are; where it is not, neither will be.
      dropEdge(peer, message.round, from);
      return;
    case 'cancel':
      return askedOut(peer, message.round, from, out);
    case 'have':
      return offered(peer, from, message.round, out);
    case 'want':
      return wanted(peer, from, message.round, out);
    case 'ask':
      return answer(peer, member, out);
    case 'adapter':
      return answered(peer, from, message, out);
  }
}

/** Whether the very same reminder came a moment before, over the same connection. */
function isRepeated(peer: Peer, member: Member, { type, round }: Message, now: number): boolean {
  const last = member.reminder;
  if (last?.type === type && last.round === round && now - last.at < peer.settings.retryMs / 2) return true;
  member.reminder = { type, round, at: now };
  return false;
}

/** The peers and addresses a message speaks of; one that cannot be is refused here, before anybody dials it. */
function placesOf(message: Message, from: string): readonly Acquaintance[] {
  if (message.type === 'peers') return message.peers;
  return message.type === 'announce' ? [{ id: from, addresses: message.addresses }] : [];
}

/** Counts a refusal; drops who has earned too many. */
export function refuse(peer: Peer, from: string, code: Refusal, out: Outbox): void {
  peer.refused[code] = (peer.refused[code] ?? 0) + 1;
  out.effects.push({ type: 'refuse', id: from, code });
  if (HONEST.includes(code)) return;
  const strikes = (peer.strikes[from] ?? 0) + 1;
  const full = strikes === 1 && Object.keys(peer.strikes).length >= MAX_STRUCK;
  if (strikes < MAX_STRIKES && !full) {
    peer.strikes[from] = strikes;
    return;
  }
  delete peer.strikes[from];
  out.effects.push({ type: 'drop', id: from });
}

function announced(peer: Peer, member: Member, message: Of<'announce'>, sequence: number, out: Outbox): void {
  if (sequence <= member.sequence) return refuse(peer, member.id, 'stale-sequence', out);
  member.sequence = sequence;
  member.state = message.state;
  member.addresses = out.worthDialling(member.id, message.addresses);
  meet(peer, member, out);
}

/** Others to get to know; what is said of them is not believed, only tried. */
function introduced(peer: Peer, message: Of<'peers'>, out: Outbox): void {
  for (const { id, addresses: told } of message.peers) {
    const addresses = out.worthDialling(id, told);
    const isOfUse = id !== peer.id && (addresses.length > 0 || told.length === 0);
    const member = isOfUse ? hearsayOf(peer.members, { id, addresses }, out.now) : null;
    if (member) meet(peer, member, out);
  }
}

function data(peer: Peer, member: Member, message: Of<'data'>, out: Outbox): void {
  const [{ round }, from] = [message, member.id];
  const exchange = peer.exchanges.find((e) => e.round === round);
  const edge = exchange?.edges[from];
  if (edge?.received) return out.send(from, { type: 'ack', round }); // again: their copy of our ack was lost
  if (!edge && isPast(peer, round, from)) {
    refuse(peer, from, 'stale-round', out);
    outOfStep(peer, member, round);
    return out.send(from, { type: 'nack', round });
  }
  if (edge?.cancelling || isHeld(peer.inbox, round, from)) return;
  const problem = edge ? null : earlyProblem(peer, from, round);
  if (problem) return refuse(peer, from, problem, out);
  const norm = CODECS[message.codec].norm(message.payload, message.count);
  if (norm === null) return refuse(peer, from, 'not-finite', out);
  if (norm > normLimit(peer)) {
    // Neither end mixes: the sender hears that there is no such exchange.
    refuse(peer, from, 'huge-norm', out);
    dropEdge(peer, round, from);
    return out.send(from, { type: 'nack', round });
  }
  hold(peer.inbox, { from, round, degree: message.degree, radius: message.radius, payload: message.payload });
  delivered(peer, member, edge && exchange?.openedAt !== undefined ? out.now - exchange.openedAt : null);
}

/** An adapter this peer may go on with; held packed, like those to be mixed. */
function answered(peer: Peer, from: string, message: Of<'adapter'>, out: Outbox): void {
  const { question } = peer;
  if (!question?.asked.includes(from) || question.answers[from]) return refuse(peer, from, 'unasked', out);
  const norm = CODECS[message.codec].norm(message.payload, message.count);
  if (norm === null) return refuse(peer, from, 'not-finite', out);
  if (norm > normLimit(peer)) return refuse(peer, from, 'huge-norm', out);
  question.answers[from] = { round: message.round, payload: message.payload };
}

/** Why an adapter for a round not reached yet cannot wait here. One for an open edge always can. */
function earlyProblem(peer: Peer, from: string, round: number): Refusal | null {
  if (round > peer.exchanged + peer.settings.maxOpenRounds) return 'far-ahead';
  let [waiting, ofSender] = [0, 0];
  for (const ofRound of peer.inbox.values()) {
    waiting += ofRound.size;
    if (ofRound.has(from)) ofSender += 1;
  }
  return waiting >= MAX_PARCELS || ofSender >= peer.settings.maxOpenRounds ? 'inbox-full' : null;
}

function offered(peer: Peer, from: string, round: number, out: Outbox): void {
  const edge = edgeOf(peer.exchanges, round, from);
  if (edge?.received) return out.send(from, { type: 'ack', round });
  if (edge?.cancelling) return out.send(from, { type: 'cancel', round });
  if (isHeld(peer.inbox, round, from)) return;
  if (!edge && isPast(peer, round, from)) return out.send(from, { type: 'nack', round });
  if (!edge && earlyProblem(peer, from, round)) return; // it would be refused
  out.send(from, { type: 'want', round });
}

function wanted(peer: Peer, from: string, round: number, out: Outbox): void {
  const exchange = peer.exchanges.find((e) => e.round === round);
  const edge = exchange?.edges[from];
  if (!exchange || !edge) {
    if (isPast(peer, round, from)) out.send(from, { type: 'nack', round });
    return;
  }
  if (edge.cancelling) return out.send(from, { type: 'cancel', round });
  const onItsWay = edge.sentAt !== undefined && out.now - edge.sentAt < peer.settings.retryMs / 2;
  if (!edge.acknowledged && !onItsWay) sendData(peer, exchange, [from], out);
}
