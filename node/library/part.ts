/** @file One peer of a program that takes part in a run: what happens to it, what it has learned, and its end. */
import { join } from 'node:path';
import { keepEarlier, namedFor, writeAdapter } from '../adapter.ts';
import { mergeAddresses } from '../addresses.ts';
import type { Ticket } from '../admission/ticket.ts';
import type { Chronicle } from '../chronicle/chronicle.ts';
import { type Contacts, createContacts } from '../contacts.ts';
import { createTrainer, type Trainer } from '../engine/trainer.ts';
import type { Beginning, StateFolder } from '../entry/begin.ts';
import { enterState } from '../entry/enter.ts';
import { checkTexts } from '../entry/texts.ts';
import { UserError } from '../errors.ts';
import type { Facts, Format } from '../export/card.ts';
import { exportSubject } from '../exporting.ts';
import type { Width } from '../formats/narrow.ts';
import { classifyTexts, type Prediction } from '../generate/classifier.ts';
import { formatInvite } from '../invite.ts';
import { answers } from '../network/visits.ts';
import { type Participant, startParticipant } from '../participant.ts';
import type { ParticipantView } from '../participant-view.ts';
import { digestRows, openStore } from '../store.ts';
import { type Compared, compareOn } from '../train/compare.ts';
import type { Learner, Texts } from '../train/objective.ts';
import type { Run } from '../train/run.ts';
import type { Score } from '../train/score.ts';
import { readTexts } from '../train/texts.ts';
import { createFeed, eventOf, type Feed, type SwarmEvent } from './events.ts';
import { type Data, listenAt, type PeerOptions, readData } from './options.ts';
import type { Resources } from './resources.ts';

/** For what takes a while. */
export interface Waiting {
  readonly signal?: AbortSignal;
}

/** One peer that takes part in a run. It stays there for the others until it is stopped, also when the run is over. */
export interface Swarm extends AsyncDisposable {
  readonly id: string;
  readonly runId: string;
  readonly run: Run;
  /** The folder of its state. */
  readonly state: string;
  /** What others join with; it names more peers as this one meets them. */
  invite(): string;
  /** How it stands now. */
  readonly view: Readonly<ParticipantView>;
  /** All that has happened, round by round. */
  readonly chronicle: Chronicle;
  /** What happens, from the beginning to the end of the run or of this peer; throws what the signal is aborted with. */
  events(waiting?: Waiting): AsyncGenerator<SwarmEvent, void>;
  /** Resolves when the run is over or the peer is stopped. Rejects where it cannot go on, and with the reason of its signal. */
  readonly finished: Promise<void>;
  /** As mixed or trained last, [P]: see run.tensors for what lies where. */
  adapter(): Float32Array;
  /** The class of each text, by the adapter as it is now. Throws a UserError where the run has no classes. */
  predict(texts: readonly string[], waiting?: Waiting): Promise<Prediction[]>;
  /** The adapter as it is now, on labelled texts (or texts to write like). */
  score(data: Data, waiting?: Waiting): Promise<Score>;
  /** Does joining help? Base, alone and swarm on the `test` texts; it trains alone for that. */
  compare(waiting?: Waiting): Promise<Compared>;
  /** Writes the adapter for other tools: in PEFT's format, or another. Throws a UserError where it cannot be written. */
  exportTo(folder: string, how?: { readonly format?: Format; readonly width?: Width }): Promise<void>;
  /** Begins no further training, yet stays connected and answers. */
  pause(): void;
  resume(): void;
  /** Says goodbye for good: writes the adapter to `adapter` in its state, then stops. */
  leave(): Promise<void>;
  /** Stops and keeps the state, from which it goes on another time. */
  stop(): Promise<void>;
}

/** What a peer enters with. */
export interface Part extends Beginning {
  readonly state: StateFolder;
  readonly resources: Resources;
  /** Where the state has none yet. */
  readonly key: Uint8Array | null;
  readonly ticket: Ticket | null;
  readonly bootstrap: readonly string[];
  readonly inviters: readonly string[];
}

