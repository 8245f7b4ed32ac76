/** @file What a field of a file accepts: built with zod, here alone; checked with words for people, told to editors as JSON Schema. */
import { z } from 'zod';
import { nearest } from './nearest.ts';

/** What a value must be. */
export type Schema<T = unknown> = z.ZodType<T>;

/** Field names and places in lists, from the outermost. */
export type Path = readonly (string | number)[];

/** One thing that is wrong with a value. */
export interface Mistake {
  readonly path: Path;
  /** Whether the name at the end of the path is wrong, not what it holds. */
  readonly isName: boolean;
  /** Got and wanted, in words. */
  readonly problem: string;
}

/** In words, by schema: what is wanted. */
const words = z.registry<{ wanted: string }>();

function say<T extends z.ZodType>(schema: T, wanted: string): T {
  words.add(schema, { wanted });
  return schema;
}

/** What a schema wants, in words; empty where nobody has said. */
export function wantedBy(schema: Schema): string {
  return words.get(schema)?.wanted ?? '';
}

/** A number within bounds; infinity bounds nothing. */
export function numberFrom(least: number, most: number, wanted: string): Schema<number> {
  const above = Number.isFinite(least) ? z.number(wanted).min(least, wanted) : z.number(wanted);
  return say(Number.isFinite(most) ? above.max(most, wanted) : above, wanted);
}

/** A number above a bound. */
export function numberAbove(bound: number, most: number, wanted: string): Schema<number> {
  return say(z.number(wanted).gt(bound, wanted).max(most, wanted), wanted);
}

/** A whole number within bounds. */
export function wholeFrom(least: number, most: number, wanted: string): Schema<number> {
  return say(z.int(wanted).min(least, wanted).max(most, wanted), wanted);
}

/** A text that fits a pattern. */
export function textLike(pattern: RegExp, wanted: string, longest = 100_000): Schema<string> {
  return say(z.string(wanted).max(longest, wanted).regex(pattern, wanted), wanted);
}

/** true or false. */
export function truth(): Schema<boolean> {
  return say(z.boolean('true or false'), 'true or false');
}

/** One of some words. */
export function oneOf(names: readonly string[], separator = ', '): Schema<string> {
  const wanted = names.join(separator);
  return say(z.enum(names, wanted), wanted);
}

/** The one or the other; what is wanted is said of both at once. */
export function either<T>(options: readonly Schema<T>[], wanted: string): Schema<T> {
  return say(z.union(options, wanted), wanted);
}

/** The value, or nothing: null, as a field without a value has it. */
export function orNothing<T>(schema: Schema<T>): Schema<T | null> {
  return say(schema.nullable(), wantedBy(schema));
}

/** What else must hold of a value. */
export function such<T>(schema: Schema<T>, holds: (value: T) => boolean, wanted: string): Schema<T> {
  return say(schema.refine(holds, wanted), wantedBy(schema) || wanted);
}

/** A list; `least` items or more, and each once where it says so. */
export function listOf<T>(
  item: Schema<T>,
  wanted: string,
  { least = 0, isDistinct = false }: { least?: number; isDistinct?: boolean } = {},
): Schema<T[]> {
  const list = z.array(item, wanted).min(least, wanted);
  if (!isDistinct) return say(list, wanted);
  const once = list.superRefine((items, context) => {
    const names = items.map(String);
    const at = names.findIndex((name, i) => names.indexOf(name) !== i);
    if (at >= 0)
      context.addIssue({
        code: 'custom',
        path: [at],
        message: `${names[at]} stands twice; wanted each once`,
        params: { isWhole: true },
      });
  });
  return say(once, wanted);
}

/** [least, most]. */
export function rangeOf(item: Schema<number>, wanted: string): Schema<readonly [number, number]> {
  return say(
    z.tuple([item, item], wanted).refine(([low, high]) => low <= high, wanted),
    wanted,
  );
}

