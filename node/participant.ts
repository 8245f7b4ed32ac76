/** @file One peer of a run on this machine: its texts, its state, its share of the trainer, its place in the swarm. */
import { CODECS, type CodecName } from '../protocol/codec.ts';
import type { Metric } from '../protocol/events.ts';
import type { Acquaintance, Refusal } from '../protocol/frame.ts';
import type { Member } from '../protocol/membership.ts';
import { createPeer, restorePeer } from '../protocol/peer.ts';
import { SETTINGS } from '../protocol/settings.ts';
import { idIn } from './addresses.ts';
import { generateKey, ownIdOf } from './admission/identity.ts';
import { openMembership, turnedAway } from './admission/membership.ts';
import type { Ticket } from './admission/ticket.ts';
import { keepBootstrapped } from './bootstrap.ts';
import { type Chronicle, createChronicle } from './chronicle/chronicle.ts';
import { subjectOf } from './chronicle/subject.ts';
import { roomText } from './full.ts';
import type { CreateHost } from './host.ts';
import type { Reach } from './network/reach.ts';
import { createView, noteMetric, type ParticipantView } from './participant-view.ts';
import { createRuntime, type Traffic } from './runtime.ts';
import { standingOf } from './standing.ts';
import type { Store } from './store.ts';
import { createDivergence } from './train/divergence.ts';
import { factorPairs } from './train/factors.ts';
import type { Learner } from './train/objective.ts';
import { type Run, startOf } from './train/run.ts';
import { figureOf, type Score } from './train/score.ts';
import { createWatch, type Watched } from './watch.ts';

export interface ParticipantOptions extends Watched {
  readonly run: Run;
  readonly store: Store;
  /** Its own texts. */
  readonly learner: Learner;
  readonly listen: readonly string[];
  /** Whom to dial first, and again while nobody is connected. */
  readonly bootstrap: readonly string[];
  /** Of the invite it comes by; null where it is the first, or the run is open. */
  readonly ticket?: Ticket | null;
  /** Ids of those whose word it takes where no two agree. */
  readonly inviters?: readonly string[];
  /** The run, over now, whose state this one takes over. */
  readonly follows?: string | null;
  /** Rounds mixed with whom in earlier lives. */
  readonly mixedWith?: Readonly<Record<string, number>>;
  /** Names the peer's shuffles; by default its id. */
  readonly name?: string;
  /** What it calls itself, as others and the page see it; left out: as its shuffles are named. */
  readonly nickname?: string;
  readonly onChange?: (view: ParticipantView) => void;
  readonly onNotice?: (line: string) => void;
  readonly onMetric?: (metric: Metric) => void;
  /** Told how the adapter of that many rounds does on the texts to watch. */
  readonly onScore?: (score: Score, rounds: number) => void;
  readonly onRefuse?: (by: string, code: Refusal) => void;
  /** What starts its host; left out: libp2p. */
  readonly createHost?: CreateHost;
  /** Whether other members may reach each other through this one; left out: they may. */
  readonly relays?: boolean;
  /** Where others reach this peer besides: multiaddresses without an id. */
  readonly announce?: readonly string[];
  /** Told, now and then, why nobody answers at the addresses to dial first. */
  readonly onUnreachable?: (reason: string) => void;
}

