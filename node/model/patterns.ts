/**
 * @file Regular expressions of PEFT's configurations, which are Python's: where JavaScript's mean the same they are matched,
 * else refused. They come from anybody's file, so that they run with an end.
 */
import { runInNewContext } from 'node:vm';
import { UserError } from '../errors.ts';

/** Against an expression that would go on for ever on a name, as some do (ms). */
const MOST_TIME_MS = 10_000;
const MOST_PATTERNS = 20_000;
const MOST_CHARACTERS = 10_000;

/** `fullmatch` of Python. */
export function wholly(pattern: string): string {
  return `^(?:${pattern})$`;
}

/** The whole name, or what stands after one of its dots: `get_pattern_key` of PEFT. */
export function atEnd(pattern: string): string {
  return `^(.*\\.)?(${pattern})$`;
}

/**
 * For each name the first of the expressions that matches it, or -1. With the flag u an escape or a bracket that Python takes
 * otherwise is a mistake to JavaScript. Throws a UserError, `where` before it, on what is no expression or takes too long.
 */
export function firstMatches(expressions: readonly string[], names: readonly string[], where: string): number[] {
  const fail = (problem: string): never => {
    throw new UserError('usage', `${where} ${problem}; wanted module names or simple regular expressions`);
  };
  if (expressions.length > MOST_PATTERNS) fail(`has ${expressions.length} patterns`);
  const long = expressions.find((expression) => expression.length > MOST_CHARACTERS);
  if (long !== undefined) fail(`has a pattern of ${long.length} characters`);
  const program = `const all = expressions.map((one) => new RegExp(one, 'u'));
    names.map((name) => all.findIndex((one) => one.test(name)))`;
  try {
    return [...runInNewContext(program, { expressions, names }, { timeout: MOST_TIME_MS })];
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    return fail(
      code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
        ? 'has a pattern that takes too long'
        : `cannot be understood (${String(message).slice(0, 120)})`,
    );
  }
}
