/** @file Mixes what neighbours sent: what is ready of the inbox, by the run's rule, acknowledged once it is saved. */
import { CODECS, type CodecName } from './codec.ts';
import type { Exchanged } from './events.ts';
import { type Exchange, type Parcel, takeUpTo } from './exchange.ts';
import {
  type Contribution,
  crossTerm,
  edgeWeight,
  hostileOf,
  mixAs,
  packedSource,
  type Source,
  whole,
} from './mixing.ts';
import { type Outbox, save } from './outbox.ts';
import type { Peer } from './peer.ts';
import { doubtCopies, remember, toleranceOf } from './reach.ts';
import { RULES, type RuleName } from './rules.ts';

/** What was mixed. */
export interface Mixed extends Contribution {
  readonly radius: number;
  readonly parcel: Parcel;
  readonly exchange: Exchange;
  /** ||theirs - mine||. */
  apart: number;
}

/**
 * Adds every parcel whose exchange is open, in a fixed order, and acknowledges it; leaves those of rounds to come. A rule that
 * is not pairwise takes those of the `round` that ends; what is late it only acknowledges.
 */
export function mixParcels(peer: Peer, out: Outbox, round: number | null = null): Mixed[] {
  const ready = readyParcels(peer, out);
  if (ready.length === 0) return [];
  const codec = peer.settings.codec as CodecName;
  const source = (payload: Uint8Array): Source => packedSource(codec, payload, peer.adapter.length);
  const sent = new Map<Exchange, Source>();
  const mixed = ready.map(({ parcel, exchange }): Mixed => {
    const mine = sent.get(exchange) ?? source(exchange.payload);
    sent.set(exchange, mine);
    const weight = edgeWeight(exchange.edges[parcel.from]!.degree, parcel.degree);
    const radius = Math.min(exchange.edges[parcel.from]!.radius, parcel.radius);
    return { parcel, exchange, mine, theirs: source(parcel.payload), weight, radius, apart: 0 };
  });
  assertConvex(mixed);
  mixInto(peer, isPairwise(peer) ? mixed : mixed.filter(({ exchange }) => exchange.round === round), { out, round });
  for (const of of mixed) {
    of.exchange.edges[of.parcel.from]!.received = true;
    const member = peer.members.get(of.parcel.from);
    if (member) member.mixed = true;
    out.send(of.parcel.from, { type: 'ack', round: of.parcel.round });
  }
  save(peer);
  return mixed;
}

function isPairwise({ settings }: Peer): boolean {
  return RULES[settings.rule as RuleName].type === 'pairwise';
}

/** Mixes these into the adapter, and keeps in mind how far they were. */
function mixInto(
  peer: Peer,
  mixed: readonly Mixed[],
  { out: { score }, round }: { out: Outbox; round: number | null },
): void {
  const { settings, reach, exchanged } = peer;
  const squares = new Float64Array(mixed.length);
  const given = {
    hostile: hostileOf(settings, mixed.length),
    reach: toleranceOf(reach, settings, exchanged),
    score: score ?? null,
  };
  peer.adapter = mixAs(settings, peer.factors, peer.adapter, mixed, { squares, given });
  for (const [k, of] of mixed.entries()) of.apart = Math.sqrt(squares[k]!);
  peer.reach = remember(
    reach,
    mixed.map(({ parcel: { from: id }, apart }) => ({ id, apart })),
  );
  const met = mixed
    .filter(({ exchange }) => exchange.round === round)
    .map(({ parcel: { from: id }, theirs }) => ({ id, theirs }));
  if (round !== null) doubtCopies(peer.reach, settings, { round, count: peer.adapter.length, met });
}

/** Takes out of the inbox what can be mixed; who sent something for a round in which it was not drawn is told. */
function readyParcels(peer: Peer, out: Outbox): Pick<Mixed, 'parcel' | 'exchange'>[] {
  return takeUpTo(peer.inbox, peer.exchanged).flatMap((parcel) => {
    const exchange = peer.exchanges.find((e) => e.round === parcel.round);
    const edge = exchange?.edges[parcel.from];
    if (exchange && edge && !edge.received && !edge.cancelling) return [{ parcel, exchange }];
    if (!edge) out.send(parcel.from, { type: 'nack', round: parcel.round });
    return [];
  });
}

/** The weights of one round leave a non-negative rest for oneself, so with it they sum to 1. */
function assertConvex(mixed: readonly Mixed[]): void {
  const sums: Record<number, number> = {};
  for (const { parcel, weight } of mixed) sums[parcel.round] = (sums[parcel.round] ?? 0) + weight;
  if (Object.values(sums).some((sum) => sum > 1 + 1e-12)) throw new Error('mixing weights of a round sum to at most 1');
}

/** Among what was sent and what came for it; exchanging products there is none. */
export function crossTermOf({ settings, factors, adapter }: Peer, mixed: readonly Mixed[]): number | null {
  if (settings.averaging === 'product' || mixed.length === 0 || factors.length === 0) return null;
  const sources = [mixed[0]!.mine, ...mixed.map(({ theirs }) => theirs)];
  return crossTerm(
    sources.map((source) => whole(source, adapter.length)),
    factors,
  );
}

/** How each was met: of theirs from what was sent to them, relative to that, and whether it moved this peer by less than others. */
export function exchangedOf({ settings, adapter }: Peer, mixed: readonly Mixed[]): Exchanged[] {
  const { norm } = CODECS[settings.codec as CodecName];
  const norms = new Map<Exchange, number>();
  return mixed.map(({ parcel: { from: id, round }, exchange, apart, radius }) => {
    const own = norms.get(exchange) ?? Math.max(norm(exchange.payload, adapter.length)!, 1e-30);
    norms.set(exchange, own);
    return { id, round, distance: apart / own, isClipped: apart > radius };
  });
}
