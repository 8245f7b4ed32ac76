/** @file Collects the effects of one step; numbers and seals the frames among them. */
import type { CodecName } from './codec.ts';
import type { Effect } from './events.ts';
import type { Exchange } from './exchange.ts';
import { encodeFrame, type Hash, type MemberState, type Message } from './frame.ts';
import { type Member, memberOf } from './membership.ts';
import { type Peer, snapshotOf } from './peer.ts';

/** What the driver lends: the time in ms, a digest, and what it knows of its network. */
export interface Context {
  readonly now: number;
  readonly hash: Hash;
  /** Whether there can be such a peer at these addresses; by default any text may name one. */
  readonly isPlace?: (id: string, addresses: readonly string[]) => boolean;
  /** Those of a peer's addresses worth dialling, as whoever has sent this frame tells of them; by default all. */
  readonly worthDialling?: (id: string, addresses: readonly string[]) => readonly string[];
  /** How badly an adapter does on this peer's own labels, where it can say so at once; only the rule `loss-filter` asks. */
  readonly score?: (adapter: Float32Array) => number;
}

/** Frames a start leaves room for before the next start's sequence numbers begin. */
const FRAMES_A_BOOT = 2 ** 32;

export class Outbox {
  /** In the order they were thought of; `finish` gives the order they are carried out in. */
  readonly effects: Effect[] = [];
  readonly now: number;
  readonly hash: Hash;
  readonly isPlace: NonNullable<Context['isPlace']>;
  readonly worthDialling: NonNullable<Context['worthDialling']>;
  readonly score: Context['score'] | null;
  private readonly peer: Peer;
  private last: { readonly message: Message; readonly bytes: Uint8Array } | null = null;

  constructor(
    peer: Peer,
    { now, hash, isPlace = () => true, worthDialling = (_, addresses) => addresses, score }: Context,
  ) {
    this.peer = peer;
    this.now = now;
    this.hash = hash;
    this.isPlace = isPlace;
    this.worthDialling = worthDialling;
    this.score = score ?? null;
  }

  send(to: string, message: Message): void {
    this.effects.push({ type: 'send', to, bytes: this.seal(message) });
  }

  /** To everybody; of a roster, nobody needs to hear it. */
  announce(state?: MemberState): void {
    if (this.peer.roster) return;
    this.effects.push({ type: 'publish', bytes: this.seal(announcement(this.peer, state)) });
  }

  /**
   * All effects: first what must survive a crash, if it has changed, so that nothing is done or said that could be forgotten;
   * then reports, which belong to what was saved.
   */
  finish(): Effect[] {
    const { peer, effects } = this;
    const isReport = (effect: Effect): boolean => effect.type === 'report';
    const saves: Effect[] = peer.isUnsaved ? [{ type: 'save', snapshot: snapshotOf(peer) }] : [];
    peer.isUnsaved = false;
    if (saves.length === 0) return effects;
    return [...saves, ...effects.filter(isReport), ...effects.filter((effect) => !isReport(effect))];
  }

  /** The very same message, for another, is sealed once. */
  private seal(message: Message): Uint8Array {
    if (this.last?.message === message) return this.last.bytes;
    const sequence = this.peer.boot * FRAMES_A_BOOT + this.peer.frames++;
    const bytes = encodeFrame({ message, sequence }, this.peer.runId, this.hash);
    this.last = { message, bytes };
    return bytes;
  }
}

function stateOf({ phase }: Peer): MemberState {
  return phase === 'gathering' || phase === 'finished' ? phase : 'joined';
}

export function announcement(peer: Peer, state: MemberState = stateOf(peer)): Message {
  return { type: 'announce', round: peer.round, state, addresses: peer.addresses };
}

/** What has changed must survive a crash: it is saved before any effect of this step is carried out. */
export function save(peer: Peer): void {
  peer.isUnsaved = true;
}

/** Sends the adapter of an exchange to neighbours of it; those that are not connected are dialled, and sent it once they are. */
export function sendData(
  peer: Peer,
  { round, payload, edges }: Exchange,
  neighbours: readonly string[],
  out: Outbox,
): void {
  const codec = peer.settings.codec as CodecName;
  const messages = new Map<string, Message>(); // equal ones are sealed once
  for (const id of neighbours) {
    const [member, edge] = [memberOf(peer, id, out.now), edges[id]];
    if (!member || !edge) continue;
    if (!member.connected) {
      if (!member.dialled) dial(member, out);
      continue;
    }
    edge.sentAt = out.now;
    if (edge.isUnsent) save(peer); // from now on nobody knows
    edge.isUnsent = false;
    const { degree, radius } = edge;
    const key = `${degree}/${radius}`;
    const message = messages.get(key) ?? {
      type: 'data',
      round,
      degree,
      radius,
      codec,
      count: peer.adapter.length,
      payload,
    };
    messages.set(key, message);
    out.send(id, message);
  }
}

export function dial(member: Member, out: Outbox): void {
  member.dialled = true;
  out.effects.push({ type: 'dial', id: member.id, addresses: member.addresses });
}
