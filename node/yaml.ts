/** @file Reads YAML, here alone: what a file holds, and the line each field stands in. */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parse,
  parseDocument,
  visit,
} from 'yaml';
import { messageOf, UserError } from './errors.ts';
import { readBounded } from './formats/bounded.ts';
import { isDeeper } from './formats/json.ts';
import type { Path } from './schema.ts';
import type { Source } from './source.ts';

/** Larger than any file of settings, and read in no time. */
const MAX_BYTES = 128_000;
/** Deeper than any field lies; an alias within what it stands for has no end. */
const MAX_DEPTH = 50;
const TOO_DEEP = `is nested deeper than ${MAX_DEPTH} levels, or within itself`;
/** Of what stands in a line, so that the message is one. */
const SHOWN_CHARACTERS = 80;

export interface YamlFile {
  readonly given: Record<string, unknown>;
  readonly source: Source;
}

/** A file of fields. Throws a UserError that says why it cannot be read, and in which line; `wanted` is what would do. */
export function readYaml(path: string, wanted: string): YamlFile {
  let text: string;
  try {
    text = new TextDecoder().decode(readBounded(path, MAX_BYTES));
  } catch (error) {
    return refuseText(path, `cannot be read (${messageOf(error)})`, wanted);
  }
  return readYamlText(text, path, wanted);
}

/** The same of a text, that `path` is to be called. */
export function readYamlText(text: string, path: string, wanted: string): YamlFile {
  try {
    return parseText(text, path, wanted);
  } catch (error) {
    if (error instanceof RangeError) return refuseText(path, TOO_DEEP, wanted);
    throw error;
  }
}

function parseText(text: string, path: string, wanted: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const lineAt = (offset: number): number => lines.linePos(offset).line;
  const wrong = document.errors[0] ?? document.warnings[0];
  if (wrong) {
    const rows = text.split('\n').map((row) => row.trim());
    let line = Math.min(lineAt(wrong.pos[0]), rows.length);
    while (line > 1 && rows[line - 1] === '') line--; // what is not closed shows at the end
    const said = rows[line - 1]!;
    const hint = said !== '' && !said.includes(':') ? '; is a colon missing?' : '';
    const why = wrong.message.split('\n')[0]!.slice(0, SHOWN_CHARACTERS);
    if (/call stack/.test(wrong.message)) refuseText(path, TOO_DEEP, wanted);
    refuseText(
      `${path}:${line}`,
      `got ${JSON.stringify(said.slice(0, SHOWN_CHARACTERS))}, which is no YAML (${why})${hint}`,
      wanted,
    );
  }
  const astray = aliasWithoutAnchor(document);
  if (astray)
    refuseText(
      `${path}:${lineAt(astray.range![0])}`,
      `got *${astray.source}, and nothing is named &${astray.source}`,
      wanted,
    );
  const source: Source = {
    path,
    placeOf: (field) => {
      const node = nodeOf(document, field);
      if (!node?.range) return { text: path, line: 0 };
      const line = lineAt(node.range[0]);
      return { text: `${path}:${line}`, line };
    },
  };
  let given: unknown;
  try {
    given = document.toJS();
  } catch (error) {
    return refuseText(path, messageOf(error), wanted);
  }
  if (isDeeper(given, MAX_DEPTH)) return refuseText(path, TOO_DEEP, wanted);
  if (typeof given === 'object' && given !== null && !Array.isArray(given))
    return { given: given as Record<string, unknown>, source };
  return refuseText(path, 'holds no fields', wanted);
}

function refuseText(where: string, problem: string, wanted: string): never {
  throw new UserError('usage', `${where}: ${problem}; wanted ${wanted}`);
}

function aliasWithoutAnchor(document: Document.Parsed): Alias | null {
  let found: Alias | null = null;
  visit(document, {
    Alias: (_key, alias) => {
      if (alias.resolve(document)) return undefined;
      found = alias;
      return visit.BREAK;
    },
  });
  return found;
}

/** A value as YAML has it, as flags give it. Throws where it is none. */
export function readYamlValue(text: string): unknown {
  const value: unknown = parse(text);
  if (isDeeper(value, MAX_DEPTH)) throw new Error(TOO_DEEP);
  return value;
}

/** The name of the field a path ends at, the item where it ends in a list, or the nearest there is around it. */
function nodeOf(document: Document.Parsed, path: Path): Node | null {
  let found: Node | null = null;
  let at: unknown = document.contents;
  for (const step of path) {
    if (isAlias(at)) at = at.resolve(document);
    if (isMap(at)) {
      const pair = at.items.find(({ key }) => String(isScalar(key) ? (key.value ?? '') : key) === String(step));
      if (!pair) break;
      if (isNode(pair.key)) found = pair.key;
      at = pair.value;
    } else if (isSeq(at)) {
      at = at.items[Number(step)];
      if (!isNode(at)) break;
      found = at;
    } else break;
  }
  return found;
}