export interface Participant {
  readonly id: string;
  readonly view: ParticipantView;
  readonly traffic: Traffic;
  addresses(): string[];
  /** The port it listens on; 0: none. */
  readonly port: number;
  /** Those it is connected to, and where they say they can be reached. */
  connected(): Acquaintance[];
  /** How others reach this peer, as far as that is known. */
  reach(): Reach;
  /** What invites to the run carry; null where it is open. */
  readonly ticket: Ticket | null;
  /** How many of those known here have come by that ticket's invite. */
  placesTaken(): number;
  /** What all invites to the run share; null where it is open. */
  readonly network: Uint8Array | null;
  /** The adapter as last mixed or trained. */
  adapter(): Float32Array;
  /** The adapter as this peer last trained it, before anything was mixed into it; the run's start where it has not yet. */
  own(): Float32Array;
  /** What has happened so far, for whoever looks. */
  readonly chronicle: Chronicle;
  /** Resolves when the run is over; rejects when it cannot go on. */
  readonly finished: Promise<void>;
  /**
   * Begins no further training, and so no further exchange, while it stays connected and answers; what is under way ends. The
   * others wait for it as for any that is slow, twice, and then go on without it. Rounds that only mix go on.
   */
  hold(): void;
  /** Trains again; where the others are further on by now, it goes on with them as one that comes late. */
  release(): void;
  stop(): Promise<void>;
}

/** How often refusals, and nothing else, change what is shown. */
const REFUSALS_SHOWN_MS = 250;

