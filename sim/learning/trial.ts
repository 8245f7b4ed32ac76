/** @file One run of an experiment: its data dealt to peers, trained and mixed in step, scored at the end. */
import { createHash } from 'node:crypto';
import { cutRank, factorPairs, type Wire } from '../../node/train/factors.ts';
import { type EncodedExample, encodeExamples, evaluate, labelWords, trainRound } from '../../node/train/learner.ts';
import { NO_PSEUDO, type PseudoSet, relabel, type UnlabelledText } from '../../node/train/pseudo.ts';
import { type ClassRun, calibrateRun, fullVector, openClassRun } from '../../node/train/run.ts';
import { type Accuracy, averageOf, classCounts, majorityShare, sumConfusions } from '../../node/train/score.ts';
import type { Trainer } from '../../node/train/trainer.ts';
import type { RunSettings } from '../../protocol/config.ts';
import { crossTerm, sumProducts } from '../../protocol/mixing.ts';
import { disagreement, mean } from '../../protocol/vector.ts';
import { type Dataset, type Item, readDataset } from './datasets.ts';
import { type LockstepPeer, runLockstep } from './lockstep.ts';
import { isAlone, METHODS, type Method, needsLabels } from './methods.ts';
import { type PeerShare, partition } from './partition.ts';
import type { PlannedRun } from './plan.ts';
import {
  type ExperimentRecord,
  type FinalRecord,
  type PeerCounts,
  RECORDS_VERSION,
  type RoundRecord,
} from './records.ts';
import type { GetTrainer } from './trainers.ts';

const PRIOR_TEXTS = 200;
/** Of a run's time, about; the rest scores the test texts. */
const TRAINING_SHARE = 0.7;

/** A peer of a run: what it holds, and the run with what is its own. */
interface Learner {
  readonly run: ClassRun;
  readonly gold: readonly EncodedExample[];
  readonly unlabelled: readonly UnlabelledText[];
  pseudo: PseudoSet;
  /** Mean loss of the last local steps; null where there was nothing to train on. */
  loss: number | null;
}

/** What a method trains: its trainer, the layout, where it starts, what travels, and how it is averaged. */
interface Subject {
  readonly trainer: Trainer;
  readonly full: boolean;
  readonly start: Float32Array;
  readonly wire: Wire;
  readonly average: (vectors: readonly Float32Array[]) => Float32Array;
}

/** A run opened: everything that training and scoring share. */
interface Trial {
  readonly planned: PlannedRun;
  readonly method: Method;
  readonly run: ClassRun;
  readonly data: Dataset;
  readonly shares: readonly PeerShare[];
  readonly subject: Subject;
  readonly learners: readonly Learner[];
  readonly peers: LockstepPeer[];
  readonly signal: AbortSignal;
}

interface Trained {
  readonly records: readonly RoundRecord[];
  /** What was scored in the round that was best on development texts; null where nothing was trained. */
  readonly best: readonly Float32Array[] | null;
  readonly bytes: number;
}

/** Every record of the run. Throws where `signal` cuts it short. */
export async function runTrial(
  planned: PlannedRun,
  getTrainer: GetTrainer,
  signal: AbortSignal,
  onRound: (record: RoundRecord, share: number) => void,
): Promise<ExperimentRecord[]> {
  const began = performance.now();
  const trial = await openTrial(planned, getTrainer, signal);
  const nothing: Trained = { records: [], best: null, bytes: 0 };
  const trained = trial.method.trainable === 'none' ? nothing : await trainTrial(trial, onRound);
  return [...trained.records, await finalOf(trial, trained, began)];
}

/** Deals the data, takes the label prior, and readies every peer. */
export async function openTrial(planned: PlannedRun, getTrainer: GetTrainer, signal: AbortSignal): Promise<Trial> {
  const { scenario, seed } = planned;
  const method = METHODS[planned.method]!;
  const bare = await openClassRun(planned.settings);
  const needsGold = needsLabels(planned.method, planned.settings);
  const data = readDataset(scenario.data, { ...scenario, seed }, bare.task, needsGold);
  const shares = partition(scenario.partition, data.pool, { ...scenario, seed, classes: bare.task.classes.length });
  const calibrator = await getTrainer(bare, false);
  const run = await calibrateRun(bare, calibrator, priorTexts(shares));
  const subject = await subjectOf(method, run, method.trainable === 'full' ? await getTrainer(run, true) : calibrator);
  const learners = await createLearners(method, shares, run, scenario.ranks);
  const start = subject.wire.pack(subject.start);
  const peers = learners.map((learner, i): LockstepPeer => {
    const { settings } = learner.run;
    const vector = settings.localRank && !subject.full ? cutRank(start, run.tensors, settings.localRank) : start;
    return { id: `peer-${i}`, settings, vector, residual: new Float32Array(start.length) };
  });
  return { planned, method, run, data, shares, subject, learners, peers, signal };
}