/** Starts the peer. What it opens is kept by `resources`, for whoever called to release where this throws. */
export async function takePart(options: PeerOptions, part: Part): Promise<Swarm> {
  const { resources, state, isBack, follows, ticket, bootstrap, inviters } = part;
  const { saved, folder } = state;
  const read = reader(part.run);
  const [own, test, watch] = [read(options.data, 'data'), read(options.test, 'test'), read(options.watch, 'watch')];
  if (saved && own) checkTexts(folder, { rows: own.file.rows, name: 'data', note: null });
  const feed = createFeed();
  resources.hear((text) => feed.push({ type: 'notice', text }));
  const store = openStore(folder, resources.note);
  resources.keep(() => store.release());
  const engine = lazyTrainer(options, part);
  const run = own && !options.trainer ? await own.calibrate(await engine()) : part.run;
  const learner = await learnerOf(options, { run, own, engine });
  const development = watch && (await watch.exam(run, await engine()));
  options.signal?.throwIfAborted();
  const writeProgress = await enterState(store, { ...part, run, saved });
  let contacts: Contacts | null = null;
  const tell = teller(feed);
  const participant = await startParticipant({
    ...{ run, store, learner, bootstrap, ticket, inviters, follows },
    mixedWith: isBack ? saved!.mixedWith : {},
    listen: [listenAt(options, saved?.port ?? 0)],
    ...(development ? { development } : {}),
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.transport ? { createHost: options.transport.createHost } : {}),
    onNotice: resources.note,
    onUnreachable: resources.note,
    onMetric: (metric) => {
      const event = eventOf(metric);
      if (event) feed.push(event);
    },
    onRefuse: (id, code) => feed.push({ type: 'refused', id, code }),
    onChange: (view) => {
      contacts?.look();
      if (contacts) tell(participant, view);
    },
  });
  resources.keep(participant.stop);
  const { network } = participant;
  contacts = createContacts({
    own: participant.addresses,
    connected: participant.connected,
    answers: options.transport ? async () => false : (address, signal) => answers(network, address, signal),
    onMore: () => {},
  });
  resources.keep(contacts.stop);
  const keep = (): Promise<void> => {
    const known = mergeAddresses(contacts?.others() ?? [], bootstrap);
    const { port, view } = participant;
    const invited = contacts?.addresses() ?? [];
    return writeProgress({ port, bootstrap: known, mixedWith: view.mixedWith, invited });
  };
  await keep();
  if (own) await store.writeTexts(digestRows(own.file.rows));
  const body = { ...{ options, part, run, learner, test, read, engine, participant, contacts, feed, keep } };
  return swarmOf(body);
}

interface Body {
  readonly options: PeerOptions;
  readonly part: Part;
  readonly run: Run;
  readonly learner: Learner;
  readonly test: Texts | null;
  readonly read: ReturnType<typeof reader>;
  readonly engine: () => Promise<Trainer>;
  readonly participant: Participant;
  readonly contacts: Contacts;
  readonly feed: Feed;
  /** Writes what the state is to remember. */
  readonly keep: () => Promise<void>;
}

