/** @file Accuracies as a table for people: where classes are uneven with balanced accuracy, the majority class and what each class was called. */
import type { RunSettings } from '../../protocol/config.ts';
import { percent, table } from '../display.ts';
import { type Accuracy, type Confusion, classCounts, isUneven, majorityShare } from '../train/score.ts';

export interface Scored {
  readonly name: string;
  /** Null where there was nothing to train. */
  readonly accuracy: Accuracy | null;
}

/** The lines of a table; all rows are of the same texts, which `texts` names; the last row's classes are told one by one. */
export function scoreLines(texts: string, rows: readonly Scored[], classes: readonly string[]): string[] {
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

/** Whether a run has a label prior, which its base is scored without. */
export function hasPrior({ labelPrior }: Pick<RunSettings, 'labelPrior'>): boolean {
  return labelPrior !== '' && labelPrior !== 'off';
}
