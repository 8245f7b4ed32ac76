/** @file One run of an experiment: its data dealt to peers, trained and mixed in step, scored at the end. */
import { createHash } from 'node:crypto';
import type { Trainer } from '../../node/engine/trainer.ts';
import { encodeWritings } from '../../node/texts/encoder.ts';
import type { Writing } from '../../node/texts/writings.ts';
import { createClassExam, createClassLearner } from '../../node/train/classify.ts';
import { cutRank, factorPairs, type Wire } from '../../node/train/factors.ts';
import { encodeExamples } from '../../node/train/learner.ts';
import type { Exam, Learner } from '../../node/train/objective.ts';
import { NO_PSEUDO, type PseudoSet } from '../../node/train/pseudo.ts';
import { calibrateRun, fullVector, openRun, type Run } from '../../node/train/run.ts';
import {
  type Accuracy,
  averageOf,
  classCounts,
  majorityShare,
  type Score,
  sumConfusions,
} from '../../node/train/score.ts';
import { createWritingExam, createWritingLearner } from '../../node/train/write.ts';
import type { RunSettings } from '../../protocol/config.ts';
import { crossTerm, sumProducts } from '../../protocol/mixing.ts';
import { disagreement, mean } from '../../protocol/vector.ts';
import { type Dataset, type Item, readDataset } from './datasets.ts';
import { type LockstepPeer, runLockstep } from './lockstep.ts';
import { isAlone, METHODS, type Method, needsLabels } from './methods.ts';
import { type PeerShare, partition } from './partition.ts';
import { type PlannedRun, taskOf } from './plan.ts';
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
interface Student {
  readonly run: Run;
  readonly learner: Learner;
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
  readonly run: Run;
  readonly data: Dataset;
  readonly shares: readonly PeerShare[];
  readonly subject: Subject;
  readonly students: readonly Student[];
  readonly peers: LockstepPeer[];
  readonly signal: AbortSignal;
}

