/** @file Texts drawn from all there are: the same texts in any order of the rows give the same sample. */
import { createHash } from 'node:crypto';

/** Texts the label prior is measured on. */
const PRIOR_TEXTS = 200;
/** Fewer of a class than these say little about it. */
const LEAST_A_CLASS = 10;

/** `count` items or all there are, by the hash of seed and text; what stands in a file first is not preferred. */
export function drawByText<T>(items: readonly T[], count: number, textOf: (item: T) => string, seed: string): T[] {
  let drawn: { readonly item: T; readonly key: string }[] = [];
  // Of a million items only so many are kept and sorted at a time.
  let limit = 'g';
  const trim = (): void => {
    drawn = drawn.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).slice(0, count);
    if (drawn.length === count) limit = drawn.at(-1)?.key ?? '';
  };
  for (const item of items) {
    const key = createHash('sha256')
      .update(`${seed}\n${textOf(item)}`)
      .digest('hex');
    if (key < limit) drawn.push({ item, key });
    if (drawn.length > 4 * count) trim();
  }
  trim();
  return drawn.map(({ item }) => item);
}

/**
 * Texts for the label prior, drawn from all rows. Where most rows are labelled and every class has some, each class gives
 * as many, so that the prior is that of the words and not of the classes; else rows come as they are.
 */
export function priorTexts(
  items: readonly { readonly text: string; readonly y: number | null }[],
  classes: number,
  seed: string,
): string[] {
  const draw = (from: typeof items, count: number): string[] =>
    drawByText(from, count, ({ text }) => text, `prior ${seed}`).map(({ text }) => text);
  const byClass = Array.from({ length: classes }, (_, k) => items.filter(({ y }) => y === k));
  const each = Math.min(Math.floor(PRIOR_TEXTS / classes), ...byClass.map((list) => list.length));
  const isMostlyLabelled = 2 * byClass.flat().length >= items.length;
  if (!isMostlyLabelled || each < LEAST_A_CLASS) return draw(items, PRIOR_TEXTS);
  return byClass.flatMap((list) => draw(list, each));
}
