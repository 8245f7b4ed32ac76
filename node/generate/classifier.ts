/** @file Classes of texts with how sure the model is of each: as an adapter was trained, or a base through a prompt. */

import { readAdapter } from '../adapter.ts';
import type { Precision } from '../checkpoint/base.ts';
import type { Device } from '../engine/device.ts';
import { createTrainer, type Trainer } from '../engine/trainer.ts';
import { UserError } from '../errors.ts';
import type { Compute } from '../model/program.ts';
import type { Example } from '../texts/data.ts';
import { encodeTexts } from '../train/learner.ts';
import { type ClassRun, checkSettings, openRun } from '../train/run.ts';
import { calibrate, probabilitiesOf } from './calibration.ts';

export interface ClassifierOptions {
  /** A PEFT folder; null: the base alone. */
  readonly adapter: string | null;
  /** Settings of the task that go before the adapter's. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly device: Device;
  readonly threads: number;
  readonly basePrecision?: Precision;
  readonly compute?: Compute;
}

export interface Prediction {
  readonly text: string;
  /** The likeliest class. */
  readonly label: string;
  /** Of each class, in their order; they sum to 1. */
  readonly probabilities: readonly number[];
  /** Whether the end of the text was left out for want of room. */
  readonly isCut: boolean;
}

export interface Classifier {
  readonly run: ClassRun;
  readonly classes: readonly string[];
  readonly notes: readonly string[];
  /** What logits are divided by; null: it was never fitted, and the probabilities are as sure as training left them. */
  readonly temperature: number | null;
  /** Fits the temperature on texts that were not trained on. Throws a UserError on too few. */
  calibrate(examples: readonly Example[], signal?: AbortSignal): Promise<void>;
  classify(texts: readonly string[], progress?: Progress): Promise<Prediction[]>;
  stop(): Promise<void>;
}

export interface Progress {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Fewer say little of how sure a model may be. */
export const MIN_CALIBRATION = 50;

/** Opens base, adapter and task. Throws a UserError on what cannot be read. */
export async function openClassifier({ adapter, given, ...machine }: ClassifierOptions): Promise<Classifier> {
  const { run, vector, notes } = adapter === null ? await baseAlone(given) : await readAdapter(adapter, given);
  if (run.objective !== 'classify')
    throw new UserError(
      'usage',
      `${adapter}: was trained to write, with no classes; wanted an adapter of classes, or lorikeet generate`,
    );
  const { task } = run;
  const trainable = { type: 'lora', lora: run.lora } as const;
  const trainer = await createTrainer({ base: run.settings.base, trainable, ...machine });
  let temperature: number | null = null;
  const model = { run, trainer, vector };
  return {
    run,
    classes: task.classes,
    notes: [...notes, ...(trainer.notice ? [trainer.notice] : [])],
    get temperature() {
      return temperature;
    },
    calibrate: async (examples, signal) => {
      if (examples.length < MIN_CALIBRATION)
        throw new UserError(
          'usage',
          `${examples.length} labelled texts to calibrate with; wanted at least ${MIN_CALIBRATION} that were not trained on`,
        );
      const texts = examples.map(({ text }) => text);
      const rows = await scoreTexts(model, texts, signal ? { signal } : {});
      temperature = calibrate(
        rows.map(({ row }) => row),
        examples.map(({ y }) => y),
      );
    },
    classify: (texts, progress) => classifyTexts(model, texts, { temperature: temperature ?? 1, ...progress }),
    stop: () => trainer.stop(),
  };
}

/** An adapter on its run, and what computes it. */
interface Model {
  readonly run: ClassRun;
  readonly trainer: Trainer;
  readonly vector: Float32Array;
}

/** The class of each text; `temperature` is what logits are divided by. */
export async function classifyTexts(
  model: Model,
  texts: readonly string[],
  { temperature, ...progress }: Progress & { readonly temperature: number },
): Promise<Prediction[]> {
  const { classes } = model.run.task;
  const rows = await scoreTexts(model, texts, progress);
  return rows.map(({ row, isCut }, i) => {
    const probabilities = probabilitiesOf(row, temperature);
    const label = classes[probabilities.indexOf(Math.max(...probabilities))]!;
    return { text: texts[i]!, label, probabilities, isCut };
  });
}

async function scoreTexts({ run: { task, labels }, trainer, vector }: Model, texts: readonly string[], how: Progress) {
  const sequences = await encodeTexts(task, texts);
  const logits = await trainer.score({ vector, sequences, labels, padId: task.padId, ...how });
  return logits.map((row, i) => ({ row, isCut: sequences[i]!.cut === true }));
}

async function baseAlone(given: Readonly<Record<string, unknown>>) {
  const run = await openRun(checkSettings(given, 'settings'));
  return { run, vector: run.initial, notes: [] };
}
