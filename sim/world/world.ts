/**
 * @file Many peers in virtual time: an event heap drives the very `step` that the network runs, over a network that
 * delays, loses, repeats and reorders. Twin of node/runtime.ts.
 */

import type { CodecName } from '../../protocol/codec.ts';
import type { RunSettings } from '../../protocol/config.ts';
import type { Effect, Event, Metric, TimerName } from '../../protocol/events.ts';
import type { FactorPair } from '../../protocol/mixing.ts';
import { createPeer, type Peer, restorePeer } from '../../protocol/peer.ts';
import { createPrng, type Prng } from '../../protocol/prng.ts';
import { decodeSnapshot, encodeSnapshot, type Snapshot } from '../../protocol/snapshot.ts';
import { step } from '../../protocol/step.ts';
import { headOf, quickHash, turn } from './digest.ts';
import { createHeap } from './heap.ts';
import { createNetwork, type NetworkModel, type Outsiders } from './network.ts';

export interface WorldOptions {
  readonly runId: string;
  readonly seed: string;
  readonly settings: RunSettings;
  /** Where the LoRA factors lie, for averaging `product`. */
  readonly factors?: readonly FactorPair[];
  readonly peers: number;
  /** A peer's starting vector. */
  readonly start: (peer: number) => Float32Array;
  /** So many, the last ones, are not there at first. */
  readonly absent?: number;
  /** Everybody knows everybody from the start and can reach them, and nobody announces itself: for thousands of peers. */
  readonly roster?: boolean;
  /** Local training, a pure function; the default changes nothing. With a promise the world is run by `settle`. */
  readonly train?: (peer: number, round: number, adapter: Float32Array) => Float32Array | Promise<Float32Array>;
  /** How badly a vector does on a peer's own labels. */
  readonly score?: (peer: number, x: Float32Array) => number;
  readonly network?: Partial<NetworkModel>;
  /** Virtual ms of a round's training of a peer, drawn uniformly from what this gives. */
  readonly trainMs?: (peer: number) => readonly [number, number];
  /** What a peer's frame turns into on its way out, if it lies: other bytes, or more frames. */
  readonly tamper?: (from: number, to: number, bytes: Uint8Array) => readonly Uint8Array[];
  /** Who is no peer of this world: whether one can be reached, and what it is sent. */
  readonly strangers?: Outsiders;
  /** The invite that let a peer in, and who gave it; where there is none the run is open, and nobody was invited. */
  readonly inviteOf?: (peer: number) => { readonly invite: string; readonly inviter: number | null };
  readonly onMetric?: (peer: number, metric: Metric, now: number) => void;
  /** After every event: the effects that were carried out, and the virtual time. */
  readonly onEvent?: (seat: Seat, event: Event, done: readonly Effect[], now: number) => void;
  /** Awaited by `settle` every so many events, so that a process stays awake; what it throws ends the run. */
  readonly pause?: () => Promise<void>;
  /** What peers decide by; another than the protocol's own shows what the checks are worth. */
  readonly step?: typeof step;
}

export interface Seat {
  peer: Peer;
  alive: boolean;
  /** Rises with every start, so that what was under way for an earlier life is ignored. */
  life: number;
  timers: Partial<Record<TimerName, number>>;
  /** The last snapshot saved. */
  disk: Snapshot | null;
  finished: boolean;
  /** How far its clock has jumped ahead (ms). */
  ahead: number;
  /** Effects it will still carry out before it crashes; null: it will not. */
  fuse: number | null;
  /** The next save fails, which stops the peer. */
  diskFull: boolean;
  /** Until then its process stands still (virtual ms): what happens to it waits, its connections stay. */
  frozenUntil: number;
}

