/** @file A scenario as a file: peers, what they train, the network and its faults, and what varies; and its runs. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf, UserError } from '../../node/errors.ts';
import { checkSettings } from '../../node/train/run.ts';
import { SETTINGS } from '../../protocol/settings.ts';
import { readScenario as readLearning } from '../learning/spec.ts';
import { readPoints } from '../points.ts';
import { LIARS } from './faults.ts';
import { latencyProblem, parseMatrix } from './latency.ts';
import { LAN } from './network.ts';
import type { Scenario, ScenarioRun } from './run.ts';
import { TRAINER_NAMES } from './trainers.ts';

export interface ScenarioSpec {
  readonly name: string;
  readonly about: string;
  readonly runs: readonly ScenarioRun[];
}

export const DEFAULTS: Scenario = {
  ...LAN,
  peers: 16,
  roster: false,
  size: 100,
  trainer: 'none',
  samples: 16,
  skew: 0,
  learning: {},
  trainMs: [50, 500],
  devices: [],
  stragglers: { share: 0, slowdown: 1 },
  joiners: 0,
  joinMs: 3000,
  liars: { share: 0, kind: 'garbage' },
  crashes: 0,
  fullDisks: 0,
  spoiltSnapshots: 0,
  clockJumps: 0,
  freezes: 0,
  freezeMs: 5000,
  downMs: 500,
  untilMs: 600_000,
};

/** Settings of a simulated run where they are not those of a real one: seconds instead of minutes. */
const QUICK = {
  rounds: 20,
  closingRounds: 0,
  roundDeadlineMs: 3000,
  retryMs: 300,
  announceMs: 1000,
  aloneAfterMs: 0, // crashes are what many scenarios are about
  maxOpenRounds: 16,
} as const;
/** Of toys as well: nothing is rounded, and steps are long. */
export const SIMULATED = { ...QUICK, codec: 'f32', learningRate: 0.1 } as const;

const FIELDS = ['name', 'about', 'seeds', 'settings', 'vary', 'points', 'edgesFile', ...Object.keys(DEFAULTS)];

/** Checks a parsed file. Throws a UserError that names the field, what it got and what it wanted. */
export function readScenario(given: Readonly<Record<string, unknown>>, where: string): ScenarioSpec {
  const fail = (problem: string): never => {
    throw new UserError('usage', `${where}: ${problem}`);
  };
  for (const field of Object.keys(given))
    if (!FIELDS.includes(field)) fail(`${field}: no such field; wanted one of ${FIELDS.join(', ')}`);
  const name = given.name;
  if (typeof name !== 'string' || !/^[\w-]+$/.test(name)) return fail('name: wanted letters, digits and dashes');
  const { seeds } = given;
  if (!Array.isArray(seeds) || seeds.length === 0) return fail(`seeds: got ${JSON.stringify(seeds)}; wanted a list`);
  const points = readPoints(given, (field) => field === 'edgesFile' || field in DEFAULTS || field in SETTINGS, fail);
  const settings = (given.settings ?? {}) as Record<string, unknown>;
  const runs = points.flatMap((point) =>
    seeds.map((seed): ScenarioRun => {
      const scenario = worldOf(withLatencyFile({ ...given, ...point }, where, fail), fail);
      const edgesFile = point.edgesFile ?? given.edgesFile;
      const edges = edgesFile === undefined ? {} : { schedule: 'edges', edges: readEdges(edgesFile, where, fail) };
      const varied = Object.fromEntries(Object.entries(point).filter(([field]) => field in SETTINGS));
      const usual = scenario.trainer === 'lora' ? QUICK : SIMULATED;
      const all = {
        ...usual,
        minPeers: Math.max(1, scenario.peers - scenario.joiners),
        ...settings,
        ...edges,
        ...varied,
        seed: String(seed),
      };
      return { point, seed: String(seed), scenario, settings: checkSettings(all, where) };
    }),
  );
  return { name, about: String(given.about ?? ''), runs };
}

/** Puts the table in the place of the file a latency names, so that a run's record is whole. */
function withLatencyFile(
  given: Readonly<Record<string, unknown>>,
  where: string,
  fail: (problem: string) => never,
): Record<string, unknown> {
  const { latencyMs } = given;
  const { file, jitter = 0 } = (latencyMs ?? {}) as { file?: unknown; jitter?: unknown };
  if (file === undefined) return given;
  return { ...given, latencyMs: { matrix: parseMatrix(readBeside(where, file, 'latencyMs.file', fail)), jitter } };
}

