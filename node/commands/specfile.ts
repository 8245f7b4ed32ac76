/** @file What `experiment` and `sim` share of their command lines: the YAML file, `--set`, `--seeds` and `--shard`. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { messageOf, UserError } from '../errors.ts';
import type { Flags } from './flags.ts';

export type SpecFlags = Flags & { readonly set?: readonly string[] };

/** The file with the command line's changes, and the command that would ask for the same again. */
export function readSpecFile(
  name: string,
  path: string,
  flags: SpecFlags,
): { given: Record<string, unknown>; command: string } {
  const sets = flags.set ?? [];
  const given = applySets(readYaml(path), sets);
  const seeds = flags.seeds === undefined ? [] : [`--seeds ${flags.seeds}`];
  if (flags.seeds !== undefined) given.seeds = seedsOf(String(flags.seeds));
  return { given, command: ['lorikeet', name, path, ...sets.map((s) => `--set '${s}'`), ...seeds].join(' ') };
}

function readYaml(path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UserError(
      'usage',
      `${path}: cannot be read (${messageOf(error).split('\n')[0]}); wanted a YAML file such as sim/experiments/labels.yaml`,
    );
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new UserError('usage', `${path}: holds no fields; wanted YAML with name, methods and seeds`);
}

/** Overrides fields: `--set seeds=[1,2]`, `--set settings.rounds=3`. */
function applySets(spec: Record<string, unknown>, sets: readonly string[]): Record<string, unknown> {
  const out = structuredClone(spec);
  for (const set of sets) {
    const match = /^([\w.-]+)=(.*)$/s.exec(set);
    if (!match)
      throw new UserError('usage', `--set: got "${set}"; wanted field=value, such as seeds=[1,2] or settings.rounds=3`);
    const names = match[1]!.split('.');
    if (names.includes('__proto__')) throw new UserError('usage', `--set: got "${set}"; no field has that name`);
    let place = out;
    for (const name of names.slice(0, -1)) {
      if (typeof place[name] !== 'object' || place[name] === null) place[name] = {};
      place = place[name] as Record<string, unknown>;
    }
    place[names.at(-1)!] = readValue(match[2]!, set);
  }
  return out;
}

function readValue(text: string, set: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new UserError('usage', `--set: got "${set}"; its value is not YAML (${messageOf(error).split('\n')[0]})`);
  }
}

const MAX_SEEDS = 10_000;

/** `1..5`, or seeds separated by commas. */
function seedsOf(flag: string): string[] {
  const range = /^(\d+)\.\.(\d+)$/.exec(flag);
  const [first, last] = [Number(range?.[1]), Number(range?.[2])];
  const count = Math.min(Math.max(0, last - first + 1), MAX_SEEDS + 1);
  const seeds = range ? Array.from({ length: count }, (_, i) => String(first + i)) : flag.split(',');
  if (seeds.length > 0 && seeds.length <= MAX_SEEDS && seeds.every((seed) => /^[\x21-\x7e]+$/.test(seed))) return seeds;
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