export interface World {
  readonly now: () => number;
  readonly seats: readonly Seat[];
  /** Runs until nothing is left, everyone has finished, or the time is reached. */
  run(untilMs: number): void;
  /** The same, where training takes real time. */
  settle(untilMs: number): Promise<void>;
  /** As kill -9: what was not saved is gone, connections break. */
  kill(index: number): void;
  /**
   * Comes back from its last snapshot, which is written and read again as bytes. Where `spoil` alters them and they are
   * refused, it comes back as somebody new.
   */
  restart(index: number, spoil?: (bytes: Uint8Array) => Uint8Array): void;
  /** Lets time pass up to then, where nobody is busy any more. */
  idle(untilMs: number): void;
  /** Something happens to a peer by then. */
  tell(atMs: number, index: number, event: Event): void;
  /** Someone who was absent comes. */
  join(index: number): void;
  /** A digest over every event so far: the same for the same seed, code and options. */
  readonly trace: () => string;
  /** Turns faults off, or others on. */
  setNetwork(model: Partial<NetworkModel>): void;
  /** Frames and bytes sent so far, by all. */
  readonly traffic: () => { readonly frames: number; readonly bytes: number };
}

interface Happening {
  readonly to: number;
  readonly life: number | null;
  /** What will have been trained by then may still be under way. */
  readonly event: Event | Promise<Event>;
  /** When a timer is due; one set later replaces it. */
  readonly due?: number;
  /** Whom a frame was sent to: who has come back as somebody new does not hear it. */
  readonly id?: string;
  /** A dial that is failing; should the two be able to connect by then, it has not. */
  readonly isDial?: true;
}

const EVENTS_A_PAUSE = 2048;
/** How long those that have finished are given to settle what is open (virtual ms). */
const SETTLING_MS = 60_000;

const EVENT_NUMBERS: Readonly<Record<Event['type'], number>> = {
  start: 1,
  stop: 2,
  timer: 3,
  frame: 4,
  oversized: 5,
  trained: 6,
  peer: 7,
  admitted: 8,
  moved: 9,
};

