/** @file What `up` and `join` share: one peer from its texts to its adapter, shown while it works, kept when interrupted. */
import { isIP } from 'node:net';
import { basename, join } from 'node:path';
import { writeAdapter } from '../adapter.ts';
import { bytesText, createDisplay, type Display, percent, table } from '../display.ts';
import { EXIT, UserError } from '../errors.ts';
import { formatInvite } from '../invite.ts';
import { type Participant, startParticipant } from '../participant.ts';
import { openStore, readRun, type Saved, type Store } from '../store.ts';
import { trainAlone } from '../train/alone.ts';
import { type Example, type Row, readRows, splitRows } from '../train/data.ts';
import { type EncodedExample, encodeExamples, evaluate, labelWords } from '../train/learner.ts';
import { calibrateRun, type Run } from '../train/run.ts';
import { createTrainer, type Trainer } from '../train/trainer.ts';
import { deviceFlags, type Flags, integerFlag, interruptSignal, throwIfCrashed } from './flags.ts';
import { showView } from './view.ts';

/** What a peer's command line says, read and checked before anything is started or written. */
export interface Prepared {
  readonly rows: readonly Row[];
  readonly path: string;
  /** The state folder; it may not exist yet. */
  readonly folder: string;
  /** What the state folder says of its run, where it does. */
  readonly saved: Saved | null;
  readonly display: Display;
}

export interface Texts {
  readonly labelled: readonly Example[];
  readonly unlabelled: readonly string[];
  readonly test: readonly Example[];
}

/** Reads data and flags. Throws a UserError on the first that is wrong. */
export function preparePeer(flags: Flags): Prepared {
  const path = String(flags.data);
  const rows = readRows(path);
  deviceFlags(flags);
  listenAddress(flags, 0);
  const folder = flags.state === undefined ? defaultState(path) : String(flags.state);
  return { rows, path, folder, saved: readRun(join(folder, 'run.json')), display: createDisplay() };
}

function defaultState(path: string): string {
  return `${basename(path).replace(/(\.(tsv|csv|jsonl?|ndjson))?(\.gz)?$/, '')}.lorikeet`;
}

/** Opens state and trainer, trains and mixes until the run is over or Ctrl-C. */
export async function runPeer(
  flags: Flags,
  prepared: Prepared,
  { bare, texts, bootstrap }: { bare: Run; texts: Texts; bootstrap: readonly string[] },
): Promise<void> {
  const { display, folder } = prepared;
  const interrupt = interruptSignal(() => display.note('stopping: the state is kept (Ctrl-C again to stop at once)'));
  const store = openStore(folder);
  try {
    const trainer = await startTrainer(flags, bare);
    try {
      if (trainer.notice) display.note(trainer.notice);
      const calibrate = bare.settings.labelPrior === '' && !interrupt.signal.aborted;
      const run = calibrate ? await calibrateRun(bare, trainer, sampleTexts(prepared.rows)) : bare;
      await takePart(flags, prepared, { run, store, trainer, texts, bootstrap, signal: interrupt.signal });
    } finally {
      await trainer.stop();
    }
  } finally {
    store.release();
    interrupt.dispose();
  }
}

interface Opened {
  readonly run: Run;
  readonly store: Store;
  readonly trainer: Trainer;
  readonly texts: Texts;
  readonly bootstrap: readonly string[];
  readonly signal: AbortSignal;
}

async function takePart(flags: Flags, { display, path, saved, folder }: Prepared, opened: Opened): Promise<void> {
  const { run, store, trainer, texts, bootstrap, signal } = opened;
  const port = saved?.port ?? 0;
  if (texts.labelled.length === 0) {
    display.note(`${path}: no row has a label; this peer learns from the swarm's labels for its texts`);
  }
  const gold = await encodeExamples(run.task, texts.labelled);
  const test = await encodeExamples(run.task, texts.test);
  const show = showView(display);
  let announced = false;
  const participant = await startParticipant({
    run,
    store,
    trainer,
    gold,
    unlabelled: texts.unlabelled.map((text) => ({ text, truth: null })),
    development: [],
    listen: [listenAddress(flags, port)],
    bootstrap,
    onChange: (view) => announced && show(view),
    onNotice: display.note,
  });
  try {
    await store.writeRun({ settings: run.settings, port: portOf(participant.addresses()), bootstrap });
    announce(display, participant, run, gold.length);
    announced = true;
    show(participant.view);
    const over = await Promise.race([participant.finished.then(() => true), aborted(signal)]);
    announced = over;
    if (!over) await participant.stop();
    display.close();
    if (!over) {
      throwIfCrashed(signal);
      display.note(`stopped at round ${participant.view.round}; the same command goes on from there (${folder})`);
      process.exitCode = EXIT.interrupted;
      return;
    }
    const adapter = join(folder, 'adapter');
    await writeAdapter(adapter, { run, vector: participant.adapter() });
    const compared = test.length > 0 ? await compare(display, { run, trainer, gold, test, signal }, participant) : null;
    printResult(flags, { run, participant, adapter, accuracy: compared, tested: test.length });
  } finally {
    await participant.stop();
  }
}

/** Texts the label prior is measured on. */
const PRIOR_TEXTS = 200;

function sampleTexts(rows: readonly Row[]): string[] {
  return rows.slice(0, PRIOR_TEXTS).map((row) => row.text);
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

function startTrainer(flags: Flags, run: Run): Promise<Trainer> {
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
  const { task, labels } = run;
  const alone = await trainAlone({
    run,
    trainer,
    examples: gold,
    peer: participant.id,
    signal,
    onProgress: (done, total) => display.progress('training alone, to compare', done, total),
  });
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
