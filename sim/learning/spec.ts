/** @file An experiment as a file: data, peers, methods, seeds, and what varies; checked field by field. */
import { UserError } from '../../node/errors.ts';
import { SETTINGS } from '../../protocol/settings.ts';
import { type Point, readPoints } from '../points.ts';
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

export const DEFAULTS: Scenario = {
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

/** What a field of the scenario accepts: a check, and the words for it. */
const FIELDS: Readonly<Record<keyof Scenario, readonly [fits: (x: unknown) => boolean, wanted: string]>> = {
  data: oneOf(DATASETS),
  partition: oneOf(PARTITIONS),
  alpha: [(x) => typeof x === 'number' && x > 0, 'a positive number'],
  peers: [isWhole, 'a whole number, 1 or more'],
  goldPerClass: [isWhole, 'a whole number, 1 or more'],
  unlabelled: [isWhole, 'a whole number, 1 or more'],
  test: [isWhole, 'a whole number, 1 or more'],
  development: [isWhole, 'a whole number, 1 or more'],
  contact: [(x) => typeof x === 'number' && x > 0 && x <= 1, 'a chance above 0, at most 1'],
  ranks: [(x) => Array.isArray(x) && x.every(isWhole), 'a list of whole numbers'],
  files: [(x) => Array.isArray(x) && x.every(isText) && new Set(x).size === x.length, 'a list of different files'],
  developmentFile: [isText, 'the name of a file'],
  testFile: [isText, 'the name of a file'],
};

function isWhole(x: unknown): boolean {
  return typeof x === 'number' && Number.isInteger(x) && x >= 1;
}

function isText(x: unknown): boolean {
  return typeof x === 'string';
}

function oneOf(table: object): readonly [(x: unknown) => boolean, string] {
  return [(x) => typeof x === 'string' && Object.hasOwn(table, x), Object.keys(table).join(', ')];
}

const OTHERS = ['name', 'about', 'settings', 'methods', 'seeds', 'vary', 'points', 'overrides'];
/** Settings that are given in other ways. */
const ELSEWHERE = ['seed', 'baseHash'];

type Fail = (problem: string) => never;

/** Checks a parsed file. Throws a UserError that names the field, what it got and what it wanted. */
export function readSpec(given: Readonly<Record<string, unknown>>, where: string): ExperimentSpec {
  const fail: Fail = (problem) => {
    throw new UserError('usage', `${where}: ${problem}`);
  };
  for (const field of Object.keys(given)) {
    if (!OTHERS.includes(field) && !Object.hasOwn(FIELDS, field))
      fail(`${field}: no such field; wanted one of ${[...OTHERS, ...Object.keys(FIELDS)].join(', ')}`);
  }
  const methods = readList(given, 'methods', fail);
  for (const method of methods)
    if (!Object.hasOwn(METHODS, method)) fail(`methods: got ${method}; wanted ${Object.keys(METHODS).join(', ')}`);
  if (typeof given.name !== 'string' || !/^[\w-]+$/.test(given.name)) fail('name: wanted letters, digits and dashes');
  const points = readPoints(given, (name) => Object.hasOwn(FIELDS, name) || Object.hasOwn(SETTINGS, name), fail);
  for (const point of points) readSettings('points', withoutFields(point), fail);
  const overrides = readTable('overrides', given.overrides, fail);
  for (const [method, settings] of Object.entries(overrides)) {
    if (!Object.hasOwn(METHODS, method))
      fail(`overrides.${method}: no such method; wanted ${Object.keys(METHODS).join(', ')}`);
    readSettings(`overrides.${method}`, settings, fail);
  }
  return {
    name: String(given.name),
    about: String(given.about ?? ''),
    scenario: readScenario(given, fail),
    settings: readSettings('settings', given.settings, fail),
    methods,
    seeds: readList(given, 'seeds', fail),
    points,
    overrides: overrides as ExperimentSpec['overrides'],
  };
}

/** Names or numbers, at least one, each once. */
function readList(given: Readonly<Record<string, unknown>>, field: string, fail: Fail): string[] {
  const value = given[field];
  if (!Array.isArray(value) || value.length === 0) return fail(`${field}: got ${JSON.stringify(value)}; wanted a list`);
  for (const item of value)
    if (typeof item !== 'string' && typeof item !== 'number')
      fail(`${field}: got ${JSON.stringify(item)}; wanted names or numbers`);
  const items = value.map(String);
  const twice = items.find((item, i) => items.indexOf(item) !== i);
  return twice === undefined ? items : fail(`${field}: ${twice} stands twice; wanted each once`);
}

function readTable(field: string, value: unknown, fail: Fail): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
  return fail(`${field}: got ${JSON.stringify(value)}; wanted name: value`);
}

function readSettings(field: string, value: unknown, fail: Fail): Record<string, unknown> {
  const settings = readTable(field, value, fail);
  for (const name of ELSEWHERE) if (Object.hasOwn(settings, name)) fail(`${field}.${name}: cannot be set here`);
  return settings;
}

function withoutFields(point: Point): Point {
  return Object.fromEntries(Object.entries(point).filter(([name]) => !Object.hasOwn(FIELDS, name)));
}

/** The scenario of a file, or of one of its points. */
export function readScenario(given: Readonly<Record<string, unknown>>, fail: Fail): Scenario {
  const scenario: Record<string, unknown> = { ...DEFAULTS };
  for (const [name, [fits, wanted]] of Object.entries(FIELDS)) {
    const value = given[name] ?? scenario[name];
    if (!fits(value)) fail(`${name}: got ${JSON.stringify(value)}; wanted ${wanted}`);
    scenario[name] = value;
  }
  const checked = scenario as unknown as Scenario;
  if (checked.data !== 'files') {
    if (checked.partition === 'files') fail('partition: files goes with data: files, where each peer has a file');
    return checked;
  }
  if (!(checked.files.length > 0 && checked.developmentFile && checked.testFile))
    fail('data: files needs files (a list, one a peer), developmentFile and testFile');
  return { ...checked, partition: 'files', peers: checked.files.length };
}
