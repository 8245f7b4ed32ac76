/** @file Rounds of training and mixing in one process, in step, with no sockets: the protocol's own packing and mixing code. */

import type { CodecName } from '../../protocol/codec.ts';
import type { RunSettings } from '../../protocol/config.ts';
import { type Exchange, openExchange } from '../../protocol/exchange.ts';
import { DATA_BYTES, HEADER_BYTES } from '../../protocol/frame.ts';
import {
  type Contribution,
  edgeWeight,
  type FactorPair,
  hostileOf,
  mixAs,
  packedSource,
  type Source,
  sumProducts,
  whole,
} from '../../protocol/mixing.ts';
import { drawGraph, drawOf } from '../../protocol/neighbours.ts';
import { createPrng } from '../../protocol/prng.ts';
import { createReach, doubtCopies, type Reach, radiusOf, remember, toleranceOf } from '../../protocol/reach.ts';
import { distance } from '../../protocol/vector.ts';

/** Nobody, a server that averages all (FedAvg, McMahan et al. 2017), or this round's neighbours. */
export type Mixing = 'none' | 'server' | 'gossip';

export interface LockstepPeer {
  readonly id: string;
  /** The run's, with what is this peer's own. */
  readonly settings: RunSettings;
  vector: Float32Array;
  residual: Float32Array;
}

export interface LockstepOptions {
  readonly settings: RunSettings;
  readonly runId: string;
  readonly mixing: Mixing;
  /** Where the LoRA factors lie in a vector; none for full-parameter training. */
  readonly factors: readonly FactorPair[];
  /** The chance that two neighbours reach each other in a round. */
  readonly contact: number;
  /** The average of the peers' vectors, as a server takes it. */
  readonly average: (vectors: readonly Float32Array[]) => Float32Array;
  readonly peers: LockstepPeer[];
  /** Local training of a peer: its new vector. */
  readonly train: (peer: number, round: number, vector: Float32Array) => Promise<Float32Array>;
  /** Told the bytes sent in the round, by all, and the vectors as they were before they were mixed. */
  readonly onRound: (round: number, bytes: number, before: readonly Float32Array[]) => Promise<void>;
}

/** Runs every round: training rounds, then closing ones. */
export async function runLockstep(options: LockstepOptions): Promise<void> {
  const { settings, peers, mixing } = options;
  const reaches = peers.map(createReach);
  const rounds = settings.rounds + (mixing === 'gossip' ? settings.closingRounds : 0);
  for (let round = 0; round < rounds; round++) {
    if (round < settings.rounds) {
      for (const [i, peer] of peers.entries()) {
        const trained = await options.train(i, round, peer.vector);
        reaches[i]!.moved = distance(trained, peer.vector);
        peer.vector = trained;
      }
    }
    const before = peers.map((peer) => peer.vector);
    await options.onRound(round, MIXINGS[mixing](options, round, reaches), before);
  }
}

const MIXINGS: Readonly<Record<Mixing, (options: LockstepOptions, round: number, reaches: Reach[]) => number>> = {
  none: () => 0,
  server: ({ peers, average, factors }, round) => {
    const packed = peers.map((peer) => pack(peer, round, ['server']));
    const all = average(packed.map(({ sent }, i) => whole(sent, peers[i]!.vector.length)));
    for (const peer of peers) {
      const { averaging, localRank } = peer.settings;
      const term = { vector: all, weight: 1 };
      const isCut = averaging === 'product' && localRank > 0;
      peer.vector = isCut ? sumProducts([term], factors, { rank: localRank, like: peer.vector }) : all;
    }
    // Up from each and down to each.
    return packed.reduce((sum, { exchange }) => sum + 2 * frameBytes(exchange), 0);
  },
  gossip: ({ peers, factors, settings, runId, contact }, round, reaches) => {
    const members = peers.map((peer) => peer.id).sort();
    const graph = drawGraph(drawOf(settings, { runId, round, members }));
    const packed = new Map(
      peers.map((peer, i) => {
        const drawn = graph[members.indexOf(peer.id)]!.map((i) => members[i]!);
        const radiusFor = (id: string): number =>
          radiusOf(reaches[i]!, settings, { round, id, neighbours: drawn.length });
        return [peer.id, pack(peer, round, drawn, radiusFor)];
      }),
    );
    let bytes = 0;
    for (const [i, peer] of peers.entries()) {
      const mine = packed.get(peer.id)!;
      const { edges } = mine.exchange;
      const reached = Object.keys(edges).filter((id) => meets(settings.seed, round, contact, [peer.id, id]));
      const contributions = reached.map((id): Contribution => {
        const theirs = packed.get(id)!;
        const weight = edgeWeight(edges[id]!.degree, theirs.exchange.edges[peer.id]!.degree);
        const radius = Math.min(edges[id]!.radius, theirs.exchange.edges[peer.id]!.radius);
        return { weight, theirs: theirs.sent, mine: mine.sent, radius };
      });
      const squares = new Float64Array(contributions.length);
      const given = {
        hostile: hostileOf(settings, contributions.length),
        reach: toleranceOf(reaches[i]!, settings, round),
        score: null,
      };
      peer.vector = mixAs(peer.settings, factors, peer.vector, contributions, { squares, given });
      reaches[i] = remember(
        reaches[i]!,
        reached.map((id, k) => ({ id, apart: Math.sqrt(squares[k]!) })),
      );
      const met = reached.map((id) => ({ id, theirs: packed.get(id)!.sent }));
      doubtCopies(reaches[i]!, settings, { round, count: peer.vector.length, met });
      bytes += reached.length * frameBytes(mine.exchange);
    }
    return bytes;
  },
};

/** Whether two peers reach each other in a round: drawn alike from either end. */
function meets(seed: string, round: number, contact: number, [a, b]: readonly [string, string]): boolean {
  const pair = a < b ? `${a} ${b}` : `${b} ${a}`;
  return contact >= 1 || createPrng(seed).fork('contact').fork(round).fork(pair).random() < contact;
}

function pack(
  peer: LockstepPeer,
  round: number,
  neighbours: readonly string[],
  radiusFor: (id: string) => number = () => Number.POSITIVE_INFINITY,
): { exchange: Exchange; sent: Source } {
  const opened = openExchange({
    round,
    neighbours,
    settings: peer.settings,
    adapter: peer.vector,
    residual: peer.residual,
    radiusFor,
  });
  peer.residual = opened.residual;
  const { exchange } = opened;
  return { exchange, sent: packedSource(peer.settings.codec as CodecName, exchange.payload, peer.vector.length) };
}

function frameBytes(exchange: Exchange): number {
  return HEADER_BYTES + DATA_BYTES + exchange.payload.length;
}
