/** @file The demo: real peers on this machine learn together from reviews each keeps to itself; then everything is compared. */

import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CODECS, type CodecName } from '../protocol/codec.ts';
import type { RunSettings } from '../protocol/config.ts';
import { disagreement, mean } from '../protocol/vector.ts';
import { writeAdapter } from './adapter.ts';
import { generateKey } from './admission/identity.ts';
import type { Precision } from './checkpoint/base.ts';
import type { Device } from './engine/device.ts';
import { createTrainer, type Trainer } from './engine/trainer.ts';
import { messageOf, UserError } from './errors.ts';
import type { Compute } from './model/program.ts';
import { type Participant, startParticipant } from './participant.ts';
import type { ParticipantView } from './participant-view.ts';
import { openStore } from './store.ts';
import { type Reviews, splitReviews } from './texts/reviews.ts';
import { trainAlone } from './train/alone.ts';
import { createClassExam, createClassLearner } from './train/classify.ts';
import { type EncodedExample, encodeExamples, evaluate, labelWords } from './train/learner.ts';
import { type ClassRun, calibrateRun, openClassRun } from './train/run.ts';
import { type Accuracy, averageOf, type Confusion, classCounts, majorityShare, sumConfusions } from './train/score.ts';

/** Texts the label prior is measured on. */
const PRIOR_TEXTS = 200;

export interface DemoOptions {
  readonly peers: number;
  readonly goldPerClass: number;
  readonly settings: RunSettings;
  /** Where the shared adapter is left. */
  readonly out: string;
  readonly device: Device;
  readonly threads: number;
  readonly basePrecision: Precision;
  readonly compute: Compute;
  readonly signal: AbortSignal;
  readonly onPeers: (peers: readonly DemoPeer[], disagreement: number) => void;
  readonly onProgress: (label: string, done: number, total: number) => void;
  readonly onNotice: (line: string) => void;
  /** Told of each peer as it begins. */
  readonly onParticipant?: (participant: Participant) => void;
}

export interface DemoPeer {
  readonly name: string;
  readonly kind: string;
  readonly view: ParticipantView;
}

export interface Spread {
  readonly mean: number;
  readonly worst: number;
}

interface Figures {
  readonly base: number;
  /** Null where the run takes no label prior off. */
  readonly baseCalibrated: number | null;
  readonly alone: Spread;
  readonly swarm: Spread;
  readonly swarmAverage: number;
  readonly pooled: number;
}

export interface DemoResult {
  readonly seed: string;
  readonly peers: number;
  readonly rounds: number;
  readonly closingRounds: number;
  readonly localSteps: number;
  readonly goldPerPeer: number;
  readonly testExamples: number;
  /** Shares of the test texts classified rightly. */
  readonly accuracy: Figures;
  /** The same as means over the classes. */
  readonly balanced: Figures;
  readonly classes: readonly string[];
  /** Of the test texts' most frequent class for every text. */
  readonly majority: number;
  /** What the test texts of each class were called, by all peers' own adapters together. */
  readonly confusion: { readonly alone: Confusion; readonly swarm: Confusion };
  readonly disagreement: number;
  readonly bytesPerPeerAndRound: number;
  /** The same graph and codec with every weight of the base in place of the adapter. */
  readonly bytesFullParameter: number;
  readonly seconds: number;
  readonly secondsSwarm: number;
  readonly device: string;
  readonly adapter: string;
}

