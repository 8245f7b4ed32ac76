/** @file What `up` and `join` share: one peer from its texts to its adapter, shown while it works, kept when interrupted. */
import { isIP } from 'node:net';
import { basename, join } from 'node:path';
import { writeAdapter } from '../adapter.ts';
import { bytesText, createDisplay, type Display, percent, table } from '../display.ts';
import { EXIT, UserError } from '../errors.ts';
import { formatInvite } from '../invite.ts';
import { type Participant, type ParticipantView, startParticipant } from '../participant.ts';
import { openStore, type Saved, type Store } from '../store.ts';
import { type Example, type Row, readRows, splitRows } from '../train/data.ts';
import { type EncodedExample, encodeExamples, evaluate, labelWords, trainRound } from '../train/learner.ts';
import type { Run } from '../train/run.ts';
import { createTrainer, type Trainer } from '../train/trainer.ts';
import { deviceFlags, type Flags, integerFlag, interruptSignal } from './flags.ts';

/** What is checked before anything is started or written. */
export interface Prepared {
  readonly rows: readonly Row[];
  readonly path: string;
  readonly store: Store;
  readonly display: Display;
}

export interface Texts {
  readonly labelled: readonly Example[];
  readonly unlabelled: readonly string[];
  readonly test: readonly Example[];
}

/** Reads the data, opens the state folder, and hands both on; the folder is let go whatever happens. */
export async function withState(flags: Flags, work: (prepared: Prepared) => Promise<void>): Promise<void> {
  const path = String(flags.data);
  const rows = readRows(path);
  deviceFlags(flags);
  integerFlag(flags, 'port', 0, 65535);
  const store = openStore(flags.state === undefined ? defaultState(path) : String(flags.state));
  try {
    await work({ rows, path, store, display: createDisplay() });
  } finally {
    store.release();
  }
}

function defaultState(path: string): string {
  return `${basename(path).replace(/(\.(tsv|csv|jsonl?|ndjson))?(\.gz)?$/, '')}.lorikeet`;
}

/** Trains and mixes until the run is over or Ctrl-C. */
export async function runPeer(
  flags: Flags,
  prepared: Prepared,
  opened: { run: Run; saved: Saved; trainer: Trainer; texts: Texts },
): Promise<void> {
  const { store, display, path } = prepared;
  const { run, saved, trainer, texts } = opened;
  if (texts.labelled.length === 0)
    display.note(`${path}: no row has a label; this peer learns from the swarm's labels for its texts`);
  const gold = await encodeExamples(run.task, texts.labelled);
  const test = await encodeExamples(run.task, texts.test);
  const interrupt = interruptSignal(() => display.note('stopping: the state is kept (Ctrl-C again to stop at once)'));
  const show = showView(display);
  let announced = false;
  const participant = await startParticipant({
    run,
    store,
    trainer,
    gold,
    unlabelled: texts.unlabelled.map((text) => ({ text, truth: null })),
    development: [],
    listen: [listenAddress(flags, saved.port)],
    bootstrap: saved.bootstrap,
    onChange: (view) => announced && show(view),
    onNotice: display.note,
  });
  try {
    await store.writeRun({ ...saved, settings: run.settings, port: portOf(participant.addresses()) });
    announce(display, participant, run, gold.length);
    announced = true;
    show(participant.view);
    const over = await Promise.race([participant.finished.then(() => true), aborted(interrupt.signal)]);
    display.close();
    if (!over) {
      display.note(`stopped at round ${participant.view.round}; the same command goes on from there (${store.folder})`);
      process.exitCode = EXIT.interrupted;
      return;
    }
    const adapter = join(store.folder, 'adapter');
    await writeAdapter(adapter, { run, vector: participant.adapter() });
    const accuracy =
      test.length > 0
        ? await compare(display, { run, trainer, gold, test, signal: interrupt.signal }, participant)
        : null;
    printResult(flags, { run, participant, adapter, accuracy, tested: test.length });
  } finally {
    await participant.stop();
    interrupt.dispose();
  }
}

/** The examples of `--data` and `--test`, every label checked. Throws a UserError that names file and line. */
export function readTexts(flags: Flags, prepared: Prepared, run: Run): Texts {
  const own = splitRows(prepared.rows, prepared.path, run.task);
  if (flags.test === undefined) return { ...own, test: [] };
  const path = String(flags.test);
  const test = splitRows(readRows(path), path, run.task).labelled;
  if (test.length === 0) throw new UserError('usage', `${path}: no row has a label; wanted labelled texts to test on`);
  return { ...own, test };
}

export function startTrainer(flags: Flags, run: Run): Promise<Trainer> {
  return createTrainer({ base: run.settings.base, trainable: { type: 'lora', lora: run.lora }, ...deviceFlags(flags) });
}

function listenAddress(flags: Flags, savedPort: number): string {
  const host = String(flags.host);
  if (isIP(host) === 0)
    throw new UserError(
      'usage',
      `--host: got ${JSON.stringify(host)}; wanted an IP address of this machine, such as 127.0.0.1 or 0.0.0.0`,
    );
  const port = integerFlag(flags, 'port', 0, 65535) || savedPort;
  return `/${host.includes(':') ? 'ip6' : 'ip4'}/${host}/tcp/${port}`;
}