/** Starts (or resumes) a peer. Throws a UserError where the state is of another run or the port is taken. */
export async function startParticipant(options: ParticipantOptions): Promise<Participant> {
  const { run, store, onChange } = options;
  const { settings, runId } = run;
  const key = await store.key(() => generateKey());
  const id = ownIdOf(key, store.folder);
  // A common A does not travel, and B alone is averaged exactly.
  const factors = settings.averaging === 'freeze-a' ? [] : factorPairs(run.tensors);
  const { inviters = [] } = options;
  const { ticket = null } = options;
  const onNotice = (line: string): void => {
    chronicle.note(line);
    options.onNotice?.(line);
  };
  const membership = await openMembership({
    ...{ store, runId, founder: settings.founder, id, key, ticket, onNotice },
    trusted: options.bootstrap.flatMap((address) => idIn(address) ?? []),
  });
  const away = Promise.withResolvers<never>();
  const told = new Set<string>();
  const snapshot = store.readSnapshot(runId, settings.codec as CodecName, options.follows ?? null);
  const peer = snapshot
    ? restorePeer({ id, settings, snapshot, factors, inviters })
    : createPeer({ id, runId, settings, adapter: run.wire.pack(startOf(run)), factors, inviters });
  const nickname = options.nickname ?? options.name ?? '';
  const view: ParticipantView = {
    ...createView(peer, { learner: options.learner, name: nickname }),
    mixedWith: { ...options.mixedWith },
    get sentBytes() {
      return runtime.traffic.sentBytes;
    },
    get ways() {
      return runtime.host.connections();
    },
    get names() {
      return Object.fromEntries(runtime.host.names?.() ?? []);
    },
  };
  const { scribe, ...chronicle } = createChronicle({
    subject: subjectOf(run, id, nickname),
    head: () => ({ ...view, ...view.standing, ...runtime.traffic }),
    members: () => peer.members.values(),
    isBanned: membership.book.isBanned,
    nameOf: (one) => runtime.host.names?.().get(one) ?? '',
  });
  let own: Float32Array | null = null;
  const changed = (): void => {
    const { labelled, unlabelled } = options.learner;
    Object.assign(view, { labelled, unlabelled, round: peer.round });
    view.phase = peer.phase;
    view.standing = standingOf(peer);
    const isHere = (m: Member): boolean => m.sequence >= 0 && (m.state === 'joined' || m.state === 'gathering');
    view.members = [...peer.members.values()].filter(isHere).length + 1;
    onChange?.(view);
  };
  let shownAt = Number.NEGATIVE_INFINITY;
  let stopped = false;
  let held: PromiseWithResolvers<void> | null = null;
  const watch = createWatch(options, {
    onNotice,
    isStopped: () => stopped,
    report: (score, rounds) => {
      view.score = score;
      const figure = figureOf(score);
      if (figure !== null) scribe.scored(figure);
      options.onScore?.(score, rounds);
      changed();
    },
  });
  const divergence = createDivergence(onNotice);
  const runtime = await createRuntime({
    peer,
    key,
    book: membership.book,
    network: membership.network,
    onBans: membership.hearBans,
    onTurnedAway: (by, code) => {
      const error = turnedAway(by, code, ticket);
      // Where who gave the invite does not take it in and nobody else has, there is nothing better to hope for.
      const isAlone = ![...peer.members.values()].some((m) => m.connected && m.id !== by);
      if (inviters.includes(by) && isAlone) away.reject(error);
      else if (!told.has(by)) onNotice(error.message);
      told.add(by);
    },
    ...(options.createHost ? { createHost: options.createHost } : {}),
    listen: options.listen,
    relays: options.relays ?? true,
    announce: options.announce ?? [],
    nickname,
    // Everything but what is this peer's own.
    describeRun: () => JSON.stringify({ ...settings, localRank: SETTINGS.localRank.default }),
    start: run.given && CODECS.f32.encode(run.given),
    save: store.writeSnapshot,
    onFull: (reason) => onNotice(roomText(reason)),
    onSent: scribe.sent,
    onEvent: (event) => {
      if (event.type === 'frame') scribe.received(event.from, event.bytes);
      else if (event.type === 'peer') scribe.changed();
    },
    train: async (round, adapter, steps) => {
      while (held) await held.promise;
      scribe.training(round);
      const result = await options.learner.train({
        peer: options.name ?? id,
        round,
        vector: run.wire.unpack(adapter),
        steps,
        onLabelled: ({ examples, coverage, precision }) => {
          Object.assign(view, { pseudo: examples.length, coverage, precision });
          scribe.labelled(round, examples.length, precision);
          changed();
        },
      });
      view.diverged = divergence.count(round, result);
      const { vector, losses } = result;
      own = vector;
      return {
        adapter: run.wire.pack(vector),
        stats: { loss: losses.length > 0 ? losses.reduce((a, b) => a + b, 0) / losses.length : null },
      };
    },
    onMetric: (metric) => {
      noteMetric(view, metric, onNotice);
      scribe.metric(metric);
      options.onMetric?.(metric);
      if (metric.type === 'mixed') watch(run.wire.unpack(metric.adapter), metric.round + 1);
      changed();
    },
    onRefuse: (by, code) => {
      scribe.refused(by, code);
      options.onRefuse?.(by, code);
      view.refused[code] = (view.refused[code] ?? 0) + 1;
      if (performance.now() - shownAt < REFUSALS_SHOWN_MS) return; // a flood is no reason to draw without end
      shownAt = performance.now();
      changed();
    },
  });
  membership.begin(runtime.host.expel);
  const finished = Promise.race([runtime.finished, away.promise]);
  finished.catch(() => {}); // whoever waits hears of it; nobody need wait yet
  const stopBootstrap = keepBootstrapped(options, peer, (addresses) => runtime.host.dial(addresses));
  return {
    id,
    view,
    traffic: runtime.traffic,
    addresses: runtime.host.addresses,
    port: runtime.host.port,
    connected: () =>
      [...peer.members.values()]
        .filter((m) => m.connected && m.state !== 'left')
        .map(({ id, addresses }) => ({ id, addresses })),
    reach: runtime.host.reach,
    adapter: () => run.wire.unpack(peer.adapter),
    own: () => own ?? startOf(run),
    chronicle: {
      ...chronicle,
      compared: (comparison) => {
        view.comparison = comparison;
        chronicle.compared(comparison);
        changed();
      },
    },
    ticket: membership.ticket,
    network: membership.network,
    placesTaken: () => (membership.ticket ? membership.book.placesTaken(membership.ticket.pass) : 0),
    finished,
    hold: () => {
      held ??= Promise.withResolvers();
      view.isHeld = true;
      changed();
    },
    release: () => {
      held?.resolve();
      held = null;
      view.isHeld = false;
      changed();
    },
    stop: async () => {
      stopped = true;
      stopBootstrap();
      await runtime.stop();
      await membership.stop();
      store.release();
    },
  };
}
