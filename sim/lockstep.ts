/** @file Rounds of training and mixing in one process, in step, with no sockets: the protocol's own packing and mixing code. */
import type { CodecName } from '../protocol/codec.ts';
import type { RunSettings } from '../protocol/config.ts';
import { type Exchange, openExchange } from '../protocol/exchange.ts';
import { HEADER_BYTES } from '../protocol/frame.ts';
import { edgeWeight, mix } from '../protocol/mixing.ts';
import { drawNeighbours, type ScheduleName } from '../protocol/neighbours.ts';
import { mean } from '../protocol/vector.ts';

/** Nobody, a server that averages all (FedAvg, McMahan et al. 2017), or this round's neighbours. */
export type Mixing = 'none' | 'server' | 'gossip';

export interface LockstepPeer {
  readonly id: string;
  vector: Float32Array;
  residual: Float32Array;
}

export interface LockstepOptions {
  readonly settings: RunSettings;
  readonly runId: string;
  readonly mixing: Mixing;
  readonly peers: LockstepPeer[];
  /** Local training of a peer: its new vector. */
  readonly train: (peer: number, round: number, vector: Float32Array) => Promise<Float32Array>;
  readonly onRound: (round: number, bytes: number) => Promise<void>;
}

/** Runs every round; `onRound` is told the bytes sent in it, by all. Training rounds, then closing ones. */
export async function runLockstep(options: LockstepOptions): Promise<void> {
  const { settings, peers, mixing } = options;
  const rounds = settings.rounds + (mixing === 'gossip' ? settings.closingRounds : 0);
  for (let round = 0; round < rounds; round++) {
    if (round < settings.rounds) {
      for (const [i, peer] of peers.entries()) peer.vector = await options.train(i, round, peer.vector);
    }
    await options.onRound(round, MIXINGS[mixing](options, round));
  }
}

const MIXINGS: Readonly<Record<Mixing, (options: LockstepOptions, round: number) => number>> = {
  none: () => 0,
  server: ({ peers, settings }, round) => {
    const exchanges = peers.map((peer) => pack(peer, settings, round, ['server']));
    const average = mean(exchanges.map((e) => e.sent));
    for (const peer of peers) peer.vector = average;
    // Up from each and down to each.
    return exchanges.reduce((sum, e) => sum + 2 * frameBytes(e), 0);
  },
  gossip: ({ peers, settings, runId }, round) => {
    const members = peers.map((peer) => peer.id).sort();
    const draw = { runId, round, members, degree: settings.degree };
    const neighbours = peers.map((peer) => drawNeighbours(settings.schedule as ScheduleName, draw, peer.id));
    const exchanges = new Map(peers.map((peer, i) => [peer.id, pack(peer, settings, round, neighbours[i]!)]));
    for (const [i, peer] of peers.entries()) {
      const mine = exchanges.get(peer.id)!;
      const contributions = neighbours[i]!.map((id) => {
        const theirs = exchanges.get(id)!;
        return { weight: edgeWeight(mine.degree, theirs.degree), theirs: theirs.sent, mine: mine.sent };
      });
      peer.vector = mix(peer.vector, contributions);
    }
    return [...exchanges.values()].reduce((sum, e, i) => sum + neighbours[i]!.length * frameBytes(e), 0);
  },
};

function pack(peer: LockstepPeer, settings: RunSettings, round: number, neighbours: readonly string[]): Exchange {
  const opened = openExchange({
    round,
    neighbours,
    codec: settings.codec as CodecName,
    adapter: peer.vector,
    residual: peer.residual,
  });
  peer.residual = opened.residual;
  return opened.exchange;
}

function frameBytes(exchange: Exchange): number {
  return HEADER_BYTES + 7 + exchange.payload.length;
}