/** Runs the demo. Peers listen on loopback only; their states are in a temporary folder that is removed. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const began = performance.now();
  const reviews = splitReviews({
    seed: options.settings.seed,
    peers: options.peers,
    goldPerClass: options.goldPerClass,
  });
  refuseTooFew(reviews, options);
  const bare = await openClassRun(options.settings);
  const trainer = await createTrainer({
    base: options.settings.base,
    trainable: { type: 'lora', lora: bare.lora },
    device: options.device,
    threads: options.threads,
    basePrecision: options.basePrecision,
    compute: options.compute,
  });
  try {
    if (trainer.notice) options.onNotice(trainer.notice);
    // The first peer measures the label prior on texts of its own; it becomes part of the run.
    const texts = reviews.shares[0]!.unlabelled.slice(0, PRIOR_TEXTS).map((e) => e.text);
    const run = await calibrateRun(bare, trainer, texts);
    const gold = await Promise.all(reviews.shares.map((share) => encodeExamples(run.task, share.gold)));
    const swarm = await runSwarm(options, run, trainer, reviews, gold);
    const alone = await trainEachAlone(options, run, trainer, gold);
    const pooled = await trainWithout(options, run, trainer, { name: 'pooled', label: 'pooled training' }, gold.flat());
    const test = await encodeExamples(run.task, reviews.test);
    const average = mean(swarm.adapters);
    const scores = await scoreAll(options, bare, run, trainer, test, {
      swarm: swarm.adapters,
      average,
      alone,
      pooled,
    });
    await writeAdapter(options.out, { run, vector: average });
    return {
      seed: run.settings.seed,
      peers: options.peers,
      rounds: run.settings.rounds,
      closingRounds: run.settings.closingRounds,
      localSteps: run.settings.localSteps,
      goldPerPeer: 2 * options.goldPerClass,
      testExamples: test.length,
      accuracy: figuresOf(scores, ({ share }) => share!),
      balanced: figuresOf(scores, (score) => score.balanced!),
      classes: run.task.classes,
      majority: majorityShare(classCounts(scores.pooled.confusion))!,
      confusion: { alone: sumOf(scores.alone), swarm: sumOf(scores.swarm) },
      disagreement: disagreement(swarm.adapters),
      bytesPerPeerAndRound: swarm.bytes,
      bytesFullParameter: swarm.bytes * fullParameterRatio(run),
      seconds: (performance.now() - began) / 1000,
      secondsSwarm: swarm.seconds,
      device: trainer.device,
      adapter: options.out,
    };
  } finally {
    await trainer.stop();
  }
}

/** The reviews are 3,000: many peers with many labels each would get fewer than the table says. */
function refuseTooFew({ shares }: Reviews, { peers, goldPerClass }: DemoOptions): void {
  const counts = shares.flatMap(({ gold }) => [0, 1].map((y) => gold.filter((e) => e.y === y).length));
  const least = Math.min(...counts);
  if (least < goldPerClass)
    throw new UserError(
      'usage',
      `--gold: got ${goldPerClass}; the reviews give each of ${peers} peers ${least} of a class, wanted --gold ${Math.max(1, least)} or fewer peers`,
    );
}

interface SwarmOutcome {
  readonly adapters: Float32Array[];
  /** Per peer and round. */
  readonly bytes: number;
  readonly seconds: number;
}

