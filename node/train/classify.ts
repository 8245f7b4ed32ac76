/** @file Learning the classes of texts: gold and soft labels, accuracy. */
import { strict as assert } from 'node:assert';
import type { Trainer } from '../engine/trainer.ts';
import { type DataFile, type DataOptions, type LabelledFile, labelData } from '../texts/data.ts';
import { priorTexts } from '../texts/sample.ts';
import { type Auxiliary, createAuxiliary } from './auxiliary.ts';
import { inspectionLines, inspectTexts, leftOutLine } from './inspect.ts';
import { type EncodedExample, encodeExamples, evaluate, labelWords, roundBatches } from './learner.ts';
import { createNotebook, type Notebook } from './notebook.ts';
import type { Exam, Learner, ScoreOptions, Texts } from './objective.ts';
import { NO_PSEUDO, relabel, scorePatterns, softmax, type UnlabelledText } from './pseudo.ts';
import { type ClassRun, calibrateRun, type Run } from './run.ts';
import { takeSteps } from './steps.ts';

/** Reads labelled and unlabelled texts. */
export function readClassTexts(run: ClassRun, file: DataFile, options: DataOptions): Texts {
  return classTexts(run, file, labelData(file, run.task, options));
}

function classTexts(run: ClassRun, file: DataFile, read: LabelledFile): Texts {
  const { task, settings } = run;
  const { labelled, items } = read;
  return {
    file,
    texts: items.map(({ text }) => text),
    scored: labelled.length,
    leftOut: leftOutLine(file, read),
    holdOut: (choose) => {
      const isHeld = choose(labelled.map(({ text }) => text));
      const part = (isIn: (text: string, y: number | null) => boolean): Texts => {
        const kept = items.filter(({ text, y }) => isIn(text, y));
        const examples = kept.flatMap(({ text, y }) => (y === null ? [] : [{ text, y }]));
        return classTexts(run, file, { ...read, items: kept, labelled: examples });
      };
      return {
        own: part((text, y) => y === null || !isHeld(text)),
        held: part((text, y) => y !== null && isHeld(text)),
      };
    },
    inspect: async () => {
      const found = await inspectTexts(task, file, read);
      const { path, unknownShare } = found;
      return { path, lines: inspectionLines(found), fields: found, unknownShare };
    },
    calibrate: (trainer) => calibrateRun(run, trainer, priorTexts(items, task.classes.length, settings.seed)),
    learner: async (of, trainer) => {
      const notebook = await createNotebook(task, items);
      const { gold, unlabelled } = notebook;
      const own = items.map(({ text }) => text);
      return createClassLearner({ run: classRun(of), trainer, gold, unlabelled, notebook, own });
    },
    exam: async (of, trainer) => createClassExam(classRun(of), trainer, await encodeExamples(task, labelled)),
  };
}

function classRun(run: Run): ClassRun {
  assert(run.objective === 'classify', 'texts are read for the run that learns them');
  return run;
}

interface ClassLearnerOptions {
  readonly run: ClassRun;
  readonly trainer: Trainer;
  readonly gold: readonly EncodedExample[];
  /** Texts without labels; the mixed adapter gives them soft ones. */
  readonly unlabelled: readonly UnlabelledText[];
  /** Where they may change from round to round: what it says counts. */
  readonly notebook?: Notebook;
  /** All of its texts, labelled or not, for the auxiliary loss; none: without that. */
  readonly own?: readonly string[];
  /** Whether every weight is trained, and not an adapter. */
  readonly isFull?: boolean;
}

/** Learns gold labels, and those that the mixed adapter gives. */
export function createClassLearner(options: ClassLearnerOptions): Learner {
  const { run, trainer, notebook, own = [], isFull = false } = options;
  const held: Pick<Notebook, 'gold' | 'unlabelled' | 'version'> = notebook ?? { ...options, version: 0 };
  const { task, settings, labels, tensors } = run;
  const layout = isFull ? {} : { tensors };
  let pseudo = NO_PSEUDO;
  let version = held.version;
  /** Those of the soft labels that are trained on now. */
  let softly: ReadonlySet<string> = new Set();
  let auxiliary: Promise<Auxiliary | null> | null = null;
  return {
    objective: 'classify',
    get labelled() {
      return held.gold.length;
    },
    get unlabelled() {
      return held.unlabelled.length;
    },
    ...(notebook ? { texts: correctable(run, trainer, notebook, () => softly) } : {}),
    train: async ({ onLabelled, ...request }) => {
      const { peer, round, vector } = request;
      const { gold, unlabelled } = held;
      // The set before goes by places among texts that have changed since.
      if (held.version !== version) pseudo = NO_PSEUDO;
      version = held.version;
      pseudo = await relabel({ run, trainer, peer, round, vector, gold, unlabelled, previous: pseudo });
      softly = new Set(pseudo.examples.map(({ index }) => unlabelled[index]!.text));
      onLabelled?.(pseudo);
      const lists = { examples: gold, pseudo: pseudo.examples };
      const batches = roundBatches({ task, settings, ...lists, ...request });
      auxiliary ??= createAuxiliary(run, own);
      const beside = await auxiliary;
      const steps = beside ? beside.beside(batches, request) : batches;
      return takeSteps({ trainer, settings, ...layout, ...request }, steps, labels);
    },
    get alone() {
      const { notebook: _, ...rest } = options;
      const { gold } = held;
      return gold.length > 0 ? createClassLearner({ ...rest, gold, unlabelled: [] }) : null;
    },
  };
}

function correctable(
  run: ClassRun,
  trainer: Trainer,
  { list, revise }: Notebook,
  softly: () => ReadonlySet<string>,
): NonNullable<Learner['texts']> {
  return {
    classes: run.task.classes,
    list,
    revise,
    softly,
    probabilities: async (texts, vector) => {
      const { logits } = await scorePatterns({ run, trainer, vector }, texts);
      return logits.map((row) => softmax(row, 1));
    },
  };
}

/** Counts whose class is said rightly. */
export function createClassExam(
  { task, labels, settings }: ClassRun,
  trainer: Trainer,
  examples: readonly EncodedExample[],
): Exam {
  const scoreBy =
    (words: typeof labels) =>
    (vector: Float32Array, options: ScoreOptions = {}) =>
      evaluate({ trainer, task, labels: words, vector, ...options }, examples);
  return {
    count: examples.length,
    score: scoreBy(labels),
    ...(['', 'off'].includes(settings.labelPrior) ? {} : { scoreBare: scoreBy(labelWords(task, [])) }),
  };
}
