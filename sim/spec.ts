/** @file An experiment as a file: data, peers, methods, seeds, and what varies; and the list of runs it stands for. */
import { createHash } from 'node:crypto';
import { UserError } from '../node/errors.ts';
import { checkSettings, openRun } from '../node/train/run.ts';
import type { RunSettings } from '../protocol/config.ts';
import { SETTINGS } from '../protocol/settings.ts';
import { DATASETS } from './datasets.ts';
import { METHODS } from './methods.ts';
import { PARTITIONS } from './partition.ts';
import { type Point, readPoints } from './points.ts';

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
  /** The chance that two neighbours reach each other in a round. */
  readonly contact: number;
  /** Local ranks, dealt to the peers in turn; none: everybody the run's. */
  readonly ranks: readonly number[];
  /** With data `files`: a file of texts for each peer, and those that are scored. */
  readonly files: readonly string[];
  readonly developmentFile: string;
  readonly testFile: string;
}

export interface ExperimentSpec {
  readonly name: string;
  readonly about: string;
  readonly scenario: Scenario;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly methods: readonly string[];
  readonly seeds: readonly string[];
  /** What varies: values of scenario fields and settings. One empty point where nothing does. */
  readonly points: readonly Point[];
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
  readonly point: Point;
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
  contact: 1,
  ranks: [],
  files: [],
  developmentFile: '',
  testFile: '',
};

const FIELDS = [
  'name',
  'about',
  'settings',
  'methods',
  'seeds',
  'vary',
  'points',
  'overrides',
  ...Object.keys(DEFAULTS),
];

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
    points: readPoints(given, (name) => name in DEFAULTS || name in SETTINGS, fail),
    overrides: (given.overrides ?? {}) as ExperimentSpec['overrides'],
  };
  draftRuns(spec); // so that every run is checked before the first begins
  return spec;
}

/** What a field of the scenario accepts, by the kind of its default. */
const FITS = {
  number: [(x: unknown) => typeof x === 'number' && x > 0, 'a positive number'],
  string: [(x: unknown) => typeof x === 'string', 'a name'],
  list: [(x: unknown) => Array.isArray(x), 'a list'],
} as const;

function readScenario(given: Readonly<Record<string, unknown>>, fail: (problem: string) => never): Scenario {
  const scenario: Record<string, unknown> = { ...DEFAULTS };
  for (const [name, fallback] of Object.entries(DEFAULTS)) {
    const value = given[name] ?? fallback;
    const [fits, wanted] = FITS[Array.isArray(fallback) ? 'list' : (typeof fallback as 'number' | 'string')];
    if (!fits(value)) fail(`${name}: got ${JSON.stringify(value)}; wanted ${wanted}`);
    scenario[name] = value;
  }
  if (scenario.data === 'files') Object.assign(scenario, { partition: 'files', peers: (scenario.files as []).length });
  const checked = scenario as unknown as Scenario;
  if (checked.contact > 1) fail(`contact: got ${checked.contact}; wanted a chance of at most 1`);
  if ((checked.data === 'files') !== (checked.partition === 'files'))
    fail('partition: files goes with data: files, where each peer has a file');
  if (checked.data === 'files' && !(checked.files.length > 0 && checked.developmentFile && checked.testFile))
    fail('data: files needs files (a list, one a peer), developmentFile and testFile');
  if (!(checked.data in DATASETS)) fail(`data: got ${checked.data}; wanted ${Object.keys(DATASETS).join(', ')}`);
  if (!(checked.partition in PARTITIONS))
    fail(`partition: got ${checked.partition}; wanted ${Object.keys(PARTITIONS).join(', ')}`);
  return checked;
}

/**
 * Every run of an experiment: points x seeds x methods, in an order that finishes whole seeds first. Opens the bases, so that
 * a run is known by the weights it starts from. Throws a UserError where a base cannot be opened or does not fit.
 */
export async function planRuns(spec: ExperimentSpec): Promise<PlannedRun[]> {
  const hashes = new Map<string, string>();
  const runs: PlannedRun[] = [];
  for (const draft of draftRuns(spec)) {
    const { base, prompt, patterns, labels, rank, localRank, targets, maxTokens } = draft.settings;
    const opened = JSON.stringify([base, prompt, patterns, labels, rank, localRank, targets, maxTokens]);
    if (!hashes.has(opened)) hashes.set(opened, (await openRun(draft.settings)).settings.baseHash);
    const settings = { ...draft.settings, baseHash: hashes.get(opened)! };
    const key = createHash('sha256')
      .update(JSON.stringify([draft.method, draft.scenario, settings]))
      .digest('hex')
      .slice(0, 16);
    runs.push({ ...draft, settings, key });
  }
  return runs;
}

function draftRuns(spec: ExperimentSpec): Omit<PlannedRun, 'key'>[] {
  return spec.seeds.flatMap((seed) =>
    spec.points.flatMap((point) =>
      spec.methods.map((method) => {
        const where = `${spec.name}, ${method}, ${JSON.stringify(point)}`;
        const scenario = usedOf(
          method,
          readScenario({ ...spec.scenario, ...point }, (problem) => {
            throw new UserError('usage', `${where}: ${problem}`);
          }),
        );
        const varied = Object.fromEntries(Object.entries(point).filter(([name]) => name in SETTINGS));
        const settings = checkSettings(
          {
            ...DATASETS[scenario.data]!.settings,
            ...spec.settings,
            ...varied,
            ...spec.overrides[method],
            ...unusedOf(method),
            seed,
          },
          where,
        );
        if (!scenario.ranks.every((rank) => Number.isInteger(rank) && rank >= 1 && rank <= settings.rank))
          throw new UserError(
            'usage',
            `${where}: ranks: got ${JSON.stringify(scenario.ranks)}; wanted whole numbers from 1 to rank, ${settings.rank}`,
          );
        return { method, seed, scenario, settings, point };
      }),
    ),
  );
}

/** The scenario with what the run does not look at as it is by default, so that the same run is not run twice. */
function usedOf(method: string, scenario: Scenario): Scenario {
  const skewed = ['dirichlet', 'quantity'].includes(scenario.partition);
  const gossip = METHODS[method]!.mixing === 'gossip';
  return {
    ...scenario,
    ...(skewed ? {} : { alpha: DEFAULTS.alpha }),
    ...(gossip ? {} : { contact: DEFAULTS.contact }),
  };
}

/** The same for settings. */
function unusedOf(method: string): Record<string, unknown> {
  const { softLabels, mixing } = METHODS[method]!;
  const defaults = (names: readonly (keyof typeof SETTINGS)[]): Record<string, unknown> =>
    Object.fromEntries(names.map((name) => [name, SETTINGS[name].default]));
  return {
    ...(softLabels ? {} : { ...defaults(SOFT_LABEL_SETTINGS), softLabels: 'none' }),
    ...(mixing === 'gossip' ? {} : defaults(['schedule', 'redraw', 'degree', 'closingRounds'])),
  };
}

const SOFT_LABEL_SETTINGS = [
  'patterns',
  'temperature',
  'confidenceWeight',
  'generationRounds',
  'pseudoGrowth',
  'pseudoBase',
  'pseudoMax',
  'pseudoScored',
  'pseudoKeep',
] as const;
