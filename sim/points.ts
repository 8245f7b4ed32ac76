/** @file What varies in an experiment or a scenario: every value with every other (`vary`), or points one by one (`points`). */
import type { Path } from '../node/schema.ts';

export type Point = Readonly<Record<string, unknown>>;

/** The points of a checked file: its `points`, or what its `vary` stands for; one empty point where there is neither. */
export function pointsOf(given: Readonly<Record<string, unknown>>): Point[] {
  return (given.points ?? productOf((given.vary ?? {}) as Record<string, unknown[]>)) as Point[];
}

/** Where a file says what a field or setting is at one of its points, the most special first; its path in the file. */
export function pathOf(
  given: Readonly<Record<string, unknown>>,
  name: string,
  { index, method = '' }: { index: number; method?: string },
): Path {
  const has = (path: Path): boolean =>
    path.reduce<unknown>((at, step) => (isTable(at) && Object.hasOwn(at, step) ? at[step] : undefined), given) !==
    undefined;
  const places: Path[] = [
    ['overrides', method, name],
    ['points', index, name],
    ['vary', name],
    [name],
    ['settings', name],
  ];
  // What contradicts a schedule nobody gave are its edges.
  return places.find(has) ?? (name === 'schedule' ? pathOf(given, 'edges', { index, method }) : [name]);
}

function isTable(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null;
}

/** The Cartesian product. */
function productOf(vary: Readonly<Record<string, readonly unknown[]>>): Point[] {
  return Object.entries(vary).reduce<Point[]>(
    (points, [name, values]) => points.flatMap((point) => values.map((value) => ({ ...point, [name]: value }))),
    [{}],
  );
}

export function pointText(point: Point): string {
  return Object.entries(point)
    .map(([name, value]) => `${name} ${valueText(value)}`)
    .join(', ');
}

/** Objects as their fields. */
function valueText(value: unknown): string {
  if (Array.isArray(value)) return value.map(valueText).join('-');
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([name, of]) => `${name} ${valueText(of)}`)
    .join(' ');
}