/** A square table of numbers. */
export function squareOf(item: Schema<number>, wanted: string): Schema<readonly (readonly number[])[]> {
  const rows = z.array(z.array(item, wanted), wanted).min(1, wanted);
  return say(
    rows.refine((table) => table.every((row) => row.length === table.length), wanted),
    wanted,
  );
}

/** A name that is known and yet has no place here; the words say where it has. */
export function elsewhere(problem: string): Schema<never> {
  return z.never(problem);
}

/** Named fields and no others; those not required may be left out. `kind` is what the names are called. */
export function fieldsOf(
  fields: Readonly<Record<string, Schema>>,
  {
    kind = 'field',
    wanted = 'name: value',
    required = [],
  }: { kind?: string; wanted?: string; required?: string[] } = {},
): Schema<Record<string, unknown>> {
  const shape = Object.fromEntries(
    Object.entries(fields).map(([name, schema]) => [name, required.includes(name) ? schema : schema.optional()]),
  );
  const known = Object.keys(fields).filter((name) => !(fields[name] instanceof z.ZodNever));
  // The words for names nobody knows are put together where each name is at hand: see `unknown`.
  const error = (issue: { code?: string }): string =>
    issue.code === 'unrecognized_keys' ? [kind, ...known].join('\n') : wanted;
  return say(z.strictObject(shape, { error }), wanted);
}

/** A schema with what editors and documents say beside it. */
export function described<T>(schema: Schema<T>, about: string, fallback?: unknown): Schema<T> {
  const more = fallback === undefined ? {} : { default: fallback };
  return say(schema.meta({ description: about, ...more }), wantedBy(schema));
}

/** All that is wrong with a value; none where nothing is. */
export function mistakesOf(schema: Schema, value: unknown): Mistake[] {
  const checked = schema.safeParse(value);
  if (checked.success) return [];
  return checked.error.issues.flatMap((issue): Mistake[] => {
    const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
    if (issue.code === 'unrecognized_keys') {
      const [kind, ...known] = issue.message.split('\n');
      return issue.keys.map((name) => ({ path: [...path, name], isName: true, problem: unknown(name, kind!, known) }));
    }
    const isWhole =
      (issue.code === 'custom' && issue.params?.isWhole) ||
      (issue.code === 'invalid_type' && issue.expected === 'never');
    const got = valueAt(value, path);
    const like =
      issue.code === 'invalid_value' && typeof got === 'string' ? nearest(got, issue.values.map(String)) : null;
    const hint = like === null ? '' : `; did you mean ${like}?`;
    return [
      { path, isName: false, problem: isWhole ? issue.message : `${gotText(got)}; wanted ${issue.message}${hint}` },
    ];
  });
}

/** Names up to which all are listed where one is unknown and none is near. */
const MAX_LISTED = 40;

function unknown(name: string, kind: string, known: readonly string[]): string {
  const like = nearest(name, known);
  if (like !== null) return `no such ${kind}; did you mean ${like}?`;
  const rest = known.length > MAX_LISTED ? `, or ${known.length - MAX_LISTED} more` : '';
  return `no such ${kind}; wanted one of ${known.slice(0, MAX_LISTED).join(', ')}${rest}`;
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, step) => (at as Record<string | number, unknown> | undefined)?.[step], value);
}

/** What was got, as JSON, cut where it is long. */
export function gotText(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value);
  return `got ${text.length > 100 ? `${text.slice(0, 97)}...` : text}`;
}

/** A path as people write it: points[2].loss. */
export function pathText(path: Path): string {
  return path.map((step, i) => (typeof step === 'number' ? `[${step}]` : i === 0 ? step : `.${step}`)).join('');
}

/** JSON Schema (draft 7, which editors read best) of what a file may hold. */
export function jsonSchemaOf(schema: Schema, title: string): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(schema, { target: 'draft-7', io: 'input', reused: 'ref' });
  return { $schema, title, ...rest };
}
