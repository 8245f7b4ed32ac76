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
}

export interface Exchange {
  readonly round: number;
  /** What was sent, packed, and what it decodes to. */
  readonly payload: Uint8Array;
  readonly sent: Float32Array;
  /** Open edges by neighbour. */
  readonly edges: Record<string, Edge>;
}

/** What a neighbour sent, checked and waiting to be mixed in. */
export interface Parcel {
  readonly from: string;
  readonly round: number;
  readonly degree: number;
  readonly vector: Float32Array;
}

/**
 * Packs the adapter plus what earlier rounding left over; gives the exchange and what is left over now. Nothing is with
 * averaging `product`: mixing turns the factors, so what was left along the old ones has no place in the new.
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
  const target = adapter.map((x, i) => x + residual[i]!);
  const payload = codec.encode(target);
  const sent = codec.decode(payload, adapter.length);
  if (!sent) throw new Error('a finite adapter must decode to what was encoded');
  const edges = Object.fromEntries(
    neighbours.map((id): [string, Edge] => {
      const older = open.filter((exchange) => isOpen(exchange.edges[id])).length;
      return [id, { degree: edgeDegree(neighbours.length, older), received: false, acknowledged: false }];
    }),
  );
  const left = settings.averaging === 'product' ? residual : target.map((x, i) => x - sent[i]!);
  return { exchange: { round, payload, sent, edges }, residual: left };
}

/** Degrees travel in two bytes. */
const MAX_DEGREE = 0xffff;

/**
 * The number of neighbours; more for each older exchange with this one that is still open, so that the weight, 1 / (1 + it),
 * halves. Each of those will move both ends towards each other by much the same difference: together not past each other.
 */
function edgeDegree(neighbours: number, older: number): number {
  return Math.min(MAX_DEGREE, (1 + Math.max(1, neighbours)) * 2 ** Math.min(older, 16) - 1);
}

/** Not mixed, or not known to be, at one of the ends. */
function isOpen(edge: Edge | undefined): boolean {
  return edge !== undefined && !(edge.received && edge.acknowledged);
}

/** Forgets edges both ends have finished, and exchanges without edges but the newest. */
export function closeFinished(exchanges: readonly Exchange[]): Exchange[] {
  for (const exchange of exchanges) {
    for (const [id, edge] of Object.entries(exchange.edges)) {
      if (!isOpen(edge)) delete exchange.edges[id];
    }
  }
  return exchanges.filter((exchange) => Object.keys(exchange.edges).length > 0);
}
