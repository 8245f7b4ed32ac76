/**
 * @file The ledger of exchanges. In a round a peer packs its adapter once and sends it to each neighbour it drew; a
 * neighbour that drew it too answers with its own. Each end then adds w (theirs - mine) of the DECODED adapters: exact
 * opposites, so the mean stays, whenever each end gets to it. An edge is open until both have added theirs, which
 * reminders bring about after any loss; what misses the deadline is added later, never dropped by one end alone.
 */
import { CODECS, type CodecName } from './codec.ts';
import type { RunSettings } from './config.ts';

export interface Edge {
  /** Announced with the adapter; the weight of the edge comes from the larger of the two ends'. */
  readonly degree: number;
  /** Their adapter of this round is mixed into ours, durably. */
  received: boolean;
  /** Ours is mixed into theirs, durably. */
  acknowledged: boolean;
  /** When ours was last sent over the connection that is open now (ms); not kept. */
  sentAt?: number;
  /** Ours has never left, so theirs to mix it has not come about; not kept: after a restart nobody knows. */
  isUnsent?: boolean;
}

export interface Exchange {
  readonly round: number;
  /** What was sent, packed: it is large, so it is unpacked when needed. */
  readonly payload: Uint8Array;
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
  readonly payload: Uint8Array;
}

/**
 * Packs the adapter plus what earlier rounding left over; gives the exchange, and what is left over now. Nothing is with averaging `product`: mixing turns the factors, so what was left along the old ones has no place in the new.
 */
export function openExchange(options: {
  round: number;
  neighbours: readonly string[];
  /** Exchanges of earlier rounds that are not finished. */
  open?: readonly Exchange[];
  settings: Pick<RunSettings, 'codec' | 'averaging'>;
  adapter: Float32Array;
  residual: Float32Array;
}): { exchange: Exchange; residual: Float32Array } {
  const { round, neighbours, open = [], settings, adapter, residual } = options;
  const codec = CODECS[settings.codec as CodecName];
  const edges = edgesOf(neighbours, open);
  if (codec.exact) return { exchange: { round, payload: codec.encode(adapter), edges }, residual };
  const target = new Float32Array(adapter.length);
  for (let i = 0; i < target.length; i++) target[i] = adapter[i]! + residual[i]!;
  if (settings.averaging === 'product') return { exchange: { round, payload: codec.encode(target), edges }, residual };
  return { exchange: { round, payload: codec.encode(target, target), edges }, residual: target };
}

function edgesOf(neighbours: readonly string[], open: readonly Exchange[]): Record<string, Edge> {
  const edges: Record<string, Edge> = Object.create(null); // for any names
  for (const id of neighbours) {
    let older = 0;
    for (const { edges: earlier } of open) if (earlier[id]?.received === false) older += 1;
    edges[id] = { degree: edgeDegree(neighbours.length, older), received: false, acknowledged: false, isUnsent: true };
  }
  return edges;
}

/** Degrees travel in two bytes. */
const MAX_DEGREE = 0xffff;

/**
 * The number of neighbours; more for each older exchange with this one whose adapter is not mixed in here yet, so that the
 * weight, 1 / (1 + it), halves. Each of those will move both ends towards each other by much the same difference: together
 * not past each other.
 */
function edgeDegree(neighbours: number, older: number): number {
  return Math.min(MAX_DEGREE, (1 + Math.max(1, neighbours)) * 2 ** Math.min(older, 16) - 1);
}

/** Not mixed, or not known to be, at one of the ends. */
function isOpen(edge: Edge | undefined): boolean {
  return edge !== undefined && !(edge.received && edge.acknowledged);
}

/**
 * Forgets edges of a round whose neighbour could not be reached: it has nothing of this peer to mix, and should it have sent
 * something, it is told that there is no such exchange. Neither end mixes.
 */
export function dropUnsent({ round, edges }: Exchange, inbox: Inbox): void {
  for (const id of Object.keys(edges)) {
    const { isUnsent, received } = edges[id]!;
    if (isUnsent && !received && !isHeld(inbox, round, id)) delete edges[id];
  }
}

/** Whether an exchange with it is open, of whatever round. */
export function isPartner(exchanges: readonly Exchange[], id: string): boolean {
  return exchanges.some((e) => id in e.edges);
}

/** Forgets edges both ends have finished, and exchanges without edges but the newest. */
export function closeFinished(exchanges: readonly Exchange[]): Exchange[] {
  for (const exchange of exchanges) {
    for (const id of Object.keys(exchange.edges)) if (!isOpen(exchange.edges[id])) delete exchange.edges[id];
  }
  return exchanges.filter((exchange) => Object.keys(exchange.edges).length > 0);
}
