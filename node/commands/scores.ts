/**
 * @file Scores as a table for people: accuracies, where classes are uneven with balanced accuracy, the majority class and what
 * each class was called; of writing loss and perplexity.
 */
import type { RunSettings } from '../../protocol/config.ts';
import { table } from '../display.ts';
import { percent } from '../figures.ts';
import type { Run } from '../train/run.ts';
import {
  type Accuracy,
  type Confusion,
  classCounts,
  isUneven,
  majorityShare,
  type Score,
  type TokenLoss,
} from '../train/score.ts';

export interface Scored {
  readonly name: string;
  /** Null where there was nothing to train. */
  readonly score: Score | null;
}

/** The lines of a table; all rows are of the same texts, which `texts` names; of accuracies the last row's classes are told one by one. */
export function scoreLines(texts: string, rows: readonly Scored[], classes: readonly string[]): string[] {
  if (rows.at(-1)!.score?.type === 'loss') return lossLines(texts, rows);
  return accuracyLines(
    texts,
    rows.map(({ name, score }) => ({ name, accuracy: asAccuracy(score) })),
    classes,
  );
}

function lossLines(texts: string, rows: readonly Scored[]): string[] {
  const figure = (x: number | null | undefined, digits: number): string => x?.toFixed(digits) ?? '-';
  return table([
    [`next tokens of ${texts}`, 'loss a token', 'perplexity'],
    ...rows.map(({ name, score }) => {
      const told = asLoss(score);
      return [name, figure(told?.loss, 4), figure(told?.perplexity, 2)];
    }),
  ]);
}

function accuracyLines(
  texts: string,
  rows: readonly { readonly name: string; readonly accuracy: Accuracy | null }[],
  classes: readonly string[],
): string[] {
  const { name: named, accuracy: told } = rows.at(-1)!;
  const counts = classCounts(told?.confusion ?? []);
  if (!told || !isUneven(counts))
    return table([[`accuracy on ${texts}`, ''], ...rows.map(({ name, accuracy }) => [name, percent(accuracy?.share)])]);
  return [
    ...table([
      [texts, 'accuracy', 'balanced'],
      ...rows.map(({ name, accuracy }) => [name, percent(accuracy?.share), percent(accuracy?.balanced)]),
      majorityRow(counts, classes),
    ]),
    '',
    ...confusionLines(named, told.confusion, classes),
  ];
}

/** What needs no model. */
export function majorityRow(counts: readonly number[], classes: readonly string[]): string[] {
  const most = classes[counts.indexOf(Math.max(...counts))]!;
  const present = counts.filter((count) => count > 0).length;
  return [`always "${most}", the majority class`, percent(majorityShare(counts)), percent(1 / present)];
}

/** What the texts of each class were called, and which classes have none. */
export function confusionLines(name: string, confusion: Confusion, classes: readonly string[]): string[] {
  const counts = classCounts(confusion);
  const missing = classes.filter((_, y) => counts[y] === 0);
  return [
    ...table([
      [`${name}: texts of class`, ...classes.map((called) => `called ${called}`)],
      ...classes.flatMap((of, y) => (counts[y]! > 0 ? [[`${of} (${counts[y]})`, ...confusion[y]!.map(String)]] : [])),
    ]),
    ...(missing.length > 0 ? [`no text is of class ${missing.join(', ')}: nothing is said of it`] : []),
  ];
}

/** The base's rows: with the label prior left on as well, where the run takes one off. */
export function baseRows(base: Score, zeroShot: Score | null): Scored[] {
  if (base.type === 'loss') return [{ name: 'base', score: base }];
  if (!zeroShot) return [{ name: 'base, zero-shot', score: base }];
  return [
    { name: 'base, zero-shot', score: zeroShot },
    { name: 'base, label prior removed', score: base },
  ];
}

export function asAccuracy(score: Score | null): Accuracy | null {
  return score?.type === 'accuracy' ? score : null;
}

function asLoss(score: Score | null): TokenLoss | null {
  return score?.type === 'loss' ? score : null;
}

/** A figure of each score, under their names. */
export function figuresOf<K extends string>(
  scores: Readonly<Record<K, Score | null>>,
  figure: (score: Score | null) => number | null,
): Record<K, number | null> {
  const entries = Object.entries<Score | null>(scores).map(([name, score]) => [name, figure(score)]);
  return Object.fromEntries(entries) as Record<K, number | null>;
}

/** None where nothing is classified. */
export function classesOf(run: Run): readonly string[] {
  return run.objective === 'classify' ? run.task.classes : [];
}

/** The figures of a run that writes, for a program. */
export function lossFields<K extends string>(scores: Readonly<Record<K, Score | null>>): object {
  const told = Object.values<Score | null>(scores).flatMap((score) => asLoss(score) ?? []);
  return {
    loss: figuresOf(scores, (score) => asLoss(score)?.loss ?? null),
    perplexity: figuresOf(scores, (score) => asLoss(score)?.perplexity ?? null),
    tokens: told[0]?.tokens ?? 0,
  };
}

/** Whether a run has a label prior, which its base is scored without. */
export function hasPrior({ labelPrior }: Pick<RunSettings, 'labelPrior'>): boolean {
  return labelPrior !== '' && labelPrior !== 'off';
}