/** Edges as a run's settings have them: two places a line, by the order of the peers' names. */
function readEdges(file: unknown, where: string, fail: (problem: string) => never): string {
  const lines = readBeside(where, file, 'edgesFile', fail)
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
  const wrong = lines.find((line) => !/^\d+[\s,-]+\d+$/.test(line));
  if (wrong !== undefined || lines.length === 0)
    fail(`edgesFile: ${file}: got ${JSON.stringify(wrong ?? '')}; wanted two numbers of peers a line, such as 0 1`);
  return lines.map((line) => line.split(/[\s,-]+/).join('-')).join(',');
}

/** A file named relative to the scenario's. */
function readBeside(where: string, file: unknown, field: string, fail: (problem: string) => never): string {
  try {
    return readFileSync(join(dirname(where), String(file)), 'utf8');
  } catch (error) {
    return fail(`${field}: ${file} cannot be read beside it (${messageOf(error)})`);
  }
}

function worldOf(given: Readonly<Record<string, unknown>>, fail: (problem: string) => never): Scenario {
  const world: Record<string, unknown> = { ...DEFAULTS };
  for (const [field, fallback] of Object.entries(DEFAULTS)) {
    const value = given[field] ?? fallback;
    const problem = problemOf(field, value);
    if (problem) fail(`${field}: got ${JSON.stringify(value)}; wanted ${problem}`);
    world[field] = value;
  }
  const { roster, joiners, spoiltSnapshots, peers } = world as unknown as Scenario;
  if (roster && joiners + spoiltSnapshots > 0)
    fail('roster: joiners and spoiltSnapshots are peers nobody knows yet; wanted roster: false');
  const { learning } = world as unknown as Scenario;
  readLearning({ ...learning, peers }, (problem) => fail(`learning.${problem}`));
  if (joiners >= peers) fail(`joiners: got ${joiners} of ${peers} peers; wanted fewer`);
  return world as unknown as Scenario;
}

/** What a field wants, where a value is not that; null where it is. */
function problemOf(field: string, value: unknown): string | null {
  const isNumber = (x: unknown, least: number, most = 1e12): boolean =>
    typeof x === 'number' && x >= least && x <= most;
  const of = (x: unknown, name: string): unknown => (x as Record<string, unknown> | null)?.[name];
  const isRange = (x: unknown): boolean => Array.isArray(x) && isNumber(x[0], 0) && isNumber(x[1], x[0]);
  switch (field) {
    case 'trainer':
      return TRAINER_NAMES.includes(String(value)) ? null : TRAINER_NAMES.join(', ');
    case 'latencyMs':
      return latencyProblem(value);
    case 'devices': {
      const classes = Array.isArray(value) ? value : [null];
      const isClass = (c: unknown): boolean =>
        typeof of(c, 'name') === 'string' && isNumber(of(c, 'share'), 0, 1) && isRange(of(c, 'stepMs'));
      const sum = classes.every(isClass) ? classes.reduce((total, c) => total + c.share, 0) : 0;
      return classes.length === 0 || Math.abs(sum - 1) < 1e-6
        ? null
        : '[{ name, share, stepMs: [least, most] }, ...], shares that sum to 1';
    }
    case 'trainMs':
      return isRange(value) ? null : '[least, most] in ms';
    case 'learning':
      return typeof value === 'object' && value !== null
        ? null
        : "fields of an experiment's file, such as { goldPerClass: 8 }";
    case 'roster':
      return typeof value === 'boolean' ? null : 'true or false';
    case 'liars':
      return isNumber(of(value, 'share'), 0, 1) && Object.hasOwn(LIARS, String(of(value, 'kind')))
        ? null
        : `{ share: 0 to 1, kind: ${Object.keys(LIARS).join(' | ')} }`;
    case 'stragglers':
      return isNumber(of(value, 'share'), 0, 1) && isNumber(of(value, 'slowdown'), 1)
        ? null
        : '{ share: 0 to 1, slowdown: 1 or more }';
    case 'partition': {
      const fits =
        value === null ||
        (isNumber(of(value, 'fromMs'), 0) && isNumber(of(value, 'untilMs'), 0) && isNumber(of(value, 'share'), 0, 1));
      return fits ? null : '{ fromMs, untilMs, share: 0 to 1, oneWay: true or false }';
    }
    case 'loss':
    case 'duplication':
    case 'natShare':
    case 'skew':
      return isNumber(value, 0, field === 'loss' ? 0.95 : 1) ? null : 'a share from 0 to 1';
    case 'peers':
    case 'size':
    case 'samples':
      return isNumber(value, 1, 1e7) && Number.isInteger(value) ? null : 'a whole number, 1 or more';
    case 'joiners':
    case 'crashes':
    case 'fullDisks':
    case 'spoiltSnapshots':
    case 'clockJumps':
      return isNumber(value, 0, 1e6) && Number.isInteger(value) ? null : 'a whole number, 0 or more';
    default:
      return isNumber(value, 0) ? null : 'a number, 0 or more';
  }
}
