/** @file What varies in an experiment or a scenario: every value with every other (`vary`), or points one by one (`points`). */

export type Point = Readonly<Record<string, unknown>>;

/** Reads `vary` or `points`; one empty point where there is neither. `fail` is told what is wrong. */
export function readPoints(
  given: Readonly<Record<string, unknown>>,
  isName: (name: string) => boolean,
  fail: (problem: string) => never,
): Point[] {
  if (given.vary !== undefined && given.points !== undefined) fail('vary and points: wanted one of them');
  const vary = given.vary ?? {};
  if (typeof vary !== 'object' || vary === null || Array.isArray(vary))
    fail(`vary: got ${JSON.stringify(vary)}; wanted name: [values]`);
  for (const [name, values] of Object.entries(vary))
    if (!Array.isArray(values) || values.length === 0) fail(`vary.${name}: wanted a list of values`);
  const points = given.points ?? productOf(vary as Record<string, unknown[]>);
  if (!Array.isArray(points) || points.length === 0) fail('points: wanted a list of name: value');
  for (const point of points as unknown[]) {
    if (typeof point !== 'object' || point === null || Array.isArray(point))
      fail(`points: got ${JSON.stringify(point)}; wanted name: value`);
    for (const name of Object.keys(point as object))
      if (!isName(name)) fail(`vary.${name}: neither a field of the scenario nor a setting`);
  }
  return points as Point[];
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
