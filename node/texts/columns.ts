/** @file Which column or key holds the texts and which the labels, by the names other programs give them; never guessed. */
import { UserError } from '../errors.ts';
import { nearest } from '../nearest.ts';

export interface Columns {
  /** As the file writes it. */
  readonly text: string;
  /** Null where there are no labels. */
  readonly label: string | null;
  /** What is not read. */
  readonly others: readonly string[];
}

/** Every name, what is read first. */
export function columnNames({ text, label, others }: Columns): string {
  return [text, ...(label === null ? [] : [label]), ...others].join(', ');
}

type Kind = 'text' | 'label';

/** The project's own name first, which wins; of the others only one may stand in a file. */
const NAMES: Readonly<Record<Kind, readonly string[]>> = {
  text: [
    ...['text', 'texts', 'sentence', 'review', 'content', 'comment', 'body', 'document', 'message', 'tweet', 'post'],
    ...['review_text', 'review text', 'reviewtext', 'utterance', 'sentence_text'],
  ],
  label: ['label', 'labels', 'sentiment', 'target', 'class', 'category', 'stars', 'rating', 'polarity', 'label_name'],
};

const folded = new Map<string, string>();
/** Files have few names and many rows that repeat them. */
const MAX_FOLDED = 1000;

/** A name without what does not tell names apart: capitals, spaces around it. */
export function foldName(name: string): string {
  const known = folded.get(name);
  if (known !== undefined) return known;
  if (folded.size >= MAX_FOLDED) folded.clear();
  const plain = name.replaceAll('\ufeff', '').trim().normalize('NFKC').toLowerCase();
  folded.set(name, plain);
  return plain;
}

/** Whether a key could be meant for the labels: another usual name, or the column's own misspelt. */
export function looksLikeLabel(key: string, column: string | null): boolean {
  const name = foldName(key);
  return NAMES.label.includes(name) || nearest(name, [column === null ? 'label' : foldName(column)]) !== null;
}

/** Finds the columns among the names of a file, or those asked for. Throws a UserError that names what there is. */
export function findColumns(
  names: readonly string[],
  path: string,
  asked: { readonly textColumn?: string; readonly labelColumn?: string },
): Columns {
  const text = find('text', names, path, asked.textColumn);
  if (text === null)
    throw new UserError(
      'usage',
      `${path}:1: columns are ${listed(names)}; wanted a header with text and, where there are labels, label, or --text-column NAME`,
    );
  const rest = names.filter((name) => name !== text);
  const label = asked.labelColumn === 'none' ? null : find('label', rest, path, asked.labelColumn);
  return { text, label, others: rest.filter((name) => name !== label) };
}

function find(kind: Kind, names: readonly string[], path: string, asked: string | undefined): string | null {
  const flag = `--${kind}-column`;
  if (asked !== undefined) {
    const found = names.includes(asked)
      ? names.filter((name) => name === asked)
      : names.filter((name) => foldName(name) === foldName(asked));
    if (found.length === 1) return found[0]!;
    throw new UserError('usage', `${path}:1: ${flag}: got "${asked}"; the columns are ${listed(names)}`);
  }
  const own = names.filter((name) => foldName(name) === kind);
  const candidates = own.length > 0 ? own : names.filter((name) => NAMES[kind].includes(foldName(name)));
  if (candidates.length > 1)
    throw new UserError(
      'usage',
      own.length > 1
        ? `${path}:1: two columns are named ${kind} (${listed(own)}); wanted one, or ${flag} NAME`
        : `${path}:1: ${listed(candidates)} could each be the ${kind}; say which: ${flag} "${candidates[0]}"`,
    );
  const misspelt = candidates.length > 0 ? null : names.find((name) => nearest(foldName(name), [kind]) !== null);
  if (misspelt)
    throw new UserError(
      'usage',
      `${path}:1: column "${misspelt}"; if that is the ${kind}: ${flag} "${misspelt}"${kind === 'label' ? ', else --label-column none' : ''}`,
    );
  return candidates[0] ?? null;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 8).map((name) => foldName(name) || '(empty)');
  return shown.length === 0 ? 'none' : `${shown.join(', ')}${names.length > 8 ? ', ...' : ''}`;
}
