/** @file Reads texts with optional labels from TSV, CSV or JSON, plain or gzipped; bad rows are counted and named by line. */
import { UserError } from '../errors.ts';
import { type Columns, findColumns, foldName, looksLikeLabel } from './columns.ts';
import { type LabelMap, type Labels, readLabels } from './labels.ts';
import { type BadRow, readSource, type SourceRecord } from './table.ts';
import { readText } from './textfile.ts';
import { type Form, type FormColumns, findForm, readWriting, type Writing, wholeText } from './writings.ts';

export interface Row {
  /** All of it, where it is more than one text. */
  readonly text: string;
  /** As it stands in the file; null where there is none. */
  readonly label: string | null;
  readonly line: number;
  /** Where it is more than one text. */
  readonly writing?: Writing;
}

export interface Example {
  readonly text: string;
  /** The class, from 0. */
  readonly y: number;
}

/** How a file is to be read, where its own names do not say. */
export interface DataOptions {
  readonly textColumn?: string;
  /** 'none': there are no labels. */
  readonly labelColumn?: string;
  readonly labelMap?: LabelMap;
  /** Leaves bad rows out, of which there is a count; without it they are refused. */
  readonly skipBadRows?: boolean;
  /** What is learned of its rows, classes by default; null: nothing says yet, and its names tell. */
  readonly objective?: string | null;
}

/** A file as it was read; its bad rows are not refused yet. */
export interface DataFile {
  readonly path: string;
  readonly rows: readonly Row[];
  readonly bad: readonly BadRow[];
  readonly form: Form;
  readonly columns: Columns;
  readonly notes: readonly string[];
}

/** The rows of a file with the classes their labels name. */
export interface LabelledFile {
  readonly labelled: Example[];
  readonly unlabelled: string[];
  /** The class of every row that is kept, in their order; null where there is none. */
  readonly items: readonly { readonly text: string; readonly y: number | null }[];
  /** What was left out. */
  readonly bad: readonly BadRow[];
  /** Each label of the file, how often, and the class it names; null: none. */
  readonly labels: readonly { readonly label: string; readonly count: number; readonly y: number | null }[];
}

/** Reads a file. Throws a UserError where it cannot be read as a whole; rows that are bad are listed. */
export function openData(path: string, options: DataOptions = {}): DataFile {
  const { objective = 'classify' } = options;
  const isText = (name: string): boolean => {
    try {
      return findColumns([name], path, { ...options, labelColumn: 'none' }).text === name;
    } catch {
      return false;
    }
  };
  const source = readSource(readText(path), path, isText, objective !== 'classify');
  if (source.records.length === 0 && source.bad.length === 0)
    throw new UserError('usage', `${path}: holds no rows; wanted a text a row and an optional label`);
  if (source.records.length === 0 && source.names.length === 0) refuseBad(path, source.bad, 0);
  const { form, ...columns } = columnsOf(source.names, path, options);
  const bad = [...source.bad];
  const labelKeys = keysBesideLabels(source.records, columns);
  const rows = source.records.flatMap((record): Row[] => {
    const row = readRow(record, { form, ...columns }, labelKeys);
    if (typeof row !== 'string') return [row];
    bad.push({ line: record.line, problem: row });
    return [];
  });
  bad.sort((a, b) => a.line - b.line);
  return { path, rows, bad, form, columns, notes: source.notes };
}

/** Rows of a program, as if they were those of a file called `name`. Throws a UserError where there are none, or one has no text. */
export function dataOf(
  given: readonly { readonly text: string; readonly label?: string | null }[],
  name: string,
): DataFile {
  if (given.length === 0)
    throw new UserError('usage', `${name}: holds no rows; wanted a text a row and an optional label`);
  const bad = given.flatMap(({ text }, i) =>
    typeof text === 'string' && text.trim() !== ''
      ? []
      : [{ line: i + 1, problem: 'text is missing; wanted some text' }],
  );
  refuseBad(name, bad, 0);
  const rows = given.map(({ text, label = null }, i): Row => ({ text, label, line: i + 1 }));
  return { path: name, rows, bad, form: 'text', columns: { text: 'text', label: 'label', others: [] }, notes: [] };
}

function columnsOf(names: readonly string[], path: string, options: DataOptions): FormColumns {
  const { objective = 'classify', textColumn } = options;
  if (objective !== 'classify' && objective !== null) return findForm(names, path, textColumn);
  try {
    return { form: 'text', ...findColumns(names, path, options) };
  } catch (error) {
    const isWriting = names.some((name) => ['messages', 'completion'].includes(foldName(name)));
    if (!isWriting || !(error instanceof UserError)) throw error;
    if (objective === null) return findForm(names, path, textColumn);
    throw new UserError(error.mistake, `${error.message}; to learn to write as they do: --objective next-token`);
  }
}

/** The rows of a file, in order. Throws a UserError that counts the bad ones, unless they are to be skipped. */
export function readRows(path: string, options: DataOptions = {}): Row[] {
  return [...goodRows(openData(path, options), options)];
}

