/**
 * @file Many peers in virtual time: an event heap drives the very `step` that the network runs, over a network that
 * delays, loses, repeats and reorders. Twin of node/runtime.ts.
 */

import type { CodecName } from '../protocol/codec.ts';
import type { RunSettings } from '../protocol/config.ts';
import type { Effect, Event, Metric, TimerName } from '../protocol/events.ts';
import { HASH_BYTES, type Hash } from '../protocol/frame.ts';
import type { FactorPair } from '../protocol/mixing.ts';
import { createPeer, type Peer, restorePeer } from '../protocol/peer.ts';
import { createPrng, hash32, type Prng } from '../protocol/prng.ts';
import { decodeSnapshot, encodeSnapshot } from '../protocol/snapshot.ts';
import { step } from '../protocol/step.ts';
import { createHeap } from './heap.ts';
import { createNetwork, type NetworkModel } from './network.ts';

export interface WorldOptions {
  readonly runId: string;
  readonly seed: string;
  readonly settings: RunSettings;
  /** Where the LoRA factors lie, for averaging `product`. */
  readonly factors?: readonly FactorPair[];
  /** One starting vector a peer. */
  readonly adapters: readonly Float32Array[];
  /** Local training, a pure function; the default changes nothing. */
  readonly train?: (peer: number, round: number, adapter: Float32Array) => Float32Array;
  readonly network?: Partial<NetworkModel>;
  /** Virtual ms of a round's training, drawn uniformly. */
  readonly trainMs?: readonly [number, number];
  /** A share of the peers trains so many times slower. */
  readonly stragglers?: { readonly share: number; readonly slowdown: number };
  readonly onMetric?: (peer: number, metric: Metric, now: number) => void;
}

interface Seat {
  peer: Peer;
  alive: boolean;
  /** Rises with every start, so that what was under way for an earlier life is ignored. */
  life: number;
  timers: Partial<Record<TimerName, number>>;
  /** The last snapshot saved, as bytes. */
  disk: Uint8Array | null;
  finished: boolean;
}

export interface World {
  readonly now: () => number;
  readonly seats: readonly Seat[];
  /** Runs until nothing is left, everyone has finished, or the time is reached. */
  run(untilMs: number): void;
  /** As kill -9: what was not saved is gone, connections break. */
  kill(index: number): void;
  restart(index: number): void;
  /** A digest over every event so far: the same for the same seed, code and options. */
  readonly trace: () => string;
  /** Turns faults off, or others on. */
  setNetwork(model: Partial<NetworkModel>): void;
  /** Frames and bytes sent so far, by all. */
  readonly traffic: () => { readonly frames: number; readonly bytes: number };
}

type Happening = {
  readonly to: number;
  readonly life: number | null;
  readonly event: Event;
  readonly timer?: { name: TimerName; at: number };
};

/** A quick digest for virtual time: not for security. */
export const quickHash: Hash = (bytes) => {
  const out = new Uint8Array(HASH_BYTES);
  const view = new DataView(out.buffer);
  for (let lane = 0; lane < 4; lane++) {
    let h = 0x811c9dc5 ^ lane;
    for (let i = lane; i < bytes.length; i += 4) h = Math.imul(h ^ bytes[i]!, 0x01000193);
    view.setUint32(4 * lane, h ^ bytes.length);
  }
  return out;
};