interface Best {
  readonly figure: number;
  readonly vectors: readonly Float32Array[];
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

/** Deals the data, takes the label prior, and readies every peer; `taken`: what a peer makes of what it was dealt. */
export async function openTrial(
  planned: PlannedRun,
  getTrainer: GetTrainer,
  signal: AbortSignal,
  taken: (share: PeerShare, peer: number, classes: number) => PeerShare = (share) => share,
): Promise<Trial> {
  const { scenario, seed } = planned;
  const method = METHODS[planned.method]!;
  const bare = await openRun(planned.settings);
  const needsGold = needsLabels(planned.method, planned.settings);
  const task = taskOf(bare);
  const data = readDataset(scenario.data, { ...scenario, seed }, task, needsGold);
  const classes = task?.classes.length ?? 0;
  const dealt = partition(scenario.partition, data.pool, { ...scenario, seed, classes });
  const shares = dealt.map((share, peer) => taken(share, peer, classes));
  const calibrator = await getTrainer(bare, false);
  const run = bare.objective === 'classify' ? await calibrateRun(bare, calibrator, priorTexts(shares)) : bare;
  const subject = await subjectOf(method, run, method.trainable === 'full' ? await getTrainer(run, true) : calibrator);
  const students = await createStudents(method, shares, { run, subject, ranks: scenario.ranks });
  const start = subject.wire.pack(subject.start);
  const peers = students.map((student, i): LockstepPeer => {
    const { settings } = student.run;
    const vector = settings.localRank && !subject.full ? cutRank(start, run.tensors, settings.localRank) : start;
    return { id: `peer-${i}`, settings, vector, residual: new Float32Array(start.length) };
  });
  return { planned, method, run, data, shares, subject, students, peers, signal };
}

function identityOf({
  key,
  method,
  seed,
  point,
}: PlannedRun): Pick<RoundRecord, 'version' | 'key' | 'method' | 'seed' | 'point'> {
  return { version: RECORDS_VERSION, key, method, seed, point };
}

/** Of a vector's score, where there was something to score: the share that is right, or the loss a token. */
export function figureOf(score: Score): number {
  return score.type === 'accuracy' ? score.share! : score.loss!;
}

/** The mean over vectors. */
async function meanOf(exam: Exam, vectors: readonly Float32Array[], signal: AbortSignal): Promise<number> {
  return meanFigure(await scoreEach(exam, vectors, signal));
}

/** Of at least one score of at least one text: readDataset refuses to leave nothing to score. */
function meanFigure(scores: readonly Score[]): number {
  return averageOf(scores.map(figureOf))!;
}

/** Texts of a run, ready to be scored. */
async function examOf({ run, subject: { trainer } }: Trial, items: readonly Item[]): Promise<Exam> {
  if (run.objective === 'classify') return createClassExam(run, trainer, await encodeExamples(run.task, items));
  return createWritingExam(run, trainer, await encodeWritings(run.writing, items.map(writingOf)));
}

function writingOf({ text, writing }: Item): Writing {
  return writing ?? { type: 'text', text };
}

/** The texts watched during a run, or others in their place. */
export function developmentOf(trial: Trial, items: readonly Item[] = trial.data.development): Promise<Exam> {
  return examOf(trial, items);
}

/** Every round of training and mixing, a record each. */
async function trainTrial(trial: Trial, onRound: (record: RoundRecord, share: number) => void): Promise<Trained> {
  const { planned, method, run, subject, students, peers, signal } = trial;
  const { wire, average } = subject;
  const development = await developmentOf(trial);
  const isBetter = (a: number, b: number): boolean => (run.objective === 'classify' ? a > b : a < b);
  const factors = subject.full ? [] : factorPairs(run.tensors);
  const isFactored = method.mixing !== 'none' && run.settings.averaging !== 'product';
  const records: RoundRecord[] = [];
  let best: Best | null = null;
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
      wire.pack(await trainPeer(students[i]!, { peer: `peer-${i}`, round, vector: wire.unpack(vector) })),
    onRound: async (round, sent, before) => {
      signal.throwIfAborted();
      bytes += sent;
      const vectors = peers.map((p) => wire.unpack(p.vector));
      const scored = isAlone(method) ? vectors : [average(vectors)];
      const figure = await meanOf(development, scored, signal);
      if (!best || isBetter(figure, best.figure)) best = { figure, vectors: scored };
      const labelling = students.filter((l) => l.pseudo.examples.length > 0);
      const record: RoundRecord = {
        type: 'round',
        ...identityOf(planned),
        round,
        loss: averageOf(students.flatMap((l) => l.loss ?? [])),
        development: figure,
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
  return { records, best: (best as Best | null)?.vectors ?? null, bytes };
}

/** The test texts, scored once. */
async function finalOf(trial: Trial, { best, bytes }: Trained, began: number): Promise<FinalRecord> {
  const { planned, method, run, data, shares, subject, peers, signal } = trial;
  const exam = await examOf(trial, data.test);
  const vectors = peers.map((p) => subject.wire.unpack(p.vector));
  const own = await scoreEach(exam, vectors, signal);
  const average = peers.length === 1 ? vectors : [subject.average(vectors)];
  const isBase = method.trainable === 'none';
  const figures = own.map(figureOf);
  const common = {
    mean: meanFigure(own),
    average: isAlone(method) ? null : await meanOf(exam, average, signal),
    bestRound: best && (await meanOf(exam, best, signal)),
  };
  const scored = own.flatMap((score) => (score.type === 'accuracy' ? score : []));
  const uncalibrated = isBase && exam.scoreBare ? figureOf(await exam.scoreBare(run.initial, { signal })) : null;
  return {
    type: 'final',
    ...identityOf(planned),
    ...(run.objective === 'classify'
      ? accuracyFields({ ...common, worst: Math.min(...figures), uncalibrated }, scored, run.task.classes)
      : { ...NO_CLASSES, loss: { ...common, worst: Math.max(...figures) } }),
    steps: isBase ? 0 : run.settings.rounds * run.settings.localSteps,
    bytes,
    testExamples: exam.count,
    seconds: (performance.now() - began) / 1000,
    peers: shares.map((share) => countsOf(share, taskOf(run)?.classes.length ?? 0)),
    hashes: { base: run.base.sha256, data: hashOf(data) },
  };
}

type ClassFields = Pick<FinalRecord, 'accuracy' | 'balanced' | 'classes' | 'testCounts' | 'confusion'>;

const NO_CLASSES: ClassFields = { accuracy: null, balanced: null, classes: [], testCounts: [], confusion: [] };

/** What is told of classes. */
function accuracyFields(
  figures: Omit<NonNullable<FinalRecord['accuracy']>, 'majority'>,
  own: readonly Accuracy[],
  classes: readonly string[],
): ClassFields {
  const counts = classCounts(own[0]!.confusion);
  return {
    accuracy: { ...figures, majority: majorityShare(counts)! },
    balanced: averageOf(own.map(({ balanced }) => balanced!)),
    classes,
    testCounts: counts,
    confusion: sumConfusions(own.map(({ confusion }) => confusion)),
  };
}

/** Texts of every peer for the label prior: unlabelled ones, or gold where a run has no others. */
function priorTexts(shares: readonly PeerShare[]): string[] {
  const each = Math.ceil(PRIOR_TEXTS / shares.length);
  const of = (kind: 'unlabelled' | 'gold'): string[] =>
    shares.flatMap((s) => s[kind].slice(0, each)).map((e) => e.text);
  return of('unlabelled').length > 0 ? of('unlabelled') : of('gold');
}

async function subjectOf(method: Method, run: Run, trainer: Trainer): Promise<Subject> {
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
async function scoreEach(exam: Exam, vectors: readonly Float32Array[], signal: AbortSignal): Promise<Score[]> {
  const known = new Map<Float32Array, Score>();
  const scores: Score[] = [];
  for (const vector of vectors) {
    const score = known.get(vector) ?? (await exam.score(vector, { signal }));
    known.set(vector, score);
    scores.push(score);
  }
  return scores;
}

/** `ranks` are dealt to the peers in turn; none, or one learner for all: the run's. */
async function createStudents(
  method: Method,
  shares: readonly PeerShare[],
  { run, subject, ranks }: { run: Run; subject: Subject; ranks: readonly number[] },
): Promise<Student[]> {
  const hands =
    method.data === 'pooled'
      ? [{ gold: shares.flatMap((s) => s.gold), unlabelled: shares.flatMap((s) => s.unlabelled) }]
      : shares;
  return Promise.all(
    hands.map(async (hand, i): Promise<Student> => {
      const own = method.data === 'own' ? ranks[i % ranks.length] : undefined;
      const settings: RunSettings = { ...run.settings, localRank: own ?? run.settings.localRank };
      const theirs = { ...run, settings };
      return { run: theirs, learner: await createLearner(theirs, subject, hand), pseudo: NO_PSEUDO, loss: null };
    }),
  );
}

async function createLearner(
  run: Run,
  { trainer, full: isFull }: Subject,
  { gold, unlabelled }: PeerShare,
): Promise<Learner> {
  if (run.objective === 'next-token') {
    const texts = await encodeWritings(run.writing, [...gold, ...unlabelled].map(writingOf));
    return createWritingLearner({ run, trainer, texts, isFull });
  }
  const others = unlabelled.map(({ text, y }) => ({ text, truth: y < 0 ? null : y }));
  const examples = await encodeExamples(run.task, gold);
  const own = [...gold, ...unlabelled].map(({ text }) => text);
  return createClassLearner({ run, trainer, gold: examples, unlabelled: others, own, isFull });
}

/** A round of a peer: labels drawn by the vector, then its steps; the new vector. */
export async function trainPeer(
  student: Student,
  place: { peer: string; round: number; vector: Float32Array },
): Promise<Float32Array> {
  const result = await student.learner.train({
    ...place,
    steps: student.run.settings.localSteps,
    onLabelled: (set) => {
      student.pseudo = set;
    },
  });
  student.loss = averageOf(result.losses);
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
