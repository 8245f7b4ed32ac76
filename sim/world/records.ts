/** @file What scenarios leave behind: a line of JSON a finished run, found again by what it computes. */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../node/errors.ts';
import { fieldsOf } from '../../node/schema.ts';
import { checkSource, sourceOf } from '../../node/source.ts';
import { WORLD_FIELDS } from '../fields.ts';
import type { ScenarioRun } from './run.ts';
import type { SimulationResult } from './simulate.ts';

export interface Simulated {
  readonly run: ScenarioRun;
  readonly result: SimulationResult;
}

export interface SimulationRecord extends ScenarioRun {
  readonly key: string;
  /** Of the package that ran it. */
  readonly version: string;
  readonly result: SimulationResult;
}

/** The same for the same world, settings, seed and version of the package. */
export function keyOf({ seed, scenario, settings }: ScenarioRun, version: string): string {
  const text = JSON.stringify([version, seed, scenario, settings]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** Appends one record to `NAME.jsonl`, or to the shard's own file, so that shards may share a folder. */
export function appendRecord(folder: string, name: string, shard: string | undefined, record: SimulationRecord): void {
  const part = shard === undefined ? '' : `.${shard.replace('/', 'of')}`;
  const path = join(folder, `${name}${part}.jsonl`);
  const isTorn = existsSync(path) && !/(^|\n)$/.test(readFileSync(path, 'utf8'));
  appendFileSync(path, `${isTorn ? '\n' : ''}${JSON.stringify(record)}\n`);
}

/** Every whole record of a scenario in a folder, those of shards included, by key. Throws a UserError on another version's. */
export function readSimulations(folder: string, name: string, version: string): Map<string, SimulationRecord> {
  return new Map(
    filesOf(folder, name)
      .flatMap((file) => readLines(file, version))
      .map((record) => [record.key, record]),
  );
}

function filesOf(folder: string, name: string): string[] {
  const isOurs = (file: string): boolean =>
    file === `${name}.jsonl` || (file.startsWith(`${name}.`) && /^\d+of\d+\.jsonl$/.test(file.slice(name.length + 1)));
  const files = existsSync(folder) ? readdirSync(folder).filter(isOurs).sort() : [];
  return files.map((file) => join(folder, file));
}

/** The file of a folder that holds a record. */
export function fileOf(folder: string, name: string, key: string): string {
  const files = filesOf(folder, name);
  return files.find((file) => readFileSync(file, 'utf8').includes(`"key":"${key}"`)) ?? join(folder, `${name}.jsonl`);
}

/** A world as records have it: every field, and no other. */
const WORLD = fieldsOf(Object.fromEntries(Object.entries(WORLD_FIELDS).map(([name, { accepts }]) => [name, accepts])), {
  required: Object.keys(WORLD_FIELDS),
});

/** The record in a file, by line from 1 or by key. Throws a UserError where there is none, or one of another version. */
export function readRecord(path: string, which: string, version: string): SimulationRecord {
  const fail = (got: string): never => {
    throw new UserError('usage', `${path}: ${got}; wanted a NAME.jsonl that "lorikeet sim" has written`);
  };
  if (!existsSync(path) || !statSync(path).isFile()) return fail('no such file');
  const records = readLines(path, version);
  const record =
    records.find(({ key }) => key === which) ?? (/^\d{1,9}$/.test(which) ? records[Number(which) - 1] : null);
  if (!record) return fail(`has ${records.length} whole runs, none in line or of key ${which}`);
  checkSource(WORLD, record.scenario, sourceOf(`${path}, run ${record.key}`));
  return record;
}

/** A line cut short by a crash is left out. Throws a UserError on what another version of the package has recorded. */
function readLines(path: string, version: string): SimulationRecord[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line, i) => {
      const record = parseLine(line);
      if (!record?.result || !record.scenario || !record.settings) return [];
      if (record.version !== version)
        throw new UserError(
          'incompatible',
          `${path}:${i + 1}: a record of ${record.version === undefined ? 'no version' : `version ${record.version}`}; this is ${version}: choose another folder with --out, or remove this file to run it all again`,
        );
      return [record];
    });
}

function parseLine(line: string): SimulationRecord | null {
  try {
    return JSON.parse(line) as SimulationRecord | null;
  } catch {
    return null;
  }
}
