/** @file What `up` and `join` share: one peer from its texts to its adapter, shown while it works, kept when interrupted. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { mergeAddresses } from '../addresses.ts';
import type { Ticket } from '../admission/ticket.ts';
import type { Display } from '../display.ts';
import { createTrainer, type Trainer } from '../engine/trainer.ts';
import type { Beginning } from '../entry/begin.ts';
import { enterState } from '../entry/enter.ts';
import { messageOf, UserError } from '../errors.ts';
import { roomText, untilThereIsRoom } from '../full.ts';
import { leaveInvite } from '../invite-file.ts';
import type { MetricsServer } from '../metrics.ts';
import { readAnnounced } from '../network/announced.ts';
import { type Participant, startParticipant } from '../participant.ts';
import { digestRows, openStore, type Store } from '../store.ts';
import { createLooks, type Looks, type LooksOptions } from '../train/looks.ts';
import type { Exam } from '../train/objective.ts';
import type { Run } from '../train/run.ts';
import { figureOf } from '../train/score.ts';
import { peerActions } from '../ui/actions.ts';
import { openNotes } from '../ui/notes.ts';
import type { PageServer } from '../ui/server.ts';
import { openPage, pagePlace } from '../ui/start.ts';
import { announce, type Crier } from './announce.ts';
import { inspectStart } from './check.ts';
import { type Desk, openDesk } from './desk.ts';
import { tellReady } from './detach.ts';
import { endByLeaving, endEarly, endWell, keepAdapter, type Part } from './ending.ts';
import { deviceFlags, type Flags, interruptSignal, WAIT_SECONDS } from './flags.ts';
import { tellRun } from './lan.ts';
import { createPatience } from './patience.ts';
import { listenAddress, nicknameOf, type PeerTexts, type Prepared } from './prepare.ts';
import { sampling } from './samples.ts';
import { createPeerView } from './view.ts';

/** A run that is over is not begun again under the same name. */
function refuseFinished({ folder, saved }: Prepared, { runId, settings }: Run): void {
  const rounds = settings.rounds + (saved?.earlierRounds ?? 0);
  throw new UserError(
    'incompatible',
    `${folder}: run ${runId} is over, its adapter is in ${join(folder, 'adapter')}; --serve answers those who come late, more --rounds than ${rounds} go on from it, another --state begins anew`,
  );
}

/** What a peer brings along, and where it looks for the others. */
interface Entry {
  /** The peer's key where its state has none yet. */
  readonly key: Uint8Array | null;
  /** Of the invite it comes by, if any. */
  readonly ticket: Ticket | null;
  readonly texts: PeerTexts;
  /** Whom to dial first. */
  readonly bootstrap: readonly string[];
  /** Whose word it takes where no two agree. */
  readonly inviters: readonly string[];
}

/** Opens state and trainer, trains and mixes until the run is over or Ctrl-C. */
export async function runPeer(flags: Flags, prepared: Prepared, begun: Beginning & Entry): Promise<void> {
  const { display, folder, isOver, saved } = prepared;
  const { run: bare, texts } = begun;
  if (isOver && begun.isBack && !flags.serve && existsSync(join(folder, 'adapter'))) refuseFinished(prepared, bare);
  const announced =
    typeof flags.announce === 'string'
      ? await readAnnounced(flags.announce, Number(flags.port) || (saved?.port ?? 0))
      : [];
  const found = await inspectStart(flags, texts.own, display.note);
  const interrupt = interruptSignal(() => display.note('stopping: the state is kept (Ctrl-C again to stop at once)'));
  const store = openStore(folder, display.note);
  found.forEach(display.note);
  try {
    const trainer = await startTrainer(flags, bare);
    try {
      if (trainer.notice) display.note(trainer.notice);
      const run = interrupt.signal.aborted ? bare : await texts.own.calibrate(trainer);
      await takePart(flags, prepared, { ...begun, announced, run, store, trainer, signal: interrupt.signal });
    } finally {
      await trainer.stop();
    }
  } finally {
    store.release();
    interrupt.dispose();
  }
}