function swarmOf(body: Body): Swarm {
  const { options, part, run, learner, test, read, engine, participant, contacts, feed, keep } = body;
  const { resources, earlierRounds } = part;
  const { id, view, chronicle } = participant;
  const stopping = new AbortController();
  const over = participant.finished.then(() => {
    if (view.phase === 'finished') feed.push({ type: 'finished', round: view.round });
  });
  const finished = Promise.race([over, whenAborted(options.signal)]).finally(feed.end);
  finished.catch(() => {}); // whoever waits hears of it; nobody need wait
  const stop = async (): Promise<void> => {
    if (!stopping.signal.aborted) {
      stopping.abort();
      await keep();
    }
    await resources.release();
    feed.end();
  };
  options.signal?.addEventListener('abort', () => void stop().catch(() => {}), { once: true });
  const during = ({ signal }: Waiting): AbortSignal =>
    AbortSignal.any([stopping.signal, ...(signal ? [signal] : []), ...(options.signal ? [options.signal] : [])]);
  const facts = (): Facts => ({ rounds: view.round + earlierRounds, peers: Object.keys(view.mixedWith).length });
  return {
    ...{ id, view, chronicle, run, finished, stop, runId: run.runId, state: resources.folder },
    invite: () => formatInvite({ addresses: contacts.addresses(), runId: run.runId, ticket: participant.ticket }),
    events: ({ signal } = {}) => feed.read(signal),
    adapter: participant.adapter,
    predict: async (texts, waiting = {}) => {
      if (run.objective !== 'classify')
        throw new UserError('usage', 'predict: the run learns to write, with no classes; wanted score()');
      const model = { run, trainer: await engine(), vector: participant.adapter() };
      return classifyTexts(model, texts, { temperature: 1, signal: during(waiting) });
    },
    score: async (data, waiting = {}) => {
      const exam = await read(data, 'score').exam(run, await engine());
      return exam.score(participant.adapter(), { signal: during(waiting) });
    },
    compare: async (waiting = {}) => {
      if (!test) throw new UserError('usage', 'compare: no texts to compare on; wanted the option test');
      const exam = await test.exam(run, await engine());
      const signal = during(waiting);
      return compareOn(exam, { run, learner, peer: id, swarm: participant.adapter(), signal });
    },
    exportTo: (folder, { format = 'peft', width = 'f32' } = {}) => {
      const subject = { ...run, vector: participant.adapter(), named: namedFor(run.settings.base), facts: facts() };
      return exportSubject(folder, subject, { format, width });
    },
    pause: participant.hold,
    resume: participant.release,
    leave: async () => {
      await participant.stop();
      const adapter = join(resources.folder, 'adapter');
      if (!resources.isTemporary) {
        await keepEarlier(adapter, run.runId);
        await writeAdapter(adapter, { run, vector: participant.adapter(), facts: facts() });
      }
      await stop();
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** Reads texts for a run. */
function reader(run: Run) {
  const { objective } = run;
  function read(data: Data, option: string): Texts;
  function read(data: Data | undefined, option: string): Texts | null;
  function read(data: Data | undefined, option: string): Texts | null {
    return data === undefined ? null : readTexts(run, readData(data, option, objective), { objective });
  }
  return read;
}

/** The trainer, started when it is asked for the first time. */
function lazyTrainer({ device = 'auto', threads = 0 }: PeerOptions, { run, resources }: Part): () => Promise<Trainer> {
  let trainer: Promise<Trainer> | null = null;
  const start = async (): Promise<Trainer> => {
    const trainable = { type: 'lora', lora: run.lora } as const;
    const started = await createTrainer({ base: run.base.path, trainable, device, threads });
    resources.keep(started.stop);
    if (started.notice) resources.note(started.notice);
    return started;
  };
  return () => {
    trainer ??= start();
    return trainer;
  };
}

async function learnerOf(
  { trainer }: PeerOptions,
  { run, own, engine }: { run: Run; own: Texts | null; engine: () => Promise<Trainer> },
): Promise<Learner> {
  if (typeof trainer === 'function') return trainer(run);
  if (trainer) return trainer;
  if (own) return own.learner(run, await engine());
  throw new UserError('usage', 'data: left out; wanted a path or rows, or a trainer of your own');
}

/** Tells of who has come and gone, and of scores, by what has changed. */
function teller(feed: Feed): (participant: Participant, view: ParticipantView) => void {
  const here = new Set<string>();
  let last: Score | null = null;
  return (participant, { round, score }) => {
    const now = new Set(participant.connected().map(({ id }) => id));
    for (const id of now) if (!here.has(id)) feed.push({ type: 'joined', id });
    for (const id of here) if (!now.has(id)) feed.push({ type: 'left', id });
    here.clear();
    for (const id of now) here.add(id);
    if (score && score !== last) feed.push({ type: 'scored', round, score });
    last = score;
  };
}

/** Never resolves; rejects with the reason of the signal. */
export function whenAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