export function createWorld(options: WorldOptions): World {
  const { runId, settings, factors = [], trainMs = [50, 500], stragglers = { share: 0, slowdown: 1 } } = options;
  const network = createNetwork(options.network ?? {}, options.adapters.length, options.seed);
  const device = createPrng(options.seed).fork('device');
  const heap = createHeap<Happening>();
  const ids = options.adapters.map((_, i) => `peer-${String(i).padStart(5, '0')}`);
  const seats: Seat[] = options.adapters.map((adapter, i) => ({
    peer: createPeer({ id: ids[i]!, runId, settings, adapter, factors }),
    alive: true,
    life: 0,
    timers: {},
    disk: null,
    finished: false,
  }));
  let now = 0;
  let trace = 0;
  const traffic = { frames: 0, bytes: 0 };
  const slow = Math.round(stragglers.share * options.adapters.length);
  const between = ([low, high]: readonly [number, number], prng: Prng): number =>
    Math.round(low + prng.random() * (high - low));

  /** So that an opening and a closing arrive in the order they happened. */
  const longest = (): number => network.model().latencyMs[1];

  const deliver = (from: number, to: number, bytes: Uint8Array): void => {
    traffic.frames += 1;
    traffic.bytes += bytes.length;
    for (const at of network.arrivals(from, to, bytes.length, now))
      heap.push(at, { to, life: null, event: { type: 'frame', from: ids[from]!, bytes } });
  };
  const connect = (a: number, b: number, up: boolean): void => {
    if (up && !network.canConnect(a, b, now)) return;
    for (const [to, from] of [
      [a, b],
      [b, a],
    ] as const) {
      heap.push(now + longest(), { to, life: seats[to]!.life, event: { type: 'peer', id: ids[from]!, up } });
    }
  };

  const carryOut = (index: number, effect: Effect): void => {
    const seat = seats[index]!;
    switch (effect.type) {
      case 'save':
        seat.disk = encodeSnapshot(effect.snapshot, quickHash);
        break;
      case 'train': {
        const adapter = options.train ? options.train(index, effect.round, effect.adapter) : effect.adapter;
        const event: Event = { type: 'trained', round: effect.round, adapter, stats: { loss: 0 } };
        const slowdown = index < slow ? stragglers.slowdown : 1;
        heap.push(now + slowdown * between(trainMs, device), { to: index, life: seat.life, event });
        break;
      }
      case 'send': {
        // Over a connection of their own; what is published comes by way of others.
        const to = ids.indexOf(effect.to);
        if (network.canConnect(index, to, now)) deliver(index, to, effect.bytes);
        break;
      }
      case 'publish':
        for (let to = 0; to < seats.length; to++) if (to !== index) deliver(index, to, effect.bytes);
        break;
      case 'timer':
        seat.timers[effect.name] = effect.at;
        heap.push(effect.at, {
          to: index,
          life: seat.life,
          event: { type: 'timer', name: effect.name },
          timer: effect,
        });
        break;
      case 'dial': {
        const to = ids.indexOf(effect.id);
        const up = to >= 0 && seats[to]!.alive && network.canConnect(index, to, now);
        heap.push(now + longest(), {
          to: index,
          life: seat.life,
          event: { type: 'peer', id: effect.id, up },
        });
        break;
      }
      case 'report':
        options.onMetric?.(index, effect.metric, now);
        break;
      case 'finish':
        seat.finished = true;
        break;
      case 'drop':
      case 'refuse':
        break;
    }
  };
  const happen = (index: number, event: Event): void => {
    trace = hash32(
      `${trace}|${now}|${index}|${event.type}|${event.type === 'frame' ? hash32(String(quickHash(event.bytes))) : ''}`,
    );
    for (const effect of step(seats[index]!.peer, event, { now, hash: quickHash })) carryOut(index, effect);
  };
  /** Breaks the connections a partition cuts, and opens them again when it is over. */
  const schedulePartition = (): void => {
    const { partition } = network.model();
    if (!partition || partition.oneWay) return;
    for (const [at, up] of [
      [partition.fromMs, false],
      [partition.untilMs, true],
    ] as const) {
      for (const a of seats.keys()) {
        for (const [b, id] of ids.entries())
          if (a !== b && network.cut(a, b)) heap.push(at, { to: a, life: null, event: { type: 'peer', id, up } });
      }
    }
  };
  const start = (index: number): void => {
    happen(index, { type: 'start', addresses: [] });
    seats.forEach((other, i) => {
      if (i !== index && other.alive) connect(index, i, true);
    });
  };
  for (let i = 0; i < seats.length; i++) start(i);
  schedulePartition();

  return {
    now: () => now,
    seats,
    trace: () => trace.toString(16).padStart(8, '0'),
    setNetwork: network.set,
    traffic: () => ({ ...traffic }),
    run: (untilMs) => {
      while (!seats.every((seat) => seat.finished || !seat.alive)) {
        const next = heap.pop();
        if (!next) return;
        if (next.at > untilMs) {
          heap.push(next.at, next.item);
          now = untilMs;
          return;
        }
        now = next.at;
        const { to, life, event, timer } = next.item;
        const seat = seats[to]!;
        if (!seat.alive || (life !== null && life !== seat.life)) continue;
        if (timer && seat.timers[timer.name] !== timer.at) continue;
        if (event.type === 'peer' && event.up && !seats[ids.indexOf(event.id)]?.alive) continue;
        happen(to, event);
      }
    },
    kill: (index) => {
      const seat = seats[index]!;
      seat.alive = false;
      seat.life += 1;
      seats.forEach((other, i) => {
        if (i !== index && other.alive) {
          heap.push(now + longest(), {
            to: i,
            life: other.life,
            event: { type: 'peer', id: ids[index]!, up: false },
          });
        }
      });
    },
    restart: (index) => {
      const seat = seats[index]!;
      const snapshot = seat.disk && decodeSnapshot(seat.disk, settings.codec as CodecName, quickHash);
      if (!snapshot) throw new Error(`peer ${index} has no whole snapshot`);
      seat.peer = restorePeer({ id: ids[index]!, settings, snapshot, factors });
      seat.alive = true;
      seat.finished = false;
      seat.timers = {};
      start(index);
    },
  };
}
