/** @file Runs experiments: every planned run through one harness, resumed where it stopped, a record a round. */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crossTerm, type Wire } from '../node/train/factors.ts';
import {
  type EncodedExample,
  encodeExamples,
  evaluate,
  labelWords,
  type RoundOptions,
  trainRound,
} from '../node/train/learner.ts';
import { NO_PSEUDO, type PseudoSet, relabel } from '../node/train/pseudo.ts';
import { calibrateRun, fullVector, openRun, type Run } from '../node/train/run.ts';
import { createTrainer, type Trainer } from '../node/train/trainer.ts';
import { disagreement, mean } from '../protocol/vector.ts';
import { DATASETS, dataFolder } from './datasets.ts';
import { type LockstepPeer, runLockstep } from './lockstep.ts';
import { METHODS, type Method } from './methods.ts';
import { type PeerShare, partition } from './partition.ts';
import type { PlannedRun } from './spec.ts';

export interface RoundRecord {
  readonly type: 'round';
  readonly key: string;
  readonly method: string;
  readonly seed: string;
  readonly point: PlannedRun['point'];
  readonly round: number;
  /** Mean loss of the peers' local steps. */
  readonly loss: number;
  /** Of the average adapter on development texts. */
  readonly development: number;
  readonly disagreement: number;
  /** How far mean(B) mean(A) is from mean(B A); of adapters alone. */
  readonly crossTerm: number | null;
  /** Sent by all peers so far. */
  readonly bytes: number;
  /** Of the pseudo-labelled sets, means over peers; null where there are none. */
  readonly precision: number | null;
  readonly coverage: number | null;
}

export interface FinalRecord {
  readonly type: 'final';
  readonly key: string;
  readonly method: string;
  readonly seed: string;
  readonly point: PlannedRun['point'];
  readonly accuracy: {
    /** Over the peers' own adapters. */
    readonly mean: number;
    readonly worst: number;
    readonly average: number;
    /** The average adapter of the round that was best on development texts. */
    readonly bestRound: number;
    /** Without the label prior taken off; of the base alone. */
    readonly uncalibrated: number | null;
  };
  /** Optimiser steps of one learner. */
  readonly steps: number;
  readonly bytes: number;
  readonly testExamples: number;
  readonly seconds: number;
}

export type ExperimentRecord = RoundRecord | FinalRecord;

export interface ExperimentOptions {
  readonly runs: readonly PlannedRun[];
  readonly folder: string;
  readonly threads: number;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number, label: string) => void;
}

const RECORDS = 'runs.jsonl';
const PRIOR_TEXTS = 200;

/** Runs what has no final record yet; a run cut short starts over. Gives every record of the folder. */
export async function runExperiment(options: ExperimentOptions): Promise<ExperimentRecord[]> {
  mkdirSync(options.folder, { recursive: true });
  const path = join(options.folder, RECORDS);
  const finished = new Set(readRecords(options.folder).flatMap((r) => (r.type === 'final' ? [r.key] : [])));
  const open = options.runs.filter((run) => !finished.has(run.key));
  const trainers = createTrainerCache(options.threads);
  const stop = (): void => {
    trainers.stop().catch(() => {}); // the run at hand fails at its next step
  };
  options.signal.addEventListener('abort', stop, { once: true });
  try {
    for (const [i, planned] of open.entries()) {
      options.onProgress(options.runs.length - open.length + i, options.runs.length, labelOf(planned));
      const records = await runOne(planned, trainers.get, options.signal);
      appendFileSync(path, `${endsMidLine(path) ? '\n' : ''}${records.map((r) => `${JSON.stringify(r)}\n`).join('')}`);
    }
  } finally {
    options.signal.removeEventListener('abort', stop);
    await trainers.stop();
  }
  options.onProgress(options.runs.length, options.runs.length, 'done');
  return readRecords(options.folder);
}

