/**
 * @file The ledger of exchanges. In a round a peer packs its adapter once and sends it to each neighbour it drew; a
 * neighbour that drew it too answers with its own. Each end then adds w (theirs - mine) of the DECODED adapters: exact
 * opposites, so the mean stays, whenever each end gets to it. An edge stays open until both ends have mixed, or both know
 * that neither will; so long no other is opened with that neighbour. Nobody gives up alone: who wants out asks, and the
 * other end, which knows whether it has mixed, decides (docs/protocol.md).
 */
import { CODECS, type CodecName } from './codec.ts';
import type { RunSettings } from './config.ts';

export interface Edge {
  /** Announced with the adapter; the weight of the edge comes from the larger of the two ends'. */
  readonly degree: number;
  /** Announced with the adapter; of the two ends' the smaller is how far both let the other move them. */
  readonly radius: number;
  /** Their adapter of this round is mixed into ours, durably. */
  received: boolean;
  /** Ours is mixed into theirs, durably. */
  acknowledged: boolean;
  /** Asked out: nothing is mixed until they have said whether they have mixed ours. Durable before it is told. */
  cancelling: boolean;
  /** Ours has never left, so they cannot have mixed it. */
  isUnsent: boolean;
  /** When ours was last sent over the connection that is open now (ms); not kept. */
  sentAt?: number;
}

export interface Exchange {
  readonly round: number;
  /** What was sent, packed: it is large, so it is unpacked when needed. */
  readonly payload: Uint8Array;
  /** When it was opened in this life of the peer (ms); not kept. */
  readonly openedAt?: number;
  /** Open edges by neighbour. */
  readonly edges: Record<string, Edge>;
}

/** Parcels by round and sender. */
export type Inbox = Map<number, Map<string, Parcel>>;

export function isHeld(inbox: Inbox, round: number, from: string): boolean {
  return inbox.get(round)?.has(from) ?? false;
}

export function hold(inbox: Inbox, parcel: Parcel): void {
  const ofRound = inbox.get(parcel.round) ?? new Map<string, Parcel>();
  inbox.set(parcel.round, ofRound.set(parcel.from, parcel));
}

/** Takes out what is of rounds up to `last`, round by round, senders sorted: the same order whatever came first. */
export function takeUpTo(inbox: Inbox, last: number): Parcel[] {
  const taken: Parcel[] = [];
  for (const round of [...inbox.keys()].sort((a, b) => a - b)) {
    if (round > last) break;
    const ofRound = inbox.get(round)!;
    inbox.delete(round);
    for (const from of [...ofRound.keys()].sort()) taken.push(ofRound.get(from)!);
  }
  return taken;
}

/** What a neighbour sent, checked and waiting, packed, to be mixed in. */
export interface Parcel {
  readonly from: string;
  readonly round: number;
  readonly degree: number;
  readonly radius: number;
  readonly payload: Uint8Array;
}

/**
 * Packs the adapter plus what earlier rounding left over; gives the exchange, and what is left over now. Nothing is with
 * averaging `product`: mixing turns the factors, so what was left along the old ones has no place in the new.
 */
export function openExchange(options: {
  round: number;
  neighbours: readonly string[];
  settings: Pick<RunSettings, 'codec' | 'averaging'>;
  adapter: Float32Array;
  residual: Float32Array;
  /** What is announced to each; Infinity where it is left out. */
  radiusFor?: (id: string) => number;
}): { exchange: Exchange; residual: Float32Array } {
  const { round, neighbours, settings, adapter, residual, radiusFor = () => Number.POSITIVE_INFINITY } = options;
  const codec = CODECS[settings.codec as CodecName];
  const edges = edgesOf(neighbours, radiusFor);
  if (codec.exact) return { exchange: { round, payload: codec.encode(adapter), edges }, residual };
  const target = new Float32Array(adapter.length);
  for (let i = 0; i < target.length; i++) target[i] = adapter[i]! + residual[i]!;
  if (settings.averaging === 'product') return { exchange: { round, payload: codec.encode(target), edges }, residual };
  return { exchange: { round, payload: codec.encode(target, target), edges }, residual: target };
}

/** Degrees travel in two bytes. */
const MAX_DEGREE = 0xffff;

function edgesOf(neighbours: readonly string[], radiusFor: (id: string) => number): Record<string, Edge> {
  const edges: Record<string, Edge> = Object.create(null); // for any names
  const degree = Math.min(MAX_DEGREE, Math.max(1, neighbours.length));
  for (const id of neighbours)
    edges[id] = {
      degree,
      radius: radiusFor(id),
      received: false,
      acknowledged: false,
      cancelling: false,
      isUnsent: true,
    };
  return edges;
}

/** Neither mixed here nor said to be there: the other end may still agree that it is not. */
export function isUndecided({ received, acknowledged }: Edge): boolean {
  return !received && !acknowledged;
}

/** The edge of a round, if it is open. */
export function edgeOf(exchanges: readonly Exchange[], round: number, id: string): Edge | undefined {
  return exchanges.find((e) => e.round === round)?.edges[id];
}

/**
 * Forgets edges of a round whose neighbour could not be reached: it has nothing of this peer to mix, and should it have sent
 * something, it is told that there is no such exchange. Neither end mixes. Whether there were any.
 */
export function dropUnsent({ round, edges }: Exchange, inbox: Inbox): boolean {
  let some = false;
  for (const id of Object.keys(edges)) {
    const { isUnsent, received } = edges[id]!;
    if (!isUnsent || received || isHeld(inbox, round, id)) continue;
    delete edges[id];
    some = true;
  }
  return some;
}

/** Whether an exchange with it is open, of whatever round. */
export function isPartner(exchanges: readonly Exchange[], id: string): boolean {
  return exchanges.some((e) => id in e.edges);
}

/** Forgets edges both ends have mixed, and exchanges without edges. */
export function closeFinished(exchanges: readonly Exchange[]): Exchange[] {
  for (const { edges } of exchanges) {
    for (const id of Object.keys(edges)) if (edges[id]!.received && edges[id]!.acknowledged) delete edges[id];
  }
  return exchanges.filter(({ edges }) => Object.keys(edges).length > 0);
}
