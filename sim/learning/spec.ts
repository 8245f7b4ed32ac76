/** @file An experiment as a file: data, peers, methods, seeds, and what varies; checked whole before anything runs. */
import { checkSource, refuse, type Source, sourceOf } from '../../node/source.ts';
import { defaultsOf, EXPERIMENT_FILE, LEARNING_FIELDS } from '../fields.ts';
import { type Point, pointsOf } from '../points.ts';
import type { Scenario } from './scenario.ts';

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

export const DEFAULTS: Scenario = defaultsOf(LEARNING_FIELDS);

/** Checks what a file holds. Throws a UserError that says where which field got what, and what it wanted. */
export function readSpec(given: Readonly<Record<string, unknown>>, where: Source | string): ExperimentSpec {
  const source = sourceOf(where);
  checkSource(EXPERIMENT_FILE, given, source);
  if (given.vary && given.points) refuse(source, ['points'], 'stand beside vary; wanted one of them');
  const points = pointsOf(given);
  const isOfFiles = [given, ...points].some(({ data }) => data === 'files');
  const idle = ['files', 'developmentFile', 'testFile'].find((name) => given[name] !== undefined);
  if (idle && !isOfFiles) refuse(source, [idle], 'goes with data: files, and nothing here has it');
  return {
    name: String(given.name),
    about: String(given.about ?? ''),
    scenario: scenarioOf(given, (field, problem) => refuse(source, [field], problem)),
    settings: (given.settings ?? {}) as Record<string, unknown>,
    methods: given.methods as string[],
    seeds: (given.seeds as unknown[]).map(String),
    points,
    overrides: (given.overrides ?? {}) as ExperimentSpec['overrides'],
  };
}

/** The scenario of a checked file, or of one of its points; `fail` is told what does not go together. */
export function scenarioOf(
  given: Readonly<Record<string, unknown>>,
  fail: (field: string, problem: string) => never,
): Scenario {
  const fields = Object.keys(DEFAULTS).filter((name) => given[name] !== undefined);
  const scenario: Scenario = { ...DEFAULTS, ...Object.fromEntries(fields.map((name) => [name, given[name]])) };
  const { data, partition, files, developmentFile, testFile } = scenario;
  if (data !== 'files') {
    if (partition === 'files') fail('partition', 'files goes with data: files, where each peer has a file');
    return scenario;
  }
  if (!(files.length > 0 && developmentFile && testFile))
    fail('data', 'files needs files (a list, one a peer), developmentFile and testFile');
  return { ...scenario, partition: 'files', peers: files.length };
}
