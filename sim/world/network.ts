/**
 * @file A network in virtual time: how long a message takes, whether it arrives, how often, and who can reach whom. All
 * chance is drawn from one seed.
 */
import { createPrng, type Prng } from '../../protocol/prng.ts';
import { type Latency, latencyModel } from './latency.ts';

/** Who is no peer of a world. */
export interface Outsiders {
  /** Whether one can be reached now. */
  readonly isThere: (id: string, now: number) => boolean;
  /** What a peer has sent to one. */
  readonly hear: (from: number, to: string, bytes: Uint8Array) => void;
}

export interface NetworkModel {
  /** Of a message's way. Two messages may overtake each other. */
  readonly latencyMs: Latency;
  /** What a peer can send, in Mbit/s; its messages wait for one another. 0: any amount at once. */
  readonly bandwidthMbps: number;
  /** Shares of messages lost and repeated. */
  readonly loss: number;
  readonly duplication: number;
  /** Share of the peers that cannot be dialled: two of them never meet. */
  readonly natShare: number;
  /** While it lasts the last `share` of the peers cannot reach the others; one-way: their messages get lost, those to them do not. */
  readonly partition: {
    readonly fromMs: number;
    readonly untilMs: number;
    readonly share: number;
    readonly oneWay: boolean;
  } | null;
}

export const LAN: NetworkModel = {
  latencyMs: [5, 50],
  bandwidthMbps: 0,
  loss: 0,
  duplication: 0,
  natShare: 0,
  partition: null,
};

export interface Network {
  /** When the copies of a message of so many bytes arrive (ms); none where it is lost. */
  arrivals(from: number, to: number, bytes: number, now: number): number[];
  /** Whether a connection between the two can be opened, or stays open. */
  canConnect(a: number, b: number, now: number): boolean;
  /** The longest a message's way takes (ms). */
  readonly longest: () => number;
  /** The pairs a partition cuts. */
  cut(a: number, b: number): boolean;
  /** Changes some of the model from now on. */
  set(model: Partial<NetworkModel>): void;
  readonly model: () => NetworkModel;
}

/** A network between `size` peers. */
export function createNetwork(given: Partial<NetworkModel>, size: number, seed: string): Network {
  let model: NetworkModel = { ...LAN, ...given };
  let latency = latencyModel(model.latencyMs);
  const prng: Prng = createPrng(seed).fork('network');
  const hidden = new Set(
    createPrng(seed)
      .fork('nat')
      .shuffle(Array.from({ length: size }, (_, i) => i))
      .slice(0, Math.round(model.natShare * size)),
  );
  /** When each peer's line is free again. */
  const free = new Float64Array(size);
  const isFar = (i: number): boolean => i >= Math.round((1 - (model.partition?.share ?? 0)) * size);
  const cut = (a: number, b: number): boolean => model.partition !== null && isFar(a) !== isFar(b);
  const during = (now: number): boolean =>
    model.partition !== null && now >= model.partition.fromMs && now < model.partition.untilMs;
  return {
    arrivals: (from, to, bytes, now) => {
      const copies = prng.random() < model.loss ? 0 : prng.random() < model.duplication ? 2 : 1;
      const begin = Math.max(now, free[from]!);
      const sending = model.bandwidthMbps > 0 ? (8 * bytes) / (1000 * model.bandwidthMbps) : 0;
      free[from] = begin + sending;
      const isLost = during(now) && cut(from, to) && !(model.partition!.oneWay && isFar(to));
      const times = Array.from({ length: copies }, () => Math.round(begin + sending + latency.draw(from, to, prng)));
      return isLost ? [] : times;
    },
    canConnect: (a, b, now) =>
      !(hidden.has(a) && hidden.has(b)) && !(during(now) && cut(a, b) && !model.partition!.oneWay),
    longest: () => latency.longest,
    cut,
    set: (more) => {
      model = { ...model, ...more };
      latency = latencyModel(model.latencyMs);
    },
    model: () => model,
  };
}
