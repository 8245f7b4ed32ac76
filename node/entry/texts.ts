/** @file Which texts a state has learned from, and whether those given now are the same. */
import { UserError } from '../errors.ts';
import { counted } from '../figures.ts';
import { compareRows, digestRows, peekTexts } from '../store.ts';
import type { Row } from '../texts/data.ts';

/**
 * A state belongs to the texts it has learned from; others are taken on purpose only. `note` hears that they are; null: they
 * are not. Throws a UserError then.
 */
export function checkTexts(
  folder: string,
  { rows, name, note }: { rows: readonly Row[]; name: string; note: ((line: string) => void) | null },
): void {
  const before = peekTexts(folder);
  if (!before) return;
  const { added, removed } = compareRows(before, digestRows(rows));
  if (added + removed === 0) return;
  const shared = before.words.length - removed;
  const change = `it has learned from ${counted(before.words.length, 'row')}; ${name} still has ${shared} of them, and ${added} new`;
  if (!note)
    throw new UserError(
      'incompatible',
      `${folder}: ${change}; --continue goes on with them, another --state begins anew`,
    );
  note(`${folder}: ${change}; going on with them`);
}
