/** @file What there is to know of a peer's texts before it trains on them, as the run's model reads them. */
import type { DataFile, LabelledFile } from '../texts/data.ts';
import { drawByText } from '../texts/sample.ts';
import type { Task } from '../texts/task.ts';
import { encodeTexts } from './learner.ts';

export interface Inspection {
  readonly path: string;
  /** Kept rows. */
  readonly rows: number;
  readonly labelled: number;
  readonly unlabelled: number;
  readonly classes: readonly {
    readonly name: string;
    readonly word: string;
    /** The tokens of the word. */
    readonly tokens: readonly number[];
    readonly count: number;
  }[];
  /** Labels as the file writes them, and the class each was taken for; null: no label. */
  readonly labels: readonly { readonly label: string; readonly count: number; readonly class: string | null }[];
  readonly columns: { readonly text: string; readonly label: string | null; readonly others: readonly string[] };
  readonly notes: readonly string[];
  readonly bad: readonly { readonly line: number; readonly problem: string }[];
  /** Rows whose text stands in an earlier one, but for capitals and spaces, and texts that stand under several classes. */
  readonly duplicates: number;
  readonly contradictions: number;
  /** Texts that were tokenised for what follows: all, or a drawn sample. */
  readonly inspected: number;
  readonly cut: number;
  readonly maxTokens: number;
  /** Of the tokens of the texts; null where there are none. */
  readonly unknownShare: number | null;
  /** Of the prompt itself. */
  readonly unknownInPrompt: number;
  /** Of the words of the classes. */
  readonly hints: readonly string[];
  /** A prompt as the model sees it. */
  readonly sample: string;
}

/** Texts tokenised to count what is cut and unknown. */
const MAX_INSPECTED = 2000;
/** A larger share of unknown tokens needs to be meant. */
export const MAX_UNKNOWN = 0.2;

/** Counts and tokenises. Pure in its arguments; tokenising happens on its own thread. */
export async function inspectTexts(task: Task, file: DataFile, read: LabelledFile): Promise<Inspection> {
  const texts = drawByText(read.items, MAX_INSPECTED, ({ text }) => text, 'inspect').map(({ text }) => text);
  const first = (read.items.find(({ y }) => y !== null) ?? read.items[0])?.text ?? '';
  const [bare, shown, ...sequences] = await encodeTexts(task, ['', first, ...texts]);
  const unknownIn = (ids: readonly number[]): number => ids.filter((id) => id === task.unknownId).length;
  const unknownInPrompt = unknownIn(bare!.ids);
  let [tokens, unknown] = [0, 0];
  for (const { ids } of sequences) {
    tokens += ids.length - bare!.ids.length;
    unknown += unknownIn(ids) - unknownInPrompt;
  }
  return {
    path: file.path,
    rows: read.items.length,
    labelled: read.labelled.length,
    unlabelled: read.unlabelled.length,
    classes: task.classes.map((name, k) => ({
      name,
      word: task.words[k]!,
      tokens: task.wordIds[0]![k]!,
      count: read.labelled.filter(({ y }) => y === k).length,
    })),
    labels: read.labels.map(({ label, count, y }) => ({ label, count, class: y === null ? null : task.classes[y]! })),
    columns: file.columns,
    notes: file.notes,
    bad: read.bad,
    ...countRepeats(read.items),
    inspected: sequences.length,
    cut: sequences.filter(({ cut }) => cut).length,
    maxTokens: task.source.spec.maxTokens,
    unknownShare: tokens === 0 ? null : unknown / tokens,
    unknownInPrompt,
    hints: task.hints(),
    sample: task.show(shown!.ids),
  };
}

/** Texts that stand in an earlier row, and those that stand under several classes. */
export function countRepeats(items: LabelledFile['items']): { duplicates: number; contradictions: number } {
  const seen = new Map<string, number | null>();
  const several = new Set<string>();
  for (const { text, y } of items) {
    // Capitals and spaces tell no texts apart to a reader.
    const plain = text.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();
    const before = seen.get(plain);
    if (typeof before === 'number' && y !== null && before !== y) several.add(plain);
    seen.set(plain, before ?? y);
  }
  return { duplicates: items.length - seen.size, contradictions: several.size };
}

