/** @file Carries out a peer's effects on a real network, trainer and disk, first in, first out. Twin of sim/world/world.ts. */
import type { CodecName } from '../protocol/codec.ts';
import type { Effect, Event, Metric, TimerName, TrainStats } from '../protocol/events.ts';
import { decodeFrame, frameRound, maxFrameBytes, type Refusal } from '../protocol/frame.ts';
import type { Context } from '../protocol/outbox.ts';
import type { Peer } from '../protocol/peer.ts';
import type { Snapshot } from '../protocol/snapshot.ts';
import { step } from '../protocol/step.ts';
import { isLoopback, worthDialling } from './addresses.ts';
import { type Book, createBook, type Denial } from './admission/book.ts';
import { createDials } from './dials.ts';
import { untilThereIsRoom } from './full.ts';
import { type CreateHost, createHost, type Host } from './host.ts';
import { MAX_WAITING_ANNOUNCEMENTS } from './limits.ts';
import { isPlace } from './network/node.ts';
import { sha256 } from './train/run.ts';

export interface RuntimeOptions {
  readonly peer: Peer;
  readonly key: Uint8Array;
  readonly listen: readonly string[];
  /** Left out: libp2p. */
  readonly createHost?: CreateHost;
  /** Who belongs to the run; left out, everybody does. */
  readonly book?: Book;
  /** What the invites to a closed run share; left out: there is no key to its network. */
  readonly network?: Uint8Array | null;
  readonly describeRun: () => string;
  /** The adapter that the run starts from, where that is not a fresh one. */
  readonly start?: Uint8Array | null;
  /** Resolves when durable. */
  readonly save: (snapshot: Snapshot) => Promise<void>;
  /** Told that it waits for room on a full disk, and why; null: it goes on. */
  readonly onFull?: (reason: string | null) => void;
  readonly train: (
    round: number,
    adapter: Float32Array,
    steps: number,
  ) => Promise<{ adapter: Float32Array; stats: TrainStats }>;
  readonly onMetric?: (metric: Metric) => void;
  /** Told of every event before it is taken in, and of every effect before it is carried out and after. */
  readonly onEvent?: (event: Event) => void;
  readonly onEffect?: (when: 'before' | 'after', effect: Effect) => void;
  /** Told of every frame handed to the network; `to` is '' where it goes to everybody. */
  readonly onSent?: (to: string, bytes: Uint8Array) => void;
  /** Whether other members may reach each other through this one; left out: they may. */
  readonly relays?: boolean;
  /** Where others reach this peer besides: multiaddresses without an id. */
  readonly announce?: readonly string[];
  /** What this peer calls itself. */
  readonly nickname?: string;
  /** Told of all that the peer refuses, and of what the host does not let in. */
  readonly onRefuse?: (id: string, code: Refusal) => void;
  readonly onTurnedAway?: (by: string, code: Denial['code']) => void;
  readonly onBans?: (from: string, ids: readonly string[]) => void;
}

interface Waiting {
  readonly event: Event;
  readonly via: string;
  readonly done: () => void;
}

export interface Traffic {
  /** Frames and announcements handed to the network, in bytes; framing and encryption come on top. */
  sentBytes: number;
  sentFrames: number;
  receivedBytes: number;
}

export interface Runtime {
  readonly host: Host;
  readonly traffic: Traffic;
  /** Resolves when the run is over for this peer or it was stopped; rejects if it cannot go on. */
  readonly finished: Promise<void>;
  /** Says goodbye, lets what was begun be saved, and closes the host. */
  stop(): Promise<void>;
}

