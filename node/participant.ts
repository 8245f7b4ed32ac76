/** @file One peer of a run on this machine: its texts, its state, its share of the trainer, its place in the swarm. */
import { CODECS, type CodecName } from '../protocol/codec.ts';
import type { Exchanged, Metric } from '../protocol/events.ts';
import type { Acquaintance, Refusal } from '../protocol/frame.ts';
import type { Member } from '../protocol/membership.ts';
import { createPeer, type Peer, restorePeer } from '../protocol/peer.ts';
import { SETTINGS } from '../protocol/settings.ts';
import { idIn } from './addresses.ts';
import { generateKey, ownIdOf } from './admission/identity.ts';
import { openMembership, turnedAway } from './admission/membership.ts';
import type { Ticket } from './admission/ticket.ts';
import { keepBootstrapped } from './bootstrap.ts';
import { type Chronicle, createChronicle } from './chronicle/chronicle.ts';
import { subjectOf } from './chronicle/subject.ts';
import { ROOM_AGAIN, waitingForRoom } from './full.ts';
import type { CreateHost } from './host.ts';
import type { Reach } from './network/reach.ts';
import { createRuntime, type Traffic } from './runtime.ts';
import { type Standing, standingOf } from './standing.ts';
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
  readonly onChange?: (view: ParticipantView) => void;
  readonly onNotice?: (line: string) => void;
  readonly onMetric?: (metric: Metric) => void;
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

/** What there is to see of a peer. */
export interface ParticipantView {
  readonly id: string;
  round: number;
  rounds: number;
  phase: Peer['phase'];
  /** Whether its user has paused it: it begins no further training. */
  isHeld: boolean;
  /** Mean loss of the last local round. */
  loss: number | null;
  /** On development texts, of the last mixed adapter. */
  score: Score | null;
  /** Mean relative distance of the neighbours' adapters. */
  distance: number | null;
  /** How far averaging the factors was from averaging their products. */
  crossTerm: number | null;
  neighbours: number;
  late: number;
  /** Rounds in which training gave numbers that are not finite. */
  diverged: number;
  /** Exchanges given up with peers that are gone for good. */
  abandoned: number;
  /** Whose exchanges were still undecided at the end. */
  undecided: readonly string[];
  /** Pseudo-labelled examples trained on. */
  pseudo: number;
  /** Their share of the unlabelled texts, and of them the share that is right where that is known. */
  coverage: number;
  precision: number | null;
  members: number;
  /** Rounds mixed with whom. */
  mixedWith: Record<string, number>;
  /** Whose adapter it went on with when it came late; null: nobody's. */
  adoptedFrom: string | null;
  /** How many members there are to be while it waits for them. */
  wanted: number;
  standing: Standing;
  readonly objective: Run['objective'];
  labelled: number;
  unlabelled: number;
  sentBytes: number;
  refused: Partial<Record<Refusal, number>>;
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
  const view = { ...createView(peer, options), mixedWith: { ...options.mixedWith } };
  const { scribe, ...chronicle } = createChronicle({
    subject: subjectOf(run, id, options.name ?? ''),
    head: () => ({ ...view, ...view.standing, ...runtime.traffic }),
    members: () => peer.members.values(),
    isBanned: membership.book.isBanned,
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
    report: (score) => {
      view.score = score;
      const figure = figureOf(score);
      if (figure !== null) scribe.scored(figure);
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
    // Everything but what is this peer's own.
    describeRun: () => JSON.stringify({ ...settings, localRank: SETTINGS.localRank.default }),
    start: run.given && CODECS.f32.encode(run.given),
    save: store.writeSnapshot,
    onFull: (reason) => onNotice(reason ? waitingForRoom(reason) : ROOM_AGAIN),
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
      view.sentBytes = runtime.traffic.sentBytes;
      if (metric.type === 'mixed') watch(run.wire.unpack(metric.adapter));
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
    chronicle,
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

function createView(peer: Peer, { learner }: ParticipantOptions): ParticipantView {
  return {
    id: peer.id,
    round: peer.round,
    rounds: peer.settings.rounds + peer.settings.closingRounds,
    phase: peer.phase,
    isHeld: false,
    loss: null,
    score: null,
    distance: null,
    crossTerm: null,
    neighbours: 0,
    late: 0,
    diverged: 0,
    abandoned: 0,
    undecided: [],
    pseudo: 0,
    coverage: 0,
    precision: null,
    members: 1,
    mixedWith: {},
    adoptedFrom: null,
    wanted: peer.settings.minPeers,
    standing: standingOf(peer),
    objective: learner.objective,
    labelled: learner.labelled,
    unlabelled: learner.unlabelled,
    sentBytes: 0,
    refused: {},
  };
}

function noteMetric(view: ParticipantView, metric: Metric, onNotice: ParticipantOptions['onNotice']): void {
  switch (metric.type) {
    case 'gathering':
      view.wanted = metric.wanted;
      break;
    case 'trained':
      view.loss = metric.loss;
      break;
    case 'mixed':
      view.neighbours = metric.mixed;
      view.distance = metric.distance;
      view.crossTerm = metric.crossTerm;
      view.late += metric.late;
      countMixed(view, metric.with);
      break;
    case 'skipped':
      onNotice?.(`the others are at round ${metric.to}: skipped from ${metric.from}`);
      break;
    case 'adopted':
      view.adoptedFrom = metric.from;
      onNotice?.(`came late to round ${metric.round}: went on with the adapter of ${metric.from}`);
      break;
    case 'abandoned':
      view.abandoned += 1;
      break;
    case 'undecided':
      view.undecided = metric.with;
      break;
    case 'late':
      countMixed(view, metric.with);
      break;
    case 'cancelled':
    case 'crowded':
      break;
    case 'diverged':
      onNotice?.(`round ${metric.round}: training gave numbers that are not finite; kept the adapter from before`);
      break;
  }
}

function countMixed(view: ParticipantView, exchanged: readonly Exchanged[]): void {
  for (const { id } of exchanged) view.mixedWith[id] = (view.mixedWith[id] ?? 0) + 1;
}