function identityOf({
  key,
  method,
  seed,
  point,
}: PlannedRun): Pick<RoundRecord, 'version' | 'key' | 'method' | 'seed' | 'point'> {
  return { version: RECORDS_VERSION, key, method, seed, point };
}

/** What a vector gets right of some examples, of which there is at least one. */
export function scoreWith(
  { subject, run, signal }: Trial,
  vector: Float32Array,
  examples: readonly EncodedExample[],
  labels = run.labels,
): Promise<Accuracy> {
  return evaluate({ trainer: subject.trainer, task: run.task, labels, vector, signal }, examples);
}

/** The mean of what each vector gets right. */
async function shareOf(
  trial: Trial,
  vectors: readonly Float32Array[],
  examples: readonly EncodedExample[],
): Promise<number> {
  return meanShare(await scoreEach(vectors, (vector) => scoreWith(trial, vector, examples)));
}

/** Of at least one score of at least one example: readDataset refuses to leave nothing to score. */
function meanShare(scores: readonly Accuracy[]): number {
  return averageOf(scores.map(({ share }) => share!))!;
}

/** The texts watched during a run. */
export function encodeDevelopment({ run, data }: Trial): Promise<readonly EncodedExample[]> {
  return encodeExamples(run.task, data.development);
}

/** Every round of training and mixing, a record each. */
async function trainTrial(trial: Trial, onRound: (record: RoundRecord, share: number) => void): Promise<Trained> {
  const { planned, method, run, subject, learners, peers, signal } = trial;
  const { wire, average } = subject;
  const development = await encodeDevelopment(trial);
  const factors = subject.full ? [] : factorPairs(run.tensors);
  const isFactored = method.mixing !== 'none' && run.settings.averaging !== 'product';
  const records: RoundRecord[] = [];
  let best: { share: number; vectors: readonly Float32Array[] } = { share: -1, vectors: [] };
  let bytes = 0;
  await runLockstep({
    settings: run.settings,
    runId: run.runId,
    mixing: method.mixing,
    factors,
    contact: planned.scenario.contact,
    average,
    peers,
    train: async (i, round, vector) =>
      wire.pack(await trainPeer(subject, learners[i]!, { peer: `peer-${i}`, round, vector: wire.unpack(vector) })),
    onRound: async (round, sent, before) => {
      signal.throwIfAborted();
      bytes += sent;
      const vectors = peers.map((p) => wire.unpack(p.vector));
      const scored = isAlone(method) ? vectors : [average(vectors)];
      const share = await shareOf(trial, scored, development);
      if (share > best.share) best = { share, vectors: scored };
      const labelling = learners.filter((l) => l.pseudo.examples.length > 0);
      const record: RoundRecord = {
        type: 'round',
        ...identityOf(planned),
        round,
        loss: averageOf(learners.flatMap((l) => l.loss ?? [])),
        development: share,
        disagreement: method.data === 'pooled' ? 0 : disagreement(vectors),
        crossTerm: isFactored ? crossTerm(before.map(wire.unpack), factors) : null,
        bytes,
        precision: averageOf(labelling.flatMap((l) => l.pseudo.precision ?? [])),
        coverage: averageOf(labelling.map((l) => l.pseudo.coverage)),
      };
      records.push(record);
      onRound(record, (TRAINING_SHARE * (round + 1)) / (run.settings.rounds + run.settings.closingRounds));
    },
  });
  return { records, best: best.vectors, bytes };
}

/** The test texts, scored once. */
async function finalOf(trial: Trial, { best, bytes }: Trained, began: number): Promise<FinalRecord> {
  const { planned, method, run, data, shares, subject, peers } = trial;
  const test = await encodeExamples(run.task, data.test);
  const vectors = peers.map((p) => subject.wire.unpack(p.vector));
  const own = await scoreEach(vectors, (vector) => scoreWith(trial, vector, test));
  const average = peers.length === 1 ? vectors : [subject.average(vectors)];
  const counts = classCounts(own[0]!.confusion);
  const isBase = method.trainable === 'none';
  return {
    type: 'final',
    ...identityOf(planned),
    accuracy: {
      mean: meanShare(own),
      worst: Math.min(...own.map(({ share }) => share!)),
      average: isAlone(method) ? null : await shareOf(trial, average, test),
      bestRound: best && (await shareOf(trial, best, test)),
      majority: majorityShare(counts)!,
      uncalibrated: isBase ? (await scoreWith(trial, run.initial, test, labelWords(run.task, []))).share : null,
    },
    balanced: averageOf(own.map(({ balanced }) => balanced!))!,
    classes: run.task.classes,
    testCounts: counts,
    confusion: sumConfusions(own.map(({ confusion }) => confusion)),
    steps: isBase ? 0 : run.settings.rounds * run.settings.localSteps,
    bytes,
    testExamples: test.length,
    seconds: (performance.now() - began) / 1000,
    peers: shares.map((share) => countsOf(share, run.task.classes.length)),
    hashes: { base: run.base.sha256, data: hashOf(data) },
  };
}