/** Whether a crash left a line unfinished. */
function endsMidLine(path: string): boolean {
  return existsSync(path) && !/(^|\n)$/.test(readFileSync(path, 'utf8').slice(-1));
}

/** The records of a folder; a torn last line is left out. */
export function readRecords(folder: string): ExperimentRecord[] {
  const path = join(folder, RECORDS);
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return line === '' ? [] : [JSON.parse(line) as ExperimentRecord];
      } catch {
        return [];
      }
    });
}

export function labelOf({ method, seed, point }: PlannedRun): string {
  const where = Object.entries(point).map(([name, value]) => `${name} ${value}`);
  return [method, ...where, `seed ${seed}`].join(', ');
}

type GetTrainer = (run: Run, full: boolean) => Promise<Trainer>;

/** One trainer for each base and kind of adapter, kept for the runs that follow. */
function createTrainerCache(threads: number): { get: GetTrainer; stop: () => Promise<void> } {
  const kept = new Map<string, Promise<Trainer>>();
  return {
    get: (run, full) => {
      const trainable = full ? ({ type: 'full' } as const) : ({ type: 'lora', lora: run.lora } as const);
      const key = JSON.stringify([run.settings.base, trainable]);
      const trainer = kept.get(key) ?? createTrainer({ base: run.settings.base, trainable, device: 'cpu', threads });
      kept.set(key, trainer);
      return trainer;
    },
    stop: async () => {
      for (const trainer of kept.values()) await (await trainer).stop();
    },
  };
}

interface Learner {
  readonly gold: readonly EncodedExample[];
  readonly unlabelled: readonly { text: string; truth: number }[];
  pseudo: PseudoSet;
  loss: number;
}

async function runOne(planned: PlannedRun, getTrainer: GetTrainer, signal: AbortSignal): Promise<ExperimentRecord[]> {
  const began = performance.now();
  const { scenario, seed } = planned;
  const method = METHODS[planned.method]!;
  const bare = await openRun(planned.settings);
  const data = DATASETS[scenario.data]!.read(
    dataFolder(),
    { seed, development: scenario.development, test: scenario.test },
    bare.task.classes,
  );
  const shares = partition(scenario.partition, data.pool, { ...scenario, seed, classes: bare.task.classes.length });
  const calibrator = await getTrainer(bare, false);
  const texts = shares.flatMap((s) => s.unlabelled.slice(0, Math.ceil(PRIOR_TEXTS / shares.length))).map((e) => e.text);
  const run = await calibrateRun(bare, calibrator, texts);
  const trainer = method.trainable === 'full' ? await getTrainer(run, true) : calibrator;
  const wire: Wire = method.trainable === 'full' ? { pack: (v) => v, unpack: (v) => v } : run.wire;
  const layout = method.trainable === 'full' ? {} : { tensors: run.tensors };
  const start = method.trainable === 'full' ? await fullVector(run) : run.initial;
  const learners = await createLearners(method, shares, run);
  const peers = learners.map(
    (_, i): LockstepPeer => ({
      id: `peer-${i}`,
      vector: wire.pack(start),
      residual: new Float32Array(wire.pack(start).length),
    }),
  );
  const identity = { key: planned.key, method: planned.method, seed, point: planned.point };
  const development = await encodeExamples(run.task, data.development);
  const records: ExperimentRecord[] = [];
  let best = { share: -1, vector: start };
  let bytes = 0;
  const score = async (
    vector: Float32Array,
    examples: readonly EncodedExample[],
    labels = run.labels,
  ): Promise<number> => (await evaluate({ trainer, task: run.task, labels, vector, signal }, examples)).share;

  if (method.trainable !== 'none') {
    await runLockstep({
      settings: run.settings,
      runId: run.runId,
      mixing: method.mixing,
      peers,
      train: async (i, round, vector) =>
        wire.pack(await trainPeer(run, trainer, learners[i]!, { i, round, vector: wire.unpack(vector), layout })),
      onRound: async (round, sent) => {
        signal.throwIfAborted();
        bytes += sent;
        const vectors = peers.map((p) => wire.unpack(p.vector));
        const average = mean(vectors);
        const share = await score(average, development);
        if (share > best.share) best = { share, vector: average };
        const trained = learners.filter((l) => l.pseudo.examples.length > 0);
        records.push({
          type: 'round',
          ...identity,
          round,
          loss: averageOf(learners.map((l) => l.loss)),
          development: share,
          disagreement: method.data === 'pooled' ? 0 : disagreement(vectors),
          crossTerm: method.trainable === 'lora' && peers.length > 1 ? crossTerm(vectors, run.tensors) : null,
          bytes,
          precision: trained.length > 0 ? averageOf(trained.map((l) => l.pseudo.precision ?? 0)) : null,
          coverage: trained.length > 0 ? averageOf(trained.map((l) => l.pseudo.coverage)) : null,
        });
      },
    });
  }
  const test = await encodeExamples(run.task, data.test);
  const own = await scoreEach(peers, (vector) => score(wire.unpack(vector), test));
  const average = peers.length === 1 ? own[0]! : await score(wire.unpack(mean(peers.map((p) => p.vector))), test);
  records.push({
    type: 'final',
    ...identity,
    accuracy: {
      mean: averageOf(own),
      worst: Math.min(...own),
      average,
      bestRound: best.share < 0 ? average : await score(best.vector, test),
      uncalibrated: method.trainable === 'none' ? await score(run.initial, test, labelWords(run.task, [])) : null,
    },
    steps: method.trainable === 'none' ? 0 : run.settings.rounds * run.settings.localSteps,
    bytes,
    testExamples: test.length,
    seconds: (performance.now() - began) / 1000,
  });
  return records;
}

