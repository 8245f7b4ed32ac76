/** @file What `experiment` and `sim` share of their command lines: the YAML file, `--set`, `--seeds` and `--shard`. */
import { messageOf, UserError } from '../errors.ts';
import type { Path } from '../schema.ts';
import type { Source } from '../source.ts';
import { readYaml, readYamlValue } from '../yaml.ts';
import type { Flags } from './flags.ts';

export type SpecFlags = Flags & { readonly set?: readonly string[] };

/** A file with the command line's changes. */
export interface SpecFile {
  readonly given: Record<string, unknown>;
  /** Where what stands: a line, or the flag that changed it. */
  readonly source: Source;
  /** What would ask for the same again. */
  readonly command: string;
}

/** A flag that changes a field. */
interface Change {
  readonly flag: string;
  readonly path: readonly string[];
}

/** Reads the file of a command, its flags on top. Throws a UserError where there is none. */
export function readSpecFile(
  name: string,
  path: string,
  flags: { readonly set?: readonly string[]; readonly seeds?: string | boolean | undefined },
): SpecFile {
  const sets = flags.set ?? [];
  const { given: read, source } = readYaml(path, 'a YAML file such as sim/experiments/labels.yaml');
  const given = applySets(read, sets);
  const changes = sets.map((set): Change => ({ flag: `--set '${set}'`, path: set.split('=')[0]!.split('.') }));
  const seeds = flags.seeds === undefined ? [] : [`--seeds ${flags.seeds}`];
  if (flags.seeds !== undefined) {
    given.seeds = seedsOf(String(flags.seeds));
    changes.push({ flag: seeds[0]!, path: ['seeds'] });
  }
  const command = ['lorikeet', name, path, ...sets.map((s) => `--set '${s}'`), ...seeds].join(' ');
  return { given, source: withChanges(source, changes), command };
}

/** A source in which what a flag changed stands in the flag. */
function withChanges(source: Source, changes: readonly Change[]): Source {
  const isWithin = (change: Change, path: Path): boolean => change.path.every((step, i) => step === String(path[i]));
  return {
    ...source,
    placeOf: (path) => {
      const change = changes.findLast((one) => isWithin(one, path));
      return change ? { text: `${source.path}, ${change.flag}`, line: 0 } : source.placeOf(path);
    },
  };
}

/** Overrides fields: `--set seeds=[1,2]`, `--set settings.rounds=3`. */
function applySets(spec: Record<string, unknown>, sets: readonly string[]): Record<string, unknown> {
  const out = copyOf(spec) as Record<string, unknown>; // what an alias stands for is changed in one place alone
  for (const set of sets) {
    const match = /^([\w.-]+)=(.*)$/s.exec(set);
    if (!match)
      throw new UserError(
        'usage',
        `--set: got "${shown(set)}"; wanted field=value, such as seeds=[1,2] or settings.rounds=3`,
      );
    const names = match[1]!.split('.');
    if (names.includes('__proto__')) throw new UserError('usage', `--set: got "${shown(set)}"; no field has that name`);
    let place = out;
    for (const name of names.slice(0, -1)) {
      if (typeof place[name] !== 'object' || place[name] === null) place[name] = {};
      place = place[name] as Record<string, unknown>;
    }
    place[names.at(-1)!] = readValue(match[2]!, set);
  }
  return out;
}

/** A change in a message of one line. */
function shown(set: string): string {
  return set.length > 80 ? `${set.slice(0, 77)}...` : set;
}

function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, copyOf(of)]));
}

function readValue(text: string, set: string): unknown {
  try {
    return readYamlValue(text);
  } catch (error) {
    throw new UserError(
      'usage',
      `--set: got "${shown(set)}"; its value is not YAML (${shown(messageOf(error).split('\n')[0]!)})`,
    );
  }
}

const MAX_SEEDS = 10_000;

/** `1..5`, or seeds separated by commas. */
function seedsOf(flag: string): string[] {
  const range = /^(\d+)\.\.(\d+)$/.exec(flag);
  const [first, last] = [Number(range?.[1]), Number(range?.[2])];
  const count = Math.min(Math.max(0, last - first + 1), MAX_SEEDS + 1);
  const seeds = range ? Array.from({ length: count }, (_, i) => String(first + i)) : flag.split(',');
  const isSeed = (seed: string): boolean => /^[\x21-\x7e]+$/.test(seed) && !seed.includes('..');
  if (seeds.length > 0 && seeds.length <= MAX_SEEDS && seeds.every(isSeed)) return seeds;
  throw new UserError(
    'usage',
    `--seeds: got "${flag}"; wanted first..last, such as 1..5, or seeds separated by commas`,
  );
}

/** Every n-th run, for many machines: `2/4` is the second of four. */
export function shardOf<T>(runs: readonly T[], shard: string | boolean | undefined): readonly T[] {
  if (shard === undefined) return runs;
  const match = /^(\d+)\/(\d+)$/.exec(String(shard));
  const [index, count] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || index < 1 || index > count)
    throw new UserError('usage', `--shard: got "${shard}"; wanted i/n, such as 2/4`);
  return runs.filter((_, i) => i % count === index - 1);
}