/** Texts of every peer for the label prior: unlabelled ones, or gold where a run has no others. */
function priorTexts(shares: readonly PeerShare[]): string[] {
  const each = Math.ceil(PRIOR_TEXTS / shares.length);
  const of = (kind: 'unlabelled' | 'gold'): string[] =>
    shares.flatMap((s) => s[kind].slice(0, each)).map((e) => e.text);
  return of('unlabelled').length > 0 ? of('unlabelled') : of('gold');
}

async function subjectOf(method: Method, run: ClassRun, trainer: Trainer): Promise<Subject> {
  if (method.trainable === 'full') {
    const wire = { pack: (v: Float32Array) => v, unpack: (v: Float32Array) => v };
    return { trainer, full: true, start: await fullVector(run), wire, average: mean };
  }
  const { settings, tensors, initial, wire } = run;
  const average = (vectors: readonly Float32Array[]): Float32Array =>
    sumProducts(
      vectors.map((vector) => ({ vector, weight: 1 / vectors.length })),
      factorPairs(tensors),
      { rank: settings.rank, like: initial },
    );
  return { trainer, full: false, start: initial, wire, average: settings.averaging === 'product' ? average : mean };
}

/** Scores every vector; what is the very same for several peers is scored once. */
async function scoreEach(
  vectors: readonly Float32Array[],
  score: (vector: Float32Array) => Promise<Accuracy>,
): Promise<Accuracy[]> {
  const known = new Map<Float32Array, Accuracy>();
  const scores: Accuracy[] = [];
  for (const vector of vectors) {
    const accuracy = known.get(vector) ?? (await score(vector));
    known.set(vector, accuracy);
    scores.push(accuracy);
  }
  return scores;
}

/** `ranks` are dealt to the peers in turn; none, or one learner for all: the run's. */
async function createLearners(
  method: Method,
  shares: readonly PeerShare[],
  run: ClassRun,
  ranks: readonly number[],
): Promise<Learner[]> {
  const hands =
    method.data === 'pooled'
      ? [{ gold: shares.flatMap((s) => s.gold), unlabelled: shares.flatMap((s) => s.unlabelled) }]
      : shares;
  return Promise.all(
    hands.map(async ({ gold, unlabelled }, i): Promise<Learner> => {
      const own = method.data === 'own' ? ranks[i % ranks.length] : undefined;
      const settings: RunSettings = { ...run.settings, localRank: own ?? run.settings.localRank };
      return {
        run: { ...run, settings },
        gold: await encodeExamples(run.task, gold),
        unlabelled: unlabelled.map(({ text, y }) => ({ text, truth: y < 0 ? null : y })),
        pseudo: NO_PSEUDO,
        loss: null,
      };
    }),
  );
}

/** A round of a peer: labels drawn by the vector, then its steps; the new vector. */
export async function trainPeer(
  { trainer, full }: Subject,
  learner: Learner,
  { peer, round, vector }: { peer: string; round: number; vector: Float32Array },
): Promise<Float32Array> {
  const { run, gold, unlabelled } = learner;
  learner.pseudo = await relabel({ run, trainer, peer, round, vector, gold, unlabelled, previous: learner.pseudo });
  const { settings, task, labels, tensors } = run;
  const pseudo = learner.pseudo.examples;
  const steps = settings.localSteps;
  const layout = full ? {} : { tensors };
  const place = { peer, round, vector, steps };
  const result = await trainRound({ trainer, task, settings, labels, ...layout, examples: gold, pseudo, ...place });
  learner.loss = averageOf(result.losses);
  return result.vector;
}

function countsOf({ gold, unlabelled }: PeerShare, classes: number): PeerCounts {
  const counts = (items: readonly Item[]): number[] =>
    [...Array(classes).keys(), -1].map((y) => items.filter((item) => item.y === y).length);
  return { gold: counts(gold), unlabelled: counts(unlabelled) };
}

function hashOf({ pool, development, test }: Dataset): string {
  return createHash('sha256')
    .update(JSON.stringify([pool, development, test]))
    .digest('hex');
}
