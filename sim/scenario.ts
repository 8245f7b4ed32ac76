/** @file A scenario as a file: peers, what they train, the network and its faults, and what varies; and its runs. */
import { UserError } from '../node/errors.ts';
import { checkSettings } from '../node/train/run.ts';
import type { RunSettings } from '../protocol/config.ts';
import { SETTINGS } from '../protocol/settings.ts';
import { LAN, type NetworkModel } from './network.ts';
import { type Point, readPoints } from './points.ts';
import { TOYS } from './toy.ts';

/** The world of one run. Any of it, and any setting, may vary. */
export interface Scenario extends NetworkModel {
  readonly peers: number;
  /** Numbers of an adapter. */
  readonly size: number;
  readonly trainer: string;
  /** Virtual ms of a round's training, uniform. */
  readonly trainMs: readonly [number, number];
  readonly stragglers: { readonly share: number; readonly slowdown: number };
  /** Crashes (as kill -9) of peers drawn at random, one after the other, each down for so long. */
  readonly crashes: number;
  readonly downMs: number;
  /** Virtual time after which faults end and what is open is settled. */
  readonly untilMs: number;
}

export interface ScenarioSpec {
  readonly name: string;
  readonly about: string;
  readonly runs: readonly ScenarioRun[];
}

export interface ScenarioRun {
  readonly point: Point;
  readonly seed: string;
  readonly scenario: Scenario;
  readonly settings: RunSettings;
}

export const DEFAULTS: Scenario = {
  ...LAN,
  peers: 16,
  size: 100,
  trainer: 'none',
  trainMs: [50, 500],
  stragglers: { share: 0, slowdown: 1 },
  crashes: 0,
  downMs: 500,
  untilMs: 600_000,
};

/** Settings of a simulated run where they are not those of a real one: seconds instead of minutes, nothing rounded. */
export const SIMULATED = {
  codec: 'f32',
  rounds: 20,
  closingRounds: 0,
  roundDeadlineMs: 3000,
  retryMs: 300,
  announceMs: 1000,
  maxOpenRounds: 16,
  learningRate: 0.1,
} as const;

const FIELDS = ['name', 'about', 'seeds', 'settings', 'vary', 'points', ...Object.keys(DEFAULTS)];

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
  const points = readPoints(given, (field) => field in DEFAULTS || field in SETTINGS, fail);
  const settings = (given.settings ?? {}) as Record<string, unknown>;
  const runs = points.flatMap((point) =>
    seeds.map((seed): ScenarioRun => {
      const scenario = worldOf({ ...given, ...point }, fail);
      const varied = Object.fromEntries(Object.entries(point).filter(([field]) => field in SETTINGS));
      const all = { ...SIMULATED, minPeers: scenario.peers, ...settings, ...varied, seed: String(seed) };
      return { point, seed: String(seed), scenario, settings: checkSettings(all, where) };
    }),
  );
  return { name, about: String(given.about ?? ''), runs };
}

function worldOf(given: Readonly<Record<string, unknown>>, fail: (problem: string) => never): Scenario {
  const world: Record<string, unknown> = { ...DEFAULTS };
  for (const [field, fallback] of Object.entries(DEFAULTS)) {
    const value = given[field] ?? fallback;
    const problem = problemOf(field, value);
    if (problem) fail(`${field}: got ${JSON.stringify(value)}; wanted ${problem}`);
    world[field] = value;
  }
  return world as unknown as Scenario;
}

/** What a field wants, where a value is not that; null where it is. */
function problemOf(field: string, value: unknown): string | null {
  const isNumber = (x: unknown, least: number, most = 1e12): boolean =>
    typeof x === 'number' && x >= least && x <= most;
  const of = (x: unknown, name: string): unknown => (x as Record<string, unknown> | null)?.[name];
  switch (field) {
    case 'trainer':
      return String(value) in TOYS ? null : Object.keys(TOYS).join(', ');
    case 'latencyMs':
    case 'trainMs': {
      const [low, high] = Array.isArray(value) ? value : [];
      return isNumber(low, 0) && isNumber(high, low as number) ? null : '[least, most] in ms';
    }
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
      return isNumber(value, 0, field === 'loss' ? 0.95 : 1) ? null : 'a share from 0 to 1';
    case 'peers':
    case 'size':
      return isNumber(value, 1, 1e7) && Number.isInteger(value) ? null : 'a whole number, 1 or more';
    default:
      return isNumber(value, 0) ? null : 'a number, 0 or more';
  }
}
