/** @file An experiment as a file: data, peers, methods, seeds, and what varies; and the list of runs it stands for. */
import { createHash } from 'node:crypto';
import { UserError } from '../node/errors.ts';
import { checkSettings } from '../node/train/run.ts';
import type { RunSettings } from '../protocol/config.ts';
import { SETTINGS } from '../protocol/settings.ts';
import { DATASETS } from './datasets.ts';
import { METHODS } from './methods.ts';
import { PARTITIONS } from './partition.ts';

/** One point of an experiment: where the peers stand. Any of it, and any setting, may vary. */
export interface Scenario {
  readonly data: string;
  readonly partition: string;
  /** Concentration of skewed partitions. */
  readonly alpha: number;
  readonly peers: number;
  readonly goldPerClass: number;
  /** Unlabelled texts a peer, at most. */
  readonly unlabelled: number;
  readonly test: number;
  readonly development: number;
}

export interface ExperimentSpec {
  readonly name: string;
  readonly about: string;
  readonly scenario: Scenario;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly methods: readonly string[];
  readonly seeds: readonly string[];
  /** Names of scenario fields or settings, with the values each takes. */
  readonly vary: Readonly<Record<string, readonly unknown[]>>;
  /** Settings of one method alone. */
  readonly overrides: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface PlannedRun {
  /** The same for the same run, whatever else the experiment holds. */
  readonly key: string;
  readonly method: string;
  readonly seed: string;
  readonly scenario: Scenario;
  readonly settings: RunSettings;
  /** What this run has of `vary`. */
  readonly point: Readonly<Record<string, unknown>>;
}

const DEFAULTS: Scenario = {
  data: 'uci',
  partition: 'by-domain',
  alpha: 0.5,
  peers: 8,
  goldPerClass: 8,
  unlabelled: 400,
  test: 1500,
  development: 200,
};

const FIELDS = ['name', 'about', 'settings', 'methods', 'seeds', 'vary', 'overrides', ...Object.keys(DEFAULTS)];

/** Checks a parsed file. Throws a UserError that names the field, what it got and what it wanted. */
export function readSpec(value: unknown, where: string): ExperimentSpec {
  const fail = (problem: string): never => {
    throw new UserError('usage', `${where}: ${problem}`);
  };
  if (!value || typeof value !== 'object' || Array.isArray(value))
    return fail('holds no experiment; wanted YAML with name, methods and seeds');
  const given = value as Record<string, unknown>;
  for (const field of Object.keys(given))
    if (!FIELDS.includes(field)) fail(`${field}: no such field; wanted one of ${FIELDS.join(', ')}`);
  const list = (field: string): unknown[] =>
    Array.isArray(given[field]) && given[field].length > 0
      ? given[field]
      : fail(`${field}: got ${JSON.stringify(given[field])}; wanted a list`);
  const methods = list('methods').map(String);
  for (const method of methods)
    if (!(method in METHODS)) fail(`methods: got ${method}; wanted ${Object.keys(METHODS).join(', ')}`);
  const vary = (given.vary ?? {}) as Record<string, unknown[]>;
  for (const [name, values] of Object.entries(vary)) {
    if (!(name in DEFAULTS) && !(name in SETTINGS)) fail(`vary.${name}: neither a field of the scenario nor a setting`);
    if (!Array.isArray(values) || values.length === 0) fail(`vary.${name}: wanted a list of values`);
  }
  const spec: ExperimentSpec = {
    name:
      typeof given.name === 'string' && /^[\w-]+$/.test(given.name)
        ? given.name
        : fail('name: wanted letters, digits and dashes'),
    about: String(given.about ?? ''),
    scenario: readScenario(given, fail),
    settings: (given.settings ?? {}) as Record<string, unknown>,
    methods,
    seeds: list('seeds').map(String),
    vary,
    overrides: (given.overrides ?? {}) as ExperimentSpec['overrides'],
  };
  planRuns(spec); // so that every run is checked before the first begins
  return spec;
}

function readScenario(given: Readonly<Record<string, unknown>>, fail: (problem: string) => never): Scenario {
  const scenario: Record<string, unknown> = { ...DEFAULTS };
  for (const [name, fallback] of Object.entries(DEFAULTS)) {
    const value = given[name] ?? fallback;
    if (typeof value !== typeof fallback || (typeof value === 'number' && !(value > 0)))
      fail(
        `${name}: got ${JSON.stringify(value)}; wanted a ${typeof fallback === 'number' ? 'positive number' : 'name'}`,
      );
    scenario[name] = value;
  }
  const checked = scenario as unknown as Scenario;
  if (!(checked.data in DATASETS)) fail(`data: got ${checked.data}; wanted ${Object.keys(DATASETS).join(', ')}`);
  if (!(checked.partition in PARTITIONS))
    fail(`partition: got ${checked.partition}; wanted ${Object.keys(PARTITIONS).join(', ')}`);
  return checked;
}

/** Every run of an experiment: points x seeds x methods, in an order that finishes whole seeds first. */
export function planRuns(spec: ExperimentSpec): PlannedRun[] {
  return spec.seeds.flatMap((seed) =>
    pointsOf(spec.vary).flatMap((point) =>
      spec.methods.map((method): PlannedRun => {
        const where = `${spec.name}, ${method}, ${JSON.stringify(point)}`;
        const scenario = readScenario({ ...spec.scenario, ...point }, (problem) => {
          throw new UserError('usage', `${where}: ${problem}`);
        });
        const varied = Object.fromEntries(Object.entries(point).filter(([name]) => name in SETTINGS));
        const soft = METHODS[method]!.softLabels ? {} : { softLabels: 'none' };
        const settings = checkSettings(
          {
            ...DATASETS[scenario.data]!.settings,
            ...spec.settings,
            ...varied,
            ...soft,
            ...spec.overrides[method],
            seed,
          },
          where,
        );
        const key = createHash('sha256')
          .update(JSON.stringify([method, scenario, settings]))
          .digest('hex')
          .slice(0, 16);
        return { key, method, seed, scenario, settings, point };
      }),
    ),
  );
}

/** The Cartesian product of what varies. */
function pointsOf(vary: ExperimentSpec['vary']): Record<string, unknown>[] {
  return Object.entries(vary).reduce<Record<string, unknown>[]>(
    (points, [name, values]) => points.flatMap((point) => values.map((value) => ({ ...point, [name]: value }))),
    [{}],
  );
}