function portOf(addresses: readonly string[]): number {
  return Number(/\/tcp\/(\d+)/.exec(addresses[0] ?? '')?.[1] ?? 0);
}

function announce(display: Display, participant: Participant, run: Run, labelled: number): void {
  display.note(`peer ${participant.id}, run ${run.runId}, ${labelled} labelled texts`);
  display.note('others join with:');
  display.note(`  lorikeet join ${formatInvite({ addresses: participant.addresses(), runId: run.runId })} --data FILE`);
}

/** A live block on a terminal; elsewhere a line when a round is mixed or the members change. */
function showView(display: Display): (view: ParticipantView) => void {
  let last = '';
  return (view) => {
    display.live(viewLines(view));
    if (display.isTerminal) return;
    const line =
      view.phase === 'gathering'
        ? `waiting for peers: ${view.members} here`
        : `round ${view.round} of ${view.rounds}: ${view.members} members, mixed ${view.neighbours}, loss ${view.loss?.toFixed(3) ?? '-'}, sent ${bytesText(view.sentBytes)}`;
    const key = `${view.phase === 'gathering' ? 'g' : view.round}/${view.members}`;
    if (key !== last) display.note(line);
    last = key;
  };
}

function viewLines(view: ParticipantView): string[] {
  const refused = Object.entries(view.refused)
    .map(([code, count]) => `${code} ${count}`)
    .join(', ');
  return table([
    ['round', `${view.round}/${view.rounds}`],
    ['now', view.phase],
    ['members', String(view.members)],
    ['mixed with', `${view.neighbours} neighbours`],
    ['their distance', view.distance?.toExponential(1) ?? '-'],
    ['loss', view.loss?.toFixed(3) ?? '-'],
    ['soft labels', `${view.pseudo}, ${percent(view.coverage)} of the unlabelled`],
    ['sent', bytesText(view.sentBytes)],
    ['given up', `${view.abandoned} exchanges`],
    ['refused', refused || 'nothing'],
  ]);
}

interface Comparison {
  readonly baseZeroShot: number;
  readonly base: number;
  readonly alone: number;
  readonly swarm: number;
}

/** Does joining help? Base, alone (own labels, as many steps), swarm, on texts nobody here trained on. */
async function compare(
  display: Display,
  context: {
    run: Run;
    trainer: Trainer;
    gold: readonly EncodedExample[];
    test: readonly EncodedExample[];
    signal: AbortSignal;
  },
  participant: Participant,
): Promise<Comparison> {
  const { run, trainer, gold, test, signal } = context;
  const { settings, task, labels } = run;
  let alone = run.initial;
  for (let round = 0; round < settings.rounds; round++) {
    signal.throwIfAborted();
    alone = (
      await trainRound({
        trainer,
        task,
        settings,
        labels,
        examples: gold,
        peer: participant.id,
        round,
        vector: alone,
        steps: settings.localSteps,
      })
    ).vector;
    display.progress('training alone, to compare', round + 1, settings.rounds);
  }
  const score = async (label: string, vector: Float32Array, words = labels): Promise<number> =>
    (
      await evaluate(
        {
          trainer,
          task,
          labels: words,
          vector,
          signal,
          onProgress: (done, total) => display.progress(label, done, total),
        },
        test,
      )
    ).share;
  const result = {
    baseZeroShot: await score('base, zero-shot', run.initial, labelWords(task, [])),
    base: await score('base', run.initial),
    alone: await score('alone', alone),
    swarm: await score('swarm', participant.adapter()),
  };
  display.close();
  return result;
}

function printResult(
  flags: Flags,
  result: { run: Run; participant: Participant; adapter: string; accuracy: Comparison | null; tested: number },
): void {
  const { participant, adapter, accuracy, run } = result;
  const { view, traffic } = participant;
  if (flags.json) {
    console.log(
      JSON.stringify({
        id: participant.id,
        runId: run.runId,
        rounds: view.rounds,
        sentBytes: traffic.sentBytes,
        refused: view.refused,
        adapter,
        accuracy,
      }),
    );
    return;
  }
  if (accuracy) {
    const rows = [
      [`accuracy on ${result.tested} texts`, ''],
      ['base, zero-shot', percent(accuracy.baseZeroShot)],
      ['base, label prior removed', percent(accuracy.base)],
      ['alone', percent(accuracy.alone)],
      ['swarm', percent(accuracy.swarm)],
    ];
    console.log(`${table(rows).join('\n')}\n`);
  }
  console.log(
    `the run is over after ${view.rounds} rounds; sent ${bytesText(traffic.sentBytes)}\nthe adapter, in PEFT's format: ${adapter}`,
  );
}

/** Resolves to false when the signal aborts. */
function aborted(signal: AbortSignal): Promise<false> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(false);
    else signal.addEventListener('abort', () => resolve(false), { once: true });
  });
}
