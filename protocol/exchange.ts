/**
 * @file The ledger of exchanges. In a round a peer packs its adapter once and sends it to each neighbour it drew; a
 * neighbour that drew it too answers with its own. Each end then adds w (theirs - mine) of the DECODED adapters: exact
 * opposites, so the mean stays, whenever each end gets to it. An edge is open until both have added theirs, which
 * reminders bring about after any loss; what misses the deadline is added later, never dropped by one end alone.
 */
import { CODECS, type CodecName } from './codec.ts';
import type { RunSettings } from './config.ts';

export interface Edge {
  /** Their adapter of this round is mixed into ours, durably. */
  received: boolean;
  /** Ours is mixed into theirs, durably. */
  acknowledged: boolean;
  /** When ours was last sent over the connection that is open now (ms); not kept. */
  sentAt?: number;
}

export interface Exchange {
  readonly round: number;
  /** Announced with the adapter; the weight of an edge comes from the larger of the two. */
  readonly degree: number;
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
  settings: Pick<RunSettings, 'codec' | 'averaging'>;
  adapter: Float32Array;
  residual: Float32Array;
}): { exchange: Exchange; residual: Float32Array } {
  const { round, neighbours, settings, adapter, residual } = options;
  const codec = CODECS[settings.codec as CodecName];
  const target = adapter.map((x, i) => x + residual[i]!);
  const payload = codec.encode(target);
  const sent = codec.decode(payload, adapter.length);
  if (!sent) throw new Error('a finite adapter must decode to what was encoded');
  const edges = Object.fromEntries(neighbours.map((id) => [id, { received: false, acknowledged: false }]));
  const left = settings.averaging === 'product' ? residual : target.map((x, i) => x - sent[i]!);
  return { exchange: { round, degree: Math.max(1, neighbours.length), payload, sent, edges }, residual: left };
}

/** Forgets edges both ends have finished, and exchanges without edges but the newest. */
export function closeFinished(exchanges: readonly Exchange[]): Exchange[] {
  for (const exchange of exchanges) {
    for (const [id, edge] of Object.entries(exchange.edges)) {
      if (edge.received && edge.acknowledged) delete exchange.edges[id];
    }
  }
  return exchanges.filter((exchange) => Object.keys(exchange.edges).length > 0);
}
