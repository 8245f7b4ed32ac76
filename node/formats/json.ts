/** @file A JSON file that holds one object, each name once. */
import { messageOf, UserError } from '../errors.ts';
import { readBounded } from './bounded.ts';

/** A configuration of the largest models has tens of kilobytes, with names for every label some megabytes. */
const MAX_BYTES = 8_000_000;
/** Deeper than any file that is read here; more would fill the stack of whoever walks through it. */
const MAX_DEPTH = 100;

/** Reads it, up to `most` bytes. Throws a UserError: the path, what is wrong, and what was wanted instead. */
export function readJsonObject(path: string, wanted: string, most = MAX_BYTES): Record<string, unknown> {
  const fail = (problem: string): never => {
    throw new UserError('usage', `${path}: ${problem}; wanted ${wanted}`);
  };
  let text = '';
  let value: unknown;
  try {
    text = new TextDecoder().decode(readBounded(path, most));
    value = JSON.parse(text);
  } catch (error) {
    fail(`cannot be read (${messageOf(error).split('\n')[0]})`);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return fail('holds no JSON object');
  const { twice, depth } = lookOver(text);
  if (depth > MAX_DEPTH) return fail(`is nested deeper than ${MAX_DEPTH} levels`);
  return twice === null ? (value as Record<string, unknown>) : fail(`${twice} stands twice`);
}

/** Whether a value lies deeper than `most` levels, or within itself. */
export function isDeeper(value: unknown, most: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return most === 0 || Object.values(value).some((inner) => isDeeper(inner, most - 1));
}

/** The first key that an object's text has twice, which JSON.parse passes over; of the outermost object only. */
export function repeatedKey(text: string): string | null {
  return lookOver(text).twice;
}

/** What JSON.parse does not tell of a text that it takes; a loop, since no stack is deep enough for any text. */
function lookOver(text: string): { twice: string | null; depth: number } {
  const seen = new Set<string>();
  let twice: string | null = null;
  let [depth, deepest] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '{' || character === '[') deepest = Math.max(deepest, ++depth);
    else if (character === '}' || character === ']') depth -= 1;
    if (character !== '"') continue;
    const end = endOfString(text, at);
    if (depth === 1 && twice === null && isKey(text, end)) {
      const key = JSON.parse(text.slice(at, end)) as string;
      if (seen.has(key)) twice = key;
      seen.add(key);
    }
    at = end - 1;
  }
  return { twice, depth: deepest };
}

/** Behind the quote that ends the string that begins at `begin`. */
function endOfString(text: string, begin: number): number {
  for (let at = begin + 1; at < text.length; at++) {
    if (text[at] === '"') return at + 1;
    if (text[at] === '\\') at += 1;
  }
  return text.length;
}

function isKey(text: string, end: number): boolean {
  let at = end;
  while (' \t\r\n'.includes(text[at] ?? '-')) at += 1;
  return text[at] === ':';
}
