/** @file Reads texts with optional labels from TSV, CSV or JSON lines, plain or gzipped; a bad row is named by file and line. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { parse } from 'csv-parse/sync';
import { messageOf, UserError } from '../errors.ts';

export interface Row {
  readonly text: string;
  /** As it stands in the file; null where there is none. */
  readonly label: string | null;
  readonly line: number;
}

/** The rows of a file, in order. Throws a UserError with file and line on the first that is malformed. */
export function readRows(path: string): Row[] {
  const name = path.replace(/\.gz$/, '');
  const content = readText(path);
  const read = name.endsWith('.tsv')
    ? readTsv
    : name.endsWith('.csv')
      ? readCsv
      : /\.jsonl?$|\.ndjson$/.test(name)
        ? readJsonl
        : null;
  if (!read) throw new UserError('usage', `${path}: unknown kind of file; wanted .tsv, .csv or .jsonl (plain or .gz)`);
  const rows = read(content, path);
  if (rows.length === 0)
    throw new UserError('usage', `${path}: holds no rows; wanted a text a row and an optional label`);
  return rows;
}

/** Parts of the rows: those with a class, and the texts without. Throws on a label that names no class. */
export function splitRows(
  rows: readonly Row[],
  path: string,
  task: { classOf(label: string): number | null; classes: readonly string[] },
): { labelled: Example[]; unlabelled: string[] } {
  const labelled: Example[] = [];
  const unlabelled: string[] = [];
  for (const { text, label, line } of rows) {
    if (label === null) {
      unlabelled.push(text);
      continue;
    }
    const y = task.classOf(label);
    if (y === null)
      fail(path, line, `label "${label}"; wanted ${task.classes.join(', ')} or 0 to ${task.classes.length - 1}`);
    else labelled.push({ text, y });
  }
  return { labelled, unlabelled };
}

export interface Example {
  readonly text: string;
  /** The class, from 0. */
  readonly y: number;
}

/** A UTF-8 file, plain or gzipped. Throws a UserError on anything else. */
export function readText(path: string): string {
  try {
    const bytes = readFileSync(path);
    return new TextDecoder('utf-8', { fatal: true }).decode(path.endsWith('.gz') ? gunzipSync(bytes) : bytes);
  } catch (error) {
    throw new UserError('usage', `${path}: cannot be read (${messageOf(error)}); wanted a UTF-8 file of texts`);
  }
}

/** No quoting: a tab ends a field and a line end a row. The last column may hold quotes and anything but tabs. */
function readTsv(content: string, path: string): Row[] {
  const lines = content.split(/\r?\n/);
  return fromTable(
    lines.flatMap((line, i) => (line === '' ? [] : [{ cells: line.split('\t'), line: i + 1 }])),
    path,
  );
}

function readCsv(content: string, path: string): Row[] {
  try {
    const records = parse(content, {
      bom: true,
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
    }) as unknown as {
      record: string[];
      info: { lines: number };
    }[];
    return fromTable(
      records.map(({ record, info }) => ({ cells: record, line: info.lines })),
      path,
    );
  } catch (error) {
    if (error instanceof UserError) throw error;
    const line = (error as { lines?: number }).lines ?? 1;
    return fail(path, line, `not CSV (${messageOf(error)})`);
  }
}

function readJsonl(content: string, path: string): Row[] {
  return content.split(/\r?\n/).flatMap((source, i) => {
    if (source.trim() === '') return [];
    let value: unknown;
    try {
      value = JSON.parse(source);
    } catch {
      return fail(path, i + 1, 'not JSON');
    }
    const { text, label } = (value ?? {}) as { text?: unknown; label?: unknown };
    if (label !== undefined && label !== null && typeof label !== 'string' && typeof label !== 'number')
      fail(path, i + 1, 'label is neither text nor number');
    return [row(text, label ?? null, path, i + 1)];
  });
}

/** Rows of a table whose first row names the columns `text` and, where there are labels, `label`. */
function fromTable(table: readonly { cells: readonly string[]; line: number }[], path: string): Row[] {
  const [header, ...body] = table;
  const names = (header?.cells ?? []).map((cell) =>
    cell
      .trim()
      .toLowerCase()
      .replace(/^\ufeff/, ''),
  );
  const [textColumn, labelColumn] = [names.indexOf('text'), names.indexOf('label')];
  for (const name of ['text', 'label']) {
    if (names.indexOf(name) !== names.lastIndexOf(name)) fail(path, 1, `two columns are named ${name}; wanted one`);
  }
  if (textColumn < 0)
    fail(
      path,
      1,
      `columns are ${names.slice(0, 5).join(', ') || 'none'}; wanted a header with text and, where there are labels, label`,
    );
  return body.map(({ cells, line }) => {
    if (cells.length !== names.length)
      fail(path, line, `${cells.length} columns; wanted ${names.length} as in the header`);
    return row(cells[textColumn], labelColumn < 0 ? null : cells[labelColumn]!, path, line);
  });
}

function row(text: unknown, label: string | number | null, path: string, line: number): Row {
  if (typeof text !== 'string' || text.trim() === '')
    fail(path, line, `text is ${text === undefined ? 'missing' : JSON.stringify(text)}; wanted some text`);
  const trimmed = label === null ? '' : String(label).trim();
  return { text: text as string, label: trimmed === '' ? null : trimmed, line };
}

function fail(path: string, line: number, problem: string): never {
  throw new UserError('usage', `${path}:${line}: ${problem}`);
}