/** Starts the host, then the peer. */
export async function createRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { peer, key } = options;
  const book = options.book ?? createBook({ runId: peer.runId, founder: '', id: peer.id, key });
  const { promise: finished, resolve: finish, reject: fail } = Promise.withResolvers<void>();
  finished.catch(() => {}); // whoever waits hears of it; nobody need wait yet
  const traffic: Traffic = { sentBytes: 0, sentFrames: 0, receivedBytes: 0 };
  const timers = new Map<TimerName, NodeJS.Timeout>();
  const queue: Waiting[] = [];
  const dials = createDials();
  const halted = new AbortController();
  let [isWaitingForRoom, isStopping] = [false, false];
  let pumping = false;
  let pumped: Promise<void> = Promise.resolve();
  let state: 'starting' | 'running' | 'stopped' = 'starting';
  const limits = { runId: peer.runId, count: peer.adapter.length, codec: peer.settings.codec as CodecName };

  /** Resolves when the event is dealt with, or never will be. `via`: who has told of it. */
  const push = (event: Event, via = ''): Promise<void> =>
    new Promise((done) => {
      if (state === 'stopped') return done();
      queue.push({ event, via, done });
      if (state === 'running' && !pumping) pumped = pump();
    });
  const refuse = (id: string, code: Refusal): void => options.onRefuse?.(id, code);
  const halt = (): void => {
    state = 'stopped';
    halted.abort();
    for (const timer of timers.values()) clearTimeout(timer);
    for (const { done } of queue.splice(0)) done();
  };
  /** What nobody foresaw stops the peer as a whole, at the state that was saved last. */
  const die = (error: unknown): void => {
    if (state === 'stopped') return;
    halt();
    fail(error);
  };
  /** Whose an event is, told beforehand where the peer does not know by which invite that one came. */
  const admissionFor = (event: Event): Event | null => {
    const id = event.type === 'frame' ? event.from : event.type === 'peer' ? event.id : '';
    const invite = book.inviteOf(id);
    return invite === (peer.members.get(id)?.invite ?? '') ? null : { type: 'admitted', id, invite };
  };
  const take = async (event: Event, via: string): Promise<void> => {
    options.onEvent?.(event);
    const context: Context = {
      now: clock(),
      hash: sha256,
      isPlace,
      worthDialling: (id, addresses) => pick(via, id, addresses),
    };
    for (const effect of step(peer, event, context)) {
      options.onEffect?.('before', effect);
      await carryOut(effect);
      options.onEffect?.('after', effect);
    }
  };
  const pump = async (): Promise<void> => {
    pumping = true;
    try {
      for (let next = queue.shift(); next && state === 'running'; next = queue.shift()) {
        const { event, via, done } = next;
        const admission = admissionFor(event);
        if (admission) await take(admission, via);
        await take(event, via);
        done();
      }
    } catch (error) {
      die(error);
    } finally {
      pumping = false; // in the same turn as the last look at the queue, so no event is left lying
    }
  };

  const host = await (options.createHost ?? createHost)({
    key,
    listen: options.listen,
    runId: peer.runId,
    book,
    network: options.network ?? null,
    maxFrameBytes: maxFrameBytes(limits),
    describeRun: options.describeRun,
    start: options.start ?? null,
    relays: options.relays ?? true,
    announce: options.announce ?? [],
    nickname: options.nickname ?? '',
    placesOf: (id) => peer.members.get(id)?.addresses ?? [],
    onFrame: async (from, bytes, via) => {
      traffic.receivedBytes += bytes.length;
      // Frames of a stream wait their turn; announcements cannot.
      if (from !== via && queue.length >= MAX_WAITING_ANNOUNCEMENTS) return refuse(from, 'inbox-full');
      await push({ type: 'frame', from, bytes, via }, via);
    },
    onRefuse: refuse,
    onOversized: (from) => push({ type: 'oversized', from }),
    onPeer: (id, up) => {
      if (up) dials.reached(id);
      push({ type: 'peer', id, up });
    },
    validate: (_from, bytes) => decodeFrame(bytes, limits, sha256).ok,
    onTurnedAway: (by, code) => options.onTurnedAway?.(by, code),
    onBans: (from, ids) => options.onBans?.(from, ids),
  });

  const carryOut = async (effect: Effect): Promise<void> => {
    switch (effect.type) {
      case 'save':
        return untilThereIsRoom(() => options.save(effect.snapshot), {
          signal: halted.signal,
          onFull: (reason) => {
            isWaitingForRoom = reason !== null;
            options.onFull?.(reason);
            if (isWaitingForRoom && isStopping) halt();
          },
        });
      case 'train':
        if (state === 'stopped') return;
        options
          .train(effect.round, effect.adapter, effect.steps)
          .then(({ adapter, stats }) => push({ type: 'trained', round: effect.round, adapter, stats }), die);
        return;
      case 'send':
        sendOnce(effect.to, effect.bytes);
        return;
      case 'publish':
        count('', effect.bytes);
        host.publish(effect.bytes).catch(() => {}); // nobody to publish to yet: the next announcement follows
        return;
      case 'timer':
        clearTimeout(timers.get(effect.name));
        if (state === 'stopped') return;
        timers.set(
          effect.name,
          setTimeout(() => push({ type: 'timer', name: effect.name }), Math.max(0, effect.at - clock())),
        );
        return;
      case 'dial':
        // A dial may fail though the other has connected meanwhile, or reach somebody else: what counts is what is open.
        dialSome(effect.id, effect.addresses)
          .then((isTried) =>
            push({
              type: 'peer',
              id: effect.id,
              up: host.isConnected(effect.id),
              ...(isTried ? {} : { untried: true }),
            }),
          )
          .catch(die);
        return;
      case 'drop':
        host.ban(effect.id); // it is heard no more from now on
        return;
      case 'refuse':
        options.onRefuse?.(effect.id, effect.code);
        return;
      case 'report':
        options.onMetric?.(effect.metric);
        return;
      case 'finish':
        finish();
        return;
    }
  };
  /** Addresses worth dialling of those that somebody tells; loopback is told of by everybody, along with better. */
  const pick = (teller: string, id: string, addresses: readonly string[]): readonly string[] => {
    const worthy = worthDialling(addresses, id, host.seenAt(teller));
    if (addresses.some((address) => !worthy.includes(address) && !isLoopback(address))) refuse(teller, 'unfit-address');
    return worthy;
  };
  /** False where it was put off, since too many strangers have been dialled of late. */
  const dialSome = async (id: string, addresses: readonly string[]): Promise<boolean> => {
    const chosen = dials.choose(id, addresses);
    if (chosen && chosen.length > 0) await host.dial(chosen).catch(() => dials.failed(id, chosen));
    return chosen !== null;
  };
  const onTheWay = new Set<string>();
  /** Sends a frame; one as large, about the same round, that is still on its way to that peer is not sent twice. */
  const sendOnce = (to: string, bytes: Uint8Array): void => {
    const key = `${to}/${frameRound(bytes)}/${bytes.length}`;
    if (bytes.length > SMALL_FRAME_BYTES && onTheWay.has(key)) return;
    onTheWay.add(key);
    count(to, bytes);
    host
      .send(to, bytes)
      .finally(() => onTheWay.delete(key))
      .catch(die);
  };
  const count = (to: string, bytes: Uint8Array): void => {
    traffic.sentBytes += bytes.length;
    traffic.sentFrames += 1;
    options.onSent?.(to, bytes);
  };

  state = 'running';
  const early = queue.splice(0);
  let told = host.addresses();
  push({ type: 'start', addresses: told });
  queue.push(...early);
  const looking = setInterval(() => {
    const addresses = host.addresses();
    if (addresses.join() === told.join()) return;
    told = addresses;
    push({ type: 'moved', addresses });
  }, ADDRESSES_MS).unref();
  return {
    host,
    traffic,
    finished,
    stop: async () => {
      clearInterval(looking);
      isStopping = true;
      // What waits for room says no goodbye: it goes on from what was saved last.
      if (state === 'running' && !isWaitingForRoom) {
        push({ type: 'stop' });
        await pumped;
        await new Promise((resolve) => setTimeout(resolve, GOODBYE_MS)); // lets the goodbye leave
      }
      halt();
      await pumped; // a save under way is finished, nothing is begun
      await host.stop();
      finish();
    },
  };
}

/** Milliseconds that only rise, whatever somebody sets the wall clock to. */
function clock(): number {
  return Math.round(performance.timeOrigin + performance.now());
}

/** How soon a change of addresses is noticed: another network, or a member that relays. */
const ADDRESSES_MS = 1000;
const GOODBYE_MS = 50;
const SMALL_FRAME_BYTES = 1024;