async function runSwarm(
  options: DemoOptions,
  run: ClassRun,
  trainer: Trainer,
  reviews: Reviews,
  gold: readonly (readonly EncodedExample[])[],
): Promise<SwarmOutcome> {
  const began = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'lorikeet-demo-')).catch((error) => {
    throw new UserError('storage', `no temporary folder (${messageOf(error)}); set TMPDIR to a folder with room`);
  });
  const development = createClassExam(run, trainer, await encodeExamples(run.task, reviews.development));
  const participants: Participant[] = [];
  const peers: DemoPeer[] = [];
  let [apart, mixings] = [0, 0];
  const changed = (): void => {
    if (peers.length < options.peers) return;
    // Comparing every adapter takes milliseconds, so only after a mixing.
    const now = peers.reduce((sum, { view }) => sum + view.round, 0);
    if (now !== mixings) apart = disagreement(participants.map((p) => p.adapter()));
    mixings = now;
    options.onPeers(peers, apart);
  };
  try {
    for (const [i, share] of reviews.shares.entries()) {
      const store = openStore(join(folder, `peer-${i + 1}`));
      // Keys from the seed: the neighbours drawn from the peers' ids, and so the result, are the seed's too.
      await store.key(() =>
        generateKey(
          createHash('sha256')
            .update(`${run.settings.seed}/peer ${i + 1}`)
            .digest(),
        ),
      );
      const participant = await startParticipant({
        run,
        store,
        learner: createClassLearner({
          run,
          trainer,
          gold: gold[i]!,
          unlabelled: share.unlabelled.map(({ text, y }) => ({ text, truth: y })),
          own: [...share.gold, ...share.unlabelled].map(({ text }) => text),
        }),
        development,
        listen: ['/ip4/127.0.0.1/tcp/0'],
        bootstrap: participants[0]?.addresses() ?? [],
        name: `peer ${i + 1}`,
        onChange: changed,
        onNotice: (line) => options.onNotice(`peer ${i + 1}: ${line}`),
      });
      participants.push(participant);
      options.onParticipant?.(participant);
      peers.push({ name: `peer ${i + 1}`, kind: share.kind, view: participant.view });
    }
    await abortable(Promise.all(participants.map((p) => p.finished)), options.signal);
    changed();
    const rounds = run.settings.rounds + run.settings.closingRounds;
    const sent = participants.reduce((sum, p) => sum + p.traffic.sentBytes, 0);
    const adapters = participants.map((p) => p.adapter());
    return { adapters, bytes: sent / participants.length / rounds, seconds: (performance.now() - began) / 1000 };
  } finally {
    await Promise.all(participants.map((p) => p.stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Each peer with its own labels and nobody else: as many steps as in the swarm. */
async function trainEachAlone(
  options: DemoOptions,
  run: ClassRun,
  trainer: Trainer,
  gold: readonly (readonly EncodedExample[])[],
): Promise<Float32Array[]> {
  const adapters: Float32Array[] = [];
  for (const [i, examples] of gold.entries()) {
    const baseline = { name: `peer ${i + 1}`, label: `peer ${i + 1} of ${gold.length} alone` };
    adapters.push(await trainWithout(options, run, trainer, baseline, examples));
  }
  return adapters;
}

/** A baseline that mixes with nobody. */
function trainWithout(
  { signal, onProgress }: DemoOptions,
  run: ClassRun,
  trainer: Trainer,
  { name, label }: { name: string; label: string },
  examples: readonly EncodedExample[],
): Promise<Float32Array> {
  const progress = (done: number, total: number): void => onProgress(label, done, total);
  const learner = createClassLearner({ run, trainer, gold: examples, unlabelled: [] });
  return trainAlone({ run, learner, peer: name, signal, onProgress: progress });
}

interface Trained {
  readonly swarm: readonly Float32Array[];
  readonly average: Float32Array;
  readonly alone: readonly Float32Array[];
  readonly pooled: Float32Array;
}

/** What each vector gets right of the test texts, of which there are always some. */
interface Scores {
  readonly base: Accuracy;
  readonly baseCalibrated: Accuracy | null;
  readonly alone: readonly Accuracy[];
  readonly swarm: readonly Accuracy[];
  readonly swarmAverage: Accuracy;
  readonly pooled: Accuracy;
}

function figuresOf(scores: Scores, figure: (score: Accuracy) => number): Figures {
  const spread = (all: readonly Accuracy[]): Spread => {
    const figures = all.map(figure);
    return { mean: averageOf(figures)!, worst: Math.min(...figures) };
  };
  return {
    base: figure(scores.base),
    baseCalibrated: scores.baseCalibrated && figure(scores.baseCalibrated),
    alone: spread(scores.alone),
    swarm: spread(scores.swarm),
    swarmAverage: figure(scores.swarmAverage),
    pooled: figure(scores.pooled),
  };
}

function sumOf(scores: readonly Accuracy[]): Confusion {
  return sumConfusions(scores.map(({ confusion }) => confusion));
}

async function scoreAll(
  options: DemoOptions,
  bare: ClassRun,
  run: ClassRun,
  trainer: Trainer,
  test: readonly EncodedExample[],
  { swarm, average, alone, pooled }: Trained,
): Promise<Scores> {
  const isCalibrated = run.settings.labelPrior !== 'off';
  const total = (isCalibrated ? 4 : 3) + swarm.length + alone.length;
  let done = 0;
  const score = async (vector: Float32Array, labels = run.labels): Promise<Accuracy> => {
    const scored = await evaluate({ trainer, task: run.task, labels, vector, signal: options.signal }, test);
    options.onProgress(`scoring ${test.length} held-out texts`, ++done, total);
    return scored;
  };
  const scoreEach = async (vectors: readonly Float32Array[]): Promise<Accuracy[]> => {
    const scores: Accuracy[] = [];
    for (const vector of vectors) scores.push(await score(vector));
    return scores;
  };
  return {
    base: await score(bare.initial, labelWords(bare.task, [])),
    baseCalibrated: isCalibrated ? await score(run.initial) : null,
    alone: await scoreEach(alone),
    swarm: await scoreEach(swarm),
    swarmAverage: await score(average),
    pooled: await score(pooled),
  };
}

/** How much larger a packed copy of the whole base is than a packed adapter. */
function fullParameterRatio(run: ClassRun): number {
  const codec = CODECS[run.settings.codec as CodecName];
  const weights = run.base.architecture.parameters.reduce((sum, p) => sum + p.shape.reduce((a, b) => a * b, 1), 0);
  return codec.size(weights) / codec.size(run.initial.length);
}

/** The promise, or the abort, whichever comes first. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    promise.then(resolve, reject);
  });
}