export function createWorld(options: WorldOptions): World {
  const { runId, settings, factors = [], absent = 0, trainMs = () => [50, 500], step: decide = step } = options;
  const network = createNetwork(options.network ?? {}, options.peers, options.seed);
  const device = createPrng(options.seed).fork('device');
  const heap = createHeap<Happening>();
  const ids = Array.from({ length: options.peers }, (_, i) => `peer-${String(i).padStart(5, '0')}`);
  const places: Map<string, number> = new Map(ids.map((id, i) => [id, i]));
  const roster = options.roster ? ids : null;
  const createOrRestore = (index: number, snapshot: Snapshot | null): Peer => {
    const inviter = options.inviteOf?.(index).inviter ?? null;
    const of = { id: ids[index]!, settings, factors, roster, inviters: inviter === null ? [] : [ids[inviter]!] };
    return snapshot ? restorePeer({ ...of, snapshot }) : createPeer({ ...of, runId, adapter: options.start(index) });
  };
  const seats: Seat[] = ids.map((_, i) => ({
    peer: createOrRestore(i, null),
    alive: i < options.peers - absent,
    life: 0,
    timers: {},
    disk: null,
    finished: false,
    ahead: 0,
    fuse: null,
    diskFull: false,
    frozenUntil: 0,
  }));
  let now = 0;
  let trace = 0;
  let events = 0;
  /** When the last one had finished, where something was open. */
  let idleSince: number | null = null;
  /** Seats that are alive and have not finished. */
  let busy = seats.length - absent;
  const traffic = { frames: 0, bytes: 0 };
  const banned = new Set<string>();
  const between = ([low, high]: readonly [number, number], prng: Prng): number =>
    Math.round(low + prng.random() * (high - low));

  /** So that an opening and a closing arrive in the order they happened. */
  const longest = (): number => network.longest();
  const canConnect = (a: number, b: number): boolean =>
    (banned.size === 0 || !(banned.has(`${a}/${b}`) || banned.has(`${b}/${a}`))) && network.canConnect(a, b, now);

  const isUp = (a: number, id: string): boolean => {
    const b = places.get(id);
    return b === undefined ? (options.strangers?.isThere(id, now) ?? false) : seats[b]!.alive && canConnect(a, b);
  };
  const deliver = (from: number, to: number, bytes: Uint8Array): void => {
    traffic.frames += 1;
    traffic.bytes += bytes.length;
    const [event, id]: [Event, string] = [{ type: 'frame', from: ids[from]!, bytes }, ids[to]!];
    for (const at of network.arrivals(from, to, bytes.length, now)) heap.push(at, { to, life: null, event, id });
  };
  const transmit = (from: number, to: number, bytes: Uint8Array): void => {
    if (!options.tamper) return deliver(from, to, bytes);
    for (const lie of options.tamper(from, to, bytes)) deliver(from, to, lie);
  };
  const tell = (to: number, about: number, up: boolean): void => {
    const [at, life, id] = [now + longest(), seats[to]!.life, ids[about]!];
    if (up && options.inviteOf)
      heap.push(at, { to, life, event: { type: 'admitted', id, invite: options.inviteOf(about).invite } });
    heap.push(at, { to, life, event: { type: 'peer', id, up } });
  };
  const connect = (a: number, b: number, up: boolean): void => {
    if (up && !canConnect(a, b)) return;
    tell(a, b, up);
    tell(b, a, up);
  };

  const carryOut = (index: number, effect: Effect): void => {
    const seat = seats[index]!;
    switch (effect.type) {
      case 'save':
        seat.disk = effect.snapshot;
        break;
      case 'train': {
        const adapter = options.train ? options.train(index, effect.round, effect.adapter) : effect.adapter;
        const trained = (vector: Float32Array): Event => {
          return { type: 'trained', round: effect.round, adapter: vector, stats: { loss: 0 } };
        };
        const event = adapter instanceof Promise ? adapter.then(trained) : trained(adapter);
        if (event instanceof Promise) event.catch(() => {}); // who takes it out of the heap hears of it
        heap.push(now + between(trainMs(index), device), { to: index, life: seat.life, event });
        break;
      }
      case 'send': {
        // Over a connection of their own; what is published comes by way of others.
        const to = places.get(effect.to);
        if (to === undefined) options.strangers?.hear(index, effect.to, effect.bytes);
        else if (canConnect(index, to)) transmit(index, to, effect.bytes);
        break;
      }
      case 'publish':
        for (let to = 0; to < seats.length; to++) if (to !== index) transmit(index, to, effect.bytes);
        break;
      case 'timer': {
        const due = Math.max(now, effect.at - seat.ahead);
        seat.timers[effect.name] = due;
        heap.push(due, { to: index, life: seat.life, event: { type: 'timer', name: effect.name }, due });
        break;
      }
      case 'dial': {
        const [to, up] = [places.get(effect.id), isUp(index, effect.id)];
        if (up && to !== undefined) connect(index, to, true);
        else {
          const event: Event = { type: 'peer', id: effect.id, up };
          heap.push(now + longest(), { to: index, life: seat.life, event, ...(up ? {} : { isDial: true }) });
        }
        break;
      }
      case 'drop': {
        const other = places.get(effect.id);
        if (other === undefined) break;
        banned.add(`${index}/${other}`);
        connect(index, other, false);
        break;
      }
      case 'report':
        options.onMetric?.(index, effect.metric, now);
        break;
      case 'finish':
        if (!seat.finished) busy -= 1;
        seat.finished = true;
        break;
      case 'refuse':
        break;
    }
  };
  const happen = (index: number, event: Event): void => {
    const seat = seats[index]!;
    trace = turn(turn(turn(trace, now), index), EVENT_NUMBERS[event.type]);
    if (event.type === 'frame') trace = turn(trace, headOf(event.bytes));
    const effects = decide(seat.peer, event, {
      now: now + seat.ahead,
      hash: quickHash,
      ...(options.score ? { score: (x) => options.score!(index, x) } : {}),
    });
    let count = 0;
    for (const effect of effects) {
      // A report goes with the effect before it.
      if (effect.type !== 'report' && isBroken(seat, effect)) break;
      carryOut(index, effect);
      count += 1;
    }
    if (options.onEvent) options.onEvent(seat, event, effects.slice(0, count), now);
    if (count < effects.length) kill(index);
  };
  const isBroken = (seat: Seat, effect: Effect): boolean => {
    if (seat.diskFull && effect.type === 'save') return true;
    if (seat.fuse === null) return false;
    seat.fuse -= 1;
    return seat.fuse < 0;
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
  /** All have finished, but some that are there have not yet told each other how an exchange ends; for a while. */
  const isSettling = (): boolean => {
    const isThere = (id: string): boolean => seats[places.get(id) ?? -1]?.alive ?? false;
    const isOpen = ({ alive, peer }: Seat): boolean =>
      alive && peer.exchanges.some(({ edges }) => Object.keys(edges).some(isThere));
    if (!seats.some(isOpen)) return false;
    idleSince ??= now;
    return now < idleSince + SETTLING_MS;
  };
  /** The next thing to happen by then, if any; the time is then its. */
  const pass = (untilMs: number): Pick<Happening, 'to' | 'event'> | null => {
    while (busy > 0 || isSettling()) {
      const at = heap.next();
      if (at === null) return null;
      if (at > untilMs) {
        now = Math.max(now, untilMs);
        return null;
      }
      now = at;
      const happening = heap.pop()!;
      const { to, life, event, due, id } = happening;
      const seat = seats[to]!;
      if (!seat.alive || (life !== null && life !== seat.life) || (id ?? ids[to]) !== ids[to]) continue;
      if (seat.frozenUntil > now) {
        heap.push(seat.frozenUntil, happening); // in the order they came
        continue;
      }
      if (event instanceof Promise) return { to, event };
      if (event.type === 'timer' && seat.timers[event.name] !== due) continue;
      if (event.type === 'peer' && event.up && !isUp(to, event.id)) continue;
      const dialled = event.type === 'peer' && happening.isDial ? places.get(event.id) : undefined;
      if (event.type === 'peer' && dialled !== undefined && isUp(to, event.id)) {
        connect(to, dialled, true);
        continue;
      }
      return { to, event };
    }
    return null;
  };
  const kill = (index: number): void => {
    const seat = seats[index]!;
    if (seat.alive && !seat.finished) busy -= 1;
    seat.alive = false;
    seat.life += 1;
    seats.forEach((other, i) => {
      if (i !== index && other.alive) tell(i, index, false);
    });
  };
  const start = (index: number): void => {
    happen(index, { type: 'start', addresses: [] });
    if (!seats[index]!.alive) return;
    seats.forEach((other, i) => {
      if (i !== index && other.alive) connect(index, i, true);
    });
  };
  for (let i = 0; i < seats.length - absent; i++) {
    if (roster) happen(i, { type: 'start', addresses: [] });
    else start(i);
  }
  schedulePartition();

  return {
    now: () => now,
    seats,
    trace: () => (trace >>> 0).toString(16).padStart(8, '0'),
    setNetwork: network.set,
    traffic: () => ({ ...traffic }),
    run: (untilMs) => {
      for (let next = pass(untilMs); next; next = pass(untilMs)) {
        if (next.event instanceof Promise) throw new Error('training takes real time: wanted settle');
        happen(next.to, next.event);
      }
    },
    settle: async (untilMs) => {
      for (let next = pass(untilMs); next; next = pass(untilMs)) {
        happen(next.to, next.event instanceof Promise ? await next.event : next.event);
        events += 1;
        if (events % EVENTS_A_PAUSE === 0) await options.pause?.();
      }
    },
    kill,
    tell: (at, to, event) => heap.push(Math.max(now, at), { to, life: null, event }),
    idle: (untilMs) => {
      if (busy === 0) now = Math.max(now, untilMs);
    },
    join: (index) => {
      seats[index]!.alive = true;
      busy += 1;
      start(index);
    },
    restart: (index, spoil = (bytes) => bytes) => {
      const seat = seats[index]!;
      const bytes = seat.disk && spoil(encodeSnapshot(seat.disk, quickHash));
      const snapshot = bytes && decodeSnapshot(bytes, settings.codec as CodecName, quickHash);
      if (!snapshot) {
        places.delete(ids[index]!);
        ids[index] = `${ids[index]!}-again`;
        places.set(ids[index]!, index);
      }
      seat.peer = createOrRestore(index, snapshot || null);
      busy += 1;
      Object.assign(seat, { alive: true, finished: false, timers: {}, fuse: null, diskFull: false, frozenUntil: 0 });
      start(index);
    },
  };
}