/** A line for each thing worth knowing; the first says what was read. */
export function inspectionLines(found: Inspection): string[] {
  const { path, columns, bad, classes, inspected, cut, unknownShare, duplicates, contradictions } = found;
  const counts = classes.map(({ name, count }) => `${count} ${name}`).join(', ');
  const share = (x: number): string => `${(100 * x).toFixed(1)} %`;
  const held = classes.filter(({ count }) => count > 0);
  const renamed = found.labels.filter(({ label, class: name }) => label !== name);
  const of = inspected < found.rows ? ` of ${inspected} drawn` : '';
  const usual = columns.text === 'text' && (columns.label === null || columns.label === 'label');
  return [
    `${path}: ${many(found.rows, 'text')}, ${found.labelled} labelled (${counts}), ${found.unlabelled} unlabelled`,
    ...(usual && columns.others.length === 0 ? [] : [columnsLine(columns)]),
    ...found.notes.map((note) => `  the file: ${note}`),
    ...(renamed.length > 0
      ? [`  labels: ${renamed.slice(0, 8).map(meaning).join(', ')}${renamed.length > 8 ? ', ...' : ''}`]
      : []),
    ...badLines(bad),
    ...(held.length === 1 && classes.length > 1
      ? [`  every label is ${held[0]!.name}: of the other classes this peer can teach nothing`]
      : []),
    ...(duplicates > 0
      ? [
          `  ${many(duplicates, 'text')} repeated${contradictions > 0 ? `, ${contradictions} of them under several classes` : ''}`,
        ]
      : []),
    `  ${cut}${of} cut at ${found.maxTokens} tokens, ${unknownShare === null ? '-' : share(unknownShare)} of the tokens unknown to the base`,
    ...(found.unknownInPrompt > 0
      ? [`  the prompt holds ${many(found.unknownInPrompt, 'token')} unknown to the base`]
      : []),
    `  words: ${classes.map(({ name, word, tokens }) => `${name}=${word} (token${tokens.length > 1 ? 's' : ''} ${tokens.join(' ')})`).join(', ')}`,
    ...found.hints.map((hint) => `  ${hint}`),
    `  as the model sees it: ${found.sample.length > 300 ? `${found.sample.slice(0, 300)} ...` : found.sample}`,
  ];
}

/** The bad rows that were left out, in a line; none where there are none. */
export function badLines(bad: Inspection['bad']): string[] {
  if (bad.length === 0) return [];
  const shown = bad.slice(0, 3).map(({ line, problem }) => `line ${line}: ${problem}`);
  return [`  ${many(bad.length, 'bad row')} left out: ${shown.join('; ')}`];
}

/** What of a file is not scored, in a line; null: nothing is left out. */
export function leftOutLine({ path }: DataFile, { labelled, unlabelled, bad }: LabelledFile): string | null {
  if (bad.length + unlabelled.length === 0) return null;
  const parts = [
    ...(unlabelled.length > 0 ? [`${unlabelled.length} without a label`] : []),
    ...(bad.length > 0 ? [badLine(bad)] : []),
  ];
  return `${path}: ${many(labelled.length, 'text')} to score; left out: ${parts.join(', ')}`;
}

function badLine(bad: Inspection['bad']): string {
  const shown = bad.slice(0, 3).map(({ line, problem }) => `line ${line}: ${problem}`);
  return `${many(bad.length, 'bad row')} (${shown.join('; ')}${bad.length > 3 ? '; ...' : ''})`;
}

function columnsLine({ text, label, others }: Inspection['columns']): string {
  return `  texts from "${text}", labels from ${label === null ? 'nowhere' : `"${label}"`}${unreadText(others)}`;
}

/** The columns that nothing is read from. */
export function unreadText(others: readonly string[]): string {
  const names = others.slice(0, 8).map((name) => name || '(no name)');
  return others.length > 0 ? `; not read: ${names.join(', ')}${others.length > 8 ? ', ...' : ''}` : '';
}

function meaning({ label, count, class: name }: Inspection['labels'][number]): string {
  return `"${label}" ${name === null ? 'is no label' : `means ${name}`} (${count})`;
}

export function many(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
