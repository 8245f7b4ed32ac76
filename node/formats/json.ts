/** @file A JSON file that holds one object, each name once. */
import { readFileSync } from 'node:fs';
import { messageOf, UserError } from '../errors.ts';

/** Reads it. Throws a UserError: the path, what is wrong, and what was wanted instead. */
export function readJsonObject(path: string, wanted: string): Record<string, unknown> {
  const fail = (problem: string): never => {
    throw new UserError('usage', `${path}: ${problem}; wanted ${wanted}`);
  };
  let text = '';
  let value: unknown;
  try {
    text = readFileSync(path, 'utf8').replace(/^\ufeff/, '');
    value = JSON.parse(text);
  } catch (error) {
    fail(`cannot be read (${messageOf(error).split('\n')[0]})`);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return fail('holds no JSON object');
  const twice = repeatedKey(text);
  return twice === null ? (value as Record<string, unknown>) : fail(`${twice} stands twice`);
}

/** The first key that an object's text has twice, which JSON.parse passes over; of the outermost object only. */
export function repeatedKey(text: string): string | null {
  const seen = new Set<string>();
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]]/g)) {
    if (token === '{' || token === '[') depth += 1;
    else if (token === '}' || token === ']') depth -= 1;
    else if (depth === 1 && token.endsWith(':')) {
      const key = JSON.parse(token.slice(0, -1)) as string;
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
  return null;
}