/** Scores every peer's vector; peers that hold the very same one are scored once. */
async function scoreEach(
  peers: readonly LockstepPeer[],
  score: (vector: Float32Array) => Promise<number>,
): Promise<number[]> {
  const known = new Map<Float32Array, number>();
  const shares: number[] = [];
  for (const { vector } of peers) {
    const share = known.get(vector) ?? (await score(vector));
    known.set(vector, share);
    shares.push(share);
  }
  return shares;
}

async function createLearners(method: Method, shares: readonly PeerShare[], run: Run): Promise<Learner[]> {
  const hands =
    method.data === 'pooled'
      ? [{ gold: shares.flatMap((s) => s.gold), unlabelled: shares.flatMap((s) => s.unlabelled) }]
      : shares;
  return Promise.all(
    hands.map(async ({ gold, unlabelled }) => ({
      gold: await encodeExamples(run.task, gold),
      unlabelled: unlabelled.map(({ text, y }) => ({ text, truth: y })),
      pseudo: NO_PSEUDO,
      loss: 0,
    })),
  );
}

async function trainPeer(
  run: Run,
  trainer: Trainer,
  learner: Learner,
  {
    i,
    round,
    vector,
    layout,
  }: { i: number; round: number; vector: Float32Array; layout: Pick<RoundOptions, 'tensors'> },
): Promise<Float32Array> {
  const peer = `peer-${i}`;
  const { gold, unlabelled } = learner;
  learner.pseudo = await relabel({ run, trainer, peer, round, vector, gold, unlabelled, previous: learner.pseudo });
  const { settings, task, labels } = run;
  const pseudo = learner.pseudo.examples;
  const result = await trainRound({
    trainer,
    task,
    settings,
    labels,
    ...layout,
    examples: gold,
    pseudo,
    peer,
    round,
    vector,
    steps: settings.localSteps,
  });
  learner.loss = averageOf(result.losses);
  return result.vector;
}

function averageOf(xs: readonly number[]): number {
  return xs.reduce((a, b) => a + b, 0) / Math.max(1, xs.length);
}
