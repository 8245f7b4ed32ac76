/** @file Where what somebody wrote stands, a line of a file or a flag, so that a refusal can say it. */
import { UserError } from './errors.ts';
import { type Mistake, mistakesOf, type Path, pathText, type Schema } from './schema.ts';

/** Where something stands. */
export interface Place {
  /** As a refusal begins: run.yaml:7, or a flag. */
  readonly text: string;
  /** From 1; 0 where there are no lines. */
  readonly line: number;
}

/** What was read: a file with its lines, and flags on top. */
export interface Source {
  /** Files it names stand beside it. */
  readonly path: string;
  /** Where a field stands, or the nearest around it. */
  readonly placeOf: (path: Path) => Place;
}

/** A source; of a name alone, one without lines. */
export function sourceOf(name: string | Source): Source {
  return typeof name !== 'string' ? name : { path: name, placeOf: () => ({ text: name, line: 0 }) };
}

/** Throws a UserError that says where, what field, and what is wrong. */
export function refuse(source: Source, path: Path, problem: string): never {
  const field = path.length === 0 ? '' : `${pathText(path)}: `;
  throw new UserError('usage', `${source.placeOf(path).text}: ${field}${problem}`);
}

/** Throws a UserError where a value is not what a schema wants: of the first thing wrong, by line, and where the others are. */
export function checkSource(schema: Schema, value: unknown, source: Source): void {
  const mistakes = mistakesOf(schema, value)
    .map((mistake) => ({ mistake, place: source.placeOf(mistake.path) }))
    .sort((a, b) => a.place.line - b.place.line);
  const first = mistakes[0];
  if (!first) return;
  refuse(source, first.mistake.path, `${first.mistake.problem}${othersText(mistakes.slice(1))}`);
}

function othersText(others: readonly { mistake: Mistake; place: Place }[]): string {
  if (others.length === 0) return '';
  const lines = [...new Set(others.map(({ place }) => place.line))].filter((line) => line > 0);
  const where = lines.length === 0 ? '' : ` in line${lines.length > 1 ? 's' : ''} ${lines.join(', ')}`;
  return ` (and ${others.length} more${where})`;
}