interface Opened extends Beginning, Entry {
  /** Where others reach this peer besides where it listens. */
  readonly announced: readonly string[];
  readonly store: Store;
  readonly trainer: Trainer;
  readonly signal: AbortSignal;
}

/** Why a peer has ended its part. */
type End = 'over' | 'stopped' | 'lonely' | 'left';

async function takePart(flags: Flags, prepared: Prepared, opened: Opened): Promise<void> {
  const { display, path, saved, folder } = prepared;
  const { run, store, trainer, texts, announced, ticket, bootstrap, inviters, signal, isBack, follows, earlierRounds } =
    opened;
  const writeProgress = await enterState(store, { ...opened, saved });
  const learner = await texts.own.learner(run, trainer);
  const notes = learner.texts ? await openNotes(folder, learner.texts) : null;
  const exam = texts.test && (await texts.test.exam(run, trainer));
  const watched = exam ?? (texts.held && (await texts.held.exam(run, trainer)));
  if (learner.labelled === 0) {
    display.note(`${path}: no row has a label; this peer learns from the swarm's labels for its texts`);
  }
  let desk: Desk | null = null;
  const tell = (event: Record<string, unknown>): void => {
    if (flags.follow) console.log(JSON.stringify(event));
  };
  const follow = ({ event, ...facts }: Readonly<Record<string, unknown>>): void => {
    tell({ event, ...facts });
    desk?.record(String(event), facts);
  };
  const note = (line: string): void => {
    display.note(line);
    desk?.record('notice', { text: line });
  };
  const wait = flags.wait === undefined ? (isBack || bootstrap.length > 0 ? WAIT_SECONDS : 0) : Number(flags.wait);
  const patience = createPatience(wait);
  const shown = createPeerView({ display, isVerbose: flags.verbose === true, follow, givesUpMs: patience.untilMs });
  const whenThereIsRoom = (write: () => Promise<void>): Promise<void> =>
    untilThereIsRoom(write, { signal, onFull: (reason) => note(roomText(reason)) });
  let invited: readonly string[] = [];
  let crier: Crier | null = null;
  let page: PageServer | null = null;
  let looks: Looks | null = null;
  let isStopping = false;
  const participant = await startParticipant({
    run,
    store,
    learner,
    listen: [listenAddress(flags, saved?.port ?? 0)],
    relays: flags.relay !== false,
    announce: announced,
    nickname: nicknameOf(flags),
    bootstrap,
    ticket,
    inviters,
    follows,
    mixedWith: isBack ? saved!.mixedWith : {},
    ...(watched ? { development: watched, watchEvery: watchEvery(run, watched) } : {}),
    onMetric: (metric) => {
      if (metric.type === 'trained') looks?.idle(metric.round);
    },
    onScore: (score, round) => looks?.swarm(figureOf(score) ?? 0, round),
    onChange: (view) => {
      patience.look(view);
      if (crier && !isStopping) shown.show(view);
      crier?.look();
    },
    onNotice: note,
    onUnreachable: patience.tell((reason) => note(`${reason}; trying again${patience.left()}`)),
  });
  let metrics: MetricsServer | null = null;
  let lan: Awaited<ReturnType<typeof tellRun>> = null;
  try {
    lan = await tellRun(flags, participant, run, note);
    if (typeof flags.metrics === 'string') {
      const { serveMetrics } = await import('../metrics.ts');
      metrics = await serveMetrics(flags.metrics, participant.chronicle);
      note(`metrics for Prometheus: ${metrics.url}`);
    }
    const { port } = participant;
    const keep = (): Promise<void> => {
      const known = mergeAddresses(crier?.others() ?? [], bootstrap);
      const { mixedWith } = participant.view;
      return writeProgress({ port, bootstrap: known, mixedWith, invited });
    };
    await keep();
    await store.writeTexts(digestRows(texts.own.file.rows));
    desk = await openDesk(participant, {
      ...{ folder, runId: run.runId, display },
      invite: () => crier?.invite() ?? null,
      givesUpMs: patience.untilMs,
    });
    desk.record('started', { id: participant.id, runId: run.runId, round: participant.view.round });
    crier = announce(display, participant, {
      runId: run.runId,
      ticket: participant.ticket,
      host: String(flags.host),
      bootstrap,
      onInvite: (invite, addresses) => {
        invited = addresses;
        tell({ event: 'invite', invite, id: participant.id, runId: run.runId });
        if (typeof flags.inviteFile === 'string' && opened.key !== null)
          leaveInvite(flags.inviteFile, invite).catch((error) => note(messageOf(error)));
        keep().catch((error) => display.note(messageOf(error)));
      },
    });
    shown.show(participant.view);
    page = await openPage(pagePlace(flags.ui), {
      note: display.note, // its link lets in, and is no line for a log
      onUrl: (url) => tell({ event: 'page', url }),
    });
    if (tellReady({ state: folder, invite: crier.invite() })) display.mute();
    const { chronicle } = participant;
    if (watched) looks = startLooks(flags, { run, learner, exam: watched, peer: participant.id }, participant, note);
    page?.add({ chronicle, actions: peerActions({ participant, folder, invite: crier.invite, run, notes }) });
    const end = await Promise.race([
      participant.finished.then((): End => 'over'),
      aborted(signal).then((): End => 'stopped'),
      patience.end.then((): End => 'lonely'),
      aborted(desk.leaving).then((): End => 'left'),
    ]);
    crier.stop();
    looks?.stop();
    isStopping = end !== 'over';
    if (end !== 'over') await participant.stop();
    await keep();
    shown.stop();
    display.close();
    // A share that nobody asked for is told of on the way; alone to the end takes as long as the run.
    const asked = exam ?? (flags.heldOut === undefined ? null : watched);
    const part: Part = { flags, display, folder, run, participant, desk, learner, exam: asked, signal, earlierRounds };
    if (end === 'stopped' || end === 'lonely') return endEarly(part, end === 'lonely' ? wait : null, follow);
    const adapter = await keepAdapter(part, whenThereIsRoom);
    if (end === 'left') return endByLeaving(part, adapter);
    await endWell(part, adapter, whenThereIsRoom);
    if (flags.serve) {
      desk.stage('serving');
      await serve(display, crier.invite(), AbortSignal.any([signal, desk.leaving]));
    }
  } catch (error) {
    desk?.record('failed', { text: messageOf(error) });
    throw error;
  } finally {
    looks?.stop();
    shown.stop();
    crier?.stop();
    await page?.stop();
    desk?.stop();
    lan?.stop();
    await metrics?.stop();
    await participant.stop();
  }
}

