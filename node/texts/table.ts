/** @file The records of a data file, of whatever kind: names with values, each with its line; what is malformed beside them. */
import { parse } from 'csv-parse/sync';
import { messageOf, UserError } from '../errors.ts';
import { isDeeper } from '../formats/json.ts';
import { foldName } from './columns.ts';

export interface BadRow {
  readonly line: number;
  readonly problem: string;
}

export interface Source {
  /** The names of a header; of JSON every key that occurs. */
  readonly names: readonly string[];
  readonly records: readonly SourceRecord[];
  readonly bad: readonly BadRow[];
  /** What was unusual about the file and read nonetheless. */
  readonly notes: readonly string[];
}

export interface SourceRecord {
  readonly line: number;
  readonly values: ReadonlyMap<string, unknown>;
}

type Reader = (content: string, path: string, isText: (name: string) => boolean) => Source;

const READERS: readonly (readonly [ending: RegExp, read: Reader])[] = [
  [/\.tsv$/i, readTsv],
  [/\.csv$/i, readCsv],
  [/\.(jsonl|ndjson|json)$/i, readJson],
];

/**
 * Reads by the file's ending. `isText` says whether a name can be that of the texts, which tells separators apart; bare texts are
 * read where `allowsBare`.
 */
export function readSource(
  content: string,
  path: string,
  isText: (name: string) => boolean,
  allowsBare = false,
): Source {
  const name = path.replace(/\.gz$/i, '');
  if (allowsBare && /\.txt$/i.test(name)) return readBare(content);
  const read = READERS.find(([ending]) => ending.test(name))?.[1];
  if (read) return read(content, path, isText);
  throw new UserError('usage', `${path}: unknown kind of file; wanted .tsv, .csv, .json or .jsonl (plain or .gz)`);
}

interface Line {
  readonly cells: readonly string[];
  readonly line: number;
}

/** Texts with blank lines between them. */
function readBare(content: string): Source {
  const records: SourceRecord[] = [];
  let [lines, first]: [string[], number] = [[], 1];
  for (const [i, line] of [...content.split(/\r\n|\n|\r/), ''].entries()) {
    if (line.trim() !== '') {
      if (lines.length === 0) first = i + 1;
      lines.push(line);
    } else if (lines.length > 0) {
      records.push({ line: first, values: new Map([['text', lines.join('\n')]]) });
      lines = [];
    }
  }
  return { names: ['text'], records, bad: [], notes: ['blank lines part its texts'] };
}

/** No quoting: a tab ends a field and a line end a row. The last column may hold quotes and anything but tabs. */
function readTsv(content: string, path: string, isText: (name: string) => boolean): Source {
  const notes: string[] = [];
  const old = /\r(?!\n)/.test(content);
  const lines = content.split(old && !content.includes('\n') ? '\r' : /\r?\n/);
  if (old && !content.includes('\n')) notes.push('its lines end in CR alone, as old Macs wrote them');
  const header = lines.find((line) => line.trim() !== '') ?? '';
  const columns = header.split('\r', 1)[0]!.split('\t').length;
  const other = [';', ','].find((separator) => columns === 1 && header.split(separator).some(isText));
  if (other && !isText(header))
    throw new UserError('usage', `${path}:1: the header is separated by "${other}", not by tabs; name the file .csv`);
  const bad: BadRow[] = [];
  const rows = lines.flatMap((line, i): Line[] => {
    if (line === '') return [];
    const parts = line.split('\r').filter((part) => part !== '');
    if (parts.length < 2 || (columns > 1 && line.split('\t').length === columns))
      return [{ cells: line.split('\t'), line: i + 1 }];
    // A lone CR: a line end where that gives rows of the right width, and never where nothing can tell.
    if (columns > 1 && parts.every((part) => part.split('\t').length === columns)) {
      if (!notes.includes(MIXED)) notes.push(MIXED);
      return parts.map((part) => ({ cells: part.split('\t'), line: i + 1 }));
    }
    bad.push({ line: i + 1, problem: 'a lone carriage return within the line; wanted one kind of line end' });
    return [];
  });
  const quoted = rows.filter(({ cells }) => cells.some((cell) => /^"(?:[^"]|"")*"$/.test(cell.trim()))).length;
  if (2 * quoted > rows.length - 1)
    notes.push(`${quoted} of its rows hold quoted cells, whose quotes are kept: a .tsv has no quoting, a .csv has`);
  return fromTable(rows, { notes, bad });
}

/** Chats, the deepest there are, have three. */
const MAX_DEPTH = 20;
const MIXED = 'some of its lines end in CR alone';