/** The rows of an opened file. Throws a UserError that counts the bad ones, unless they are to be skipped. */
export function goodRows({ path, rows, bad }: DataFile, options: DataOptions): readonly Row[] {
  if (!options.skipBadRows) refuseBad(path, bad, rows.length);
  if (rows.length === 0) refuseBad(path, bad, 0);
  return rows;
}

/** The texts of rows with their classes. Throws a UserError on labels that name no class, unless such rows are skipped. */
export function splitRows(
  rows: readonly Row[],
  path: string,
  task: { readonly classes: readonly string[] },
  options: DataOptions = {},
): { labelled: Example[]; unlabelled: string[] } {
  return labelData({ path, rows, bad: [] }, task, options);
}

/** The same of a file; bad rows and labels that name no class are counted together. */
export function labelData(
  { path, rows, bad: malformed }: Pick<DataFile, 'path' | 'rows' | 'bad'>,
  task: { readonly classes: readonly string[] },
  options: DataOptions = {},
): LabelledFile {
  const all = rows.flatMap(({ label }) => (label === null ? [] : [label]));
  const labels = readLabels(all, task.classes, path, options.labelMap ?? new Map());
  const bad = [...malformed];
  const items = rows.flatMap(({ text, label, line }) => {
    const y = label === null ? null : labels.of(label);
    if (y !== undefined) return [{ text, y }];
    bad.push({ line, problem: `label "${label}" is no class` });
    return [];
  });
  bad.sort((a, b) => a.line - b.line);
  const labelled = items.flatMap(({ text, y }) => (y === null ? [] : [{ text, y }]));
  const nothingLeft = items.length === 0 || (all.length > 0 && labelled.length === 0 && bad.length > malformed.length);
  if (bad.length > 0 && (!options.skipBadRows || nothingLeft)) refuseBad(path, bad, items.length, labels.hint);
  return {
    labelled,
    unlabelled: items.flatMap(({ text, y }) => (y === null ? [text] : [])),
    items,
    bad,
    labels: meaningOf(labels),
  };
}

function meaningOf(labels: Labels): LabelledFile['labels'] {
  return labels.counts.flatMap(([label, count]) => {
    const y = labels.of(label);
    return y === undefined ? [] : [{ label, count, y }];
  });
}

/** How many bad rows are shown. */
const SHOWN = 3;

function refuseBad(path: string, bad: readonly BadRow[], good: number, hint = ''): void {
  if (bad.length === 0) return;
  const shown = bad.slice(0, SHOWN).map(({ line, problem }) => `${path}:${line}: ${problem}`);
  const count = bad.length === 1 ? '' : `; ${bad.length} of ${bad.length + good} rows are bad`;
  const skip = good > 0 ? '; or leave bad rows out: --skip-bad-rows' : '';
  throw new UserError('usage', `${shown.join('; ')}${count}${hint && `; ${hint}`}${skip}`);
}

/** Keys that occur beside a label, and so are not a label misspelt. */
function keysBesideLabels(records: readonly SourceRecord[], { label, others }: Columns): ReadonlySet<string> {
  if (others.length === 0 || label === null) return new Set(others.map(foldName));
  const beside = records.filter(({ values }) => valueUnder(values, label) !== undefined);
  return new Set(beside.flatMap(({ values }) => [...values.keys()].map(foldName)));
}

/** A row, or what is wrong with it. */
function readRow({ line, values }: SourceRecord, columns: FormColumns, beside: ReadonlySet<string>): Row | string {
  if (columns.form !== 'text') {
    const writing = readWriting(columns.form, (name) => valueUnder(values, name));
    return typeof writing === 'string' ? writing : { text: wholeText(writing), label: null, line, writing };
  }
  const text = valueUnder(values, columns.text);
  if (text === TWICE) return `two keys are named ${foldName(columns.text)}; wanted one`;
  if (typeof text !== 'string' || text.trim() === '')
    return `text is ${text === undefined ? 'missing' : JSON.stringify(text)}; wanted some text`;
  if (columns.label === null) return { text, label: null, line };
  const label = valueUnder(values, columns.label);
  if (label === TWICE) return `two keys are named ${foldName(columns.label)}; wanted one`;
  if (label === undefined) {
    const other = [...values.keys()].find((key) => !beside.has(foldName(key)) && looksLikeLabel(key, columns.label));
    if (other !== undefined) return `key "${other}" where other rows have "${columns.label}"; wanted one name`;
  }
  if (label !== undefined && label !== null && !['string', 'number', 'boolean'].includes(typeof label))
    return 'label is neither text nor number';
  const trimmed = label === undefined || label === null ? '' : String(label).trim();
  return { text, label: trimmed === '' ? null : trimmed, line };
}

const TWICE = Symbol('two keys of one name');

/** The value under a name, whatever its capitals. */
function valueUnder(values: ReadonlyMap<string, unknown>, name: string): unknown {
  const keys = [...values.keys()].filter((key) => key === name || foldName(key) === foldName(name));
  return keys.length > 1 ? TWICE : values.get(keys[0] ?? '');
}