/** Answers those who come late until Ctrl-C, or until it is to leave. */
async function serve(display: Display, invite: string, signal: AbortSignal): Promise<void> {
  display.note('serving the result to those who come late, until Ctrl-C:');
  display.note(`  lorikeet join ${invite} --data FILE`);
  await aborted(signal);
}

/** Texts scored in a run before it is over, about: what is watched takes time from what is learned. */
const WATCHED_TEXTS = 2000;

/** Rounds between two looks. */
function watchEvery({ settings }: Run, { count }: Exam): number {
  return Math.max(1, Math.ceil((settings.rounds * count) / WATCHED_TEXTS));
}

/** Base, alone and swarm, told from now on; null where there are too many texts to score on the way. */
function startLooks(
  flags: Flags,
  what: Pick<LooksOptions, 'run' | 'learner' | 'exam' | 'peer'>,
  participant: Participant,
  note: (line: string) => void,
): Looks | null {
  const { run, exam } = what;
  if (exam.count > WATCHED_TEXTS) return null;
  return createLooks({
    ...what,
    every: watchEvery(run, exam),
    ...sampling(flags, what, participant.adapter, note),
    onLook: ({ base, ...look }) => {
      if (base !== null) participant.chronicle.compared({ texts: exam.count, base, ...look });
    },
    onTrouble: (error) => note(`whether joining helps cannot be told on the way: ${messageOf(error)}`),
  });
}

function startTrainer(flags: Flags, run: Run): Promise<Trainer> {
  return createTrainer({ base: run.base.path, trainable: { type: 'lora', lora: run.lora }, ...deviceFlags(flags) });
}

/** Resolves to false when the signal aborts. */
function aborted(signal: AbortSignal): Promise<false> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(false);
    else signal.addEventListener('abort', () => resolve(false), { once: true });
  });
}