function readCsv(content: string, path: string, isText: (name: string) => boolean): Source {
  const notes: string[] = [];
  const told = /^sep=(.)\r?\n/i.exec(content);
  const body = told ? content.slice(told[0].length) : content;
  const header = /[^\r\n]*/.exec(body.trimStart())![0];
  const fits = (separator: string): boolean =>
    header.split(separator).some((cell) => isText(cell.trim().replace(/^"(.*)"$/, '$1')));
  const delimiter = told?.[1] ?? [',', ';', '\t', '|'].find(fits) ?? ',';
  if (delimiter !== ',') notes.push(`it is separated by ${delimiter === '\t' ? 'tabs' : `"${delimiter}"`}`);
  if (/\r(?!\n)/.test(body.replace(/"[^"]*"/g, '')))
    notes.push(body.includes('\n') ? MIXED : 'its lines end in CR alone, as old Macs wrote them');
  try {
    const records = parse(body, {
      info: true,
      delimiter,
      record_delimiter: ['\r\n', '\n', '\r'],
      relax_column_count: true,
      skip_empty_lines: true,
    }) as unknown as { record: string[]; info: { lines: number } }[];
    const rows = records.map(({ record, info }) => ({ cells: record, line: info.lines + (told ? 1 : 0) }));
    return fromTable(rows, { notes, bad: [] });
  } catch (error) {
    // A quote out of place may swallow any number of rows after it, so none of them can be skipped.
    const line = ((error as { lines?: number }).lines ?? 1) + (told ? 1 : 0);
    throw new UserError('usage', `${path}:${line}: not CSV (${messageOf(error)})`);
  }
}

/** Rows of a table whose first names the columns. */
function fromTable(table: readonly Line[], { notes, bad }: { notes: string[]; bad: BadRow[] }): Source {
  const [header, ...body] = table;
  const names = (header?.cells ?? []).map((cell) => cell.replaceAll('\ufeff', '').trim());
  let trailing = 0;
  const records = body.flatMap(({ cells, line }): SourceRecord[] => {
    const isLonger = cells.length > names.length && cells.slice(names.length).every((cell) => cell.trim() === '');
    if (isLonger) trailing++;
    if (isLonger || cells.length === names.length)
      return [{ line, values: new Map(names.map((name, i) => [name, cells[i]])) }];
    bad.push({ line, problem: `${cells.length} columns; wanted ${names.length} as in the header` });
    return [];
  });
  if (trailing > 0) notes.push(`${trailing} of its rows end in separators that the header has not`);
  return { names, records, bad, notes };
}

/** JSON lines, or one array of objects. */
function readJson(content: string, path: string): Source {
  const bad: BadRow[] = [];
  const names = new Map<string, string>();
  const take = (value: unknown, line: number): SourceRecord[] => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      bad.push({ line, problem: 'not an object; wanted {"text": ..., "label": ...}' });
      return [];
    }
    if (isDeeper(value, MAX_DEPTH)) {
      bad.push({ line, problem: `nested deeper than ${MAX_DEPTH} levels; wanted texts` });
      return [];
    }
    for (const key of Object.keys(value)) if (!names.has(foldName(key))) names.set(foldName(key), key);
    return [{ line, values: new Map(Object.entries(value)) }];
  };
  if (content.trimStart().startsWith('[')) {
    const values = parseArray(content, path);
    const lines = elementsOf(content);
    const records = values.flatMap((value, i) => {
      const { line, twice } = lines[i] ?? { line: 1, twice: null };
      if (twice === null) return take(value, line);
      bad.push({ line, problem: `key "${twice}" stands twice; wanted one` });
      return [];
    });
    return { names: [...names.values()], records, bad, notes: [] };
  }
  const records = content.split(/\r\n|\n|\r/).flatMap((source, i) => {
    if (source.trim() === '') return [];
    try {
      const value: unknown = JSON.parse(source);
      const twice = repeatedKey(source, value);
      if (twice === null) return take(value, i + 1);
      bad.push({ line: i + 1, problem: `key "${twice}" stands twice; wanted one` });
    } catch {
      bad.push({ line: i + 1, problem: 'not JSON' });
    }
    return [];
  });
  if (records.length === 0 && bad.length > 1)
    throw new UserError('usage', `${path}:${bad[0]!.line}: not JSON; wanted an object a line, or one array of objects`);
  return { names: [...names.values()], records, bad, notes: [] };
}

function parseArray(content: string, path: string): unknown[] {
  try {
    return JSON.parse(content) as unknown[];
  } catch (error) {
    const at = /position (\d+)/.exec(messageOf(error))?.[1];
    const line = at === undefined ? content.split('\n').length : content.slice(0, Number(at)).split('\n').length;
    throw new UserError('usage', `${path}:${line}: not JSON (${messageOf(error).split('\n')[0]})`);
  }
}

interface Element {
  /** Where it begins. */
  readonly line: number;
  /** A key that it has twice, which JSON.parse passes over. */
  twice: string | null;
}

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"(?:\s*:)?|\r\n|[\n\r]|[[\]{}]|,|[^\s"[\]{},]+/gs;

/** The elements of a JSON array. */
function elementsOf(content: string): Element[] {
  const elements: Element[] = [];
  const keys = new Set<string>();
  let [depth, line, isOpen] = [0, 1, false];
  for (const [token] of content.matchAll(TOKEN)) {
    if (token === '\n' || token === '\r\n' || token === '\r') {
      line++;
      continue;
    }
    if (depth === 1 && token === ',') isOpen = false;
    else if (depth === 1 && token !== ']' && !isOpen) {
      elements.push({ line, twice: null });
      keys.clear();
      isOpen = true;
    } else if (depth === 2 && token.endsWith(':') && token.startsWith('"')) {
      const key = keyOf(token);
      if (keys.has(key)) elements.at(-1)!.twice ??= key;
      keys.add(key);
    }
    if (token.endsWith(':')) line += token.split(/\r\n|\n|\r/).length - 1;
    if (token === '[' || token === '{') depth++;
    else if (token === ']' || token === '}') depth--;
  }
  return elements;
}

/** A key that the object of a line has twice; looked for only where there are more keys than it came to. */
function repeatedKey(source: string, value: unknown): string | null {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return null;
  let found = 0;
  for (let at = source.indexOf(':'); at >= 0; at = source.indexOf(':', at + 1)) found++;
  return found > Object.keys(value).length ? (elementsOf(`[${source}]`)[0]?.twice ?? null) : null;
}

function keyOf(token: string): string {
  return JSON.parse(token.slice(0, -1)) as string;
}
