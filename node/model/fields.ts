/** @file The fields of a model's config.json, read one by one; what is not known and says something is refused. */
import { UserError } from '../errors.ts';

export interface ConfigReader {
  /** A positive integer. Throws on anything else, or above `most`. */
  integer(key: string, most?: number): number;
  /** A positive number; the fallback where it is left out. */
  positive(key: string, fallback?: number): number;
  /** An integer from 1 where it is set, else the fallback. */
  integerOr(key: string, fallback: number): number;
  /** The value as it stands, for whoever checks it; the field counts as known. */
  value(key: string): unknown;
  /** An object that is no list; null where it is not set. */
  object(key: string): Readonly<Record<string, unknown>> | null;
  /** Whether a field is true; false where it is not set. */
  flag(key: string, fallback?: boolean): boolean;
  /** Throws unless the value (or the fallback, where it is missing) is one of `allowed`. */
  expect(key: string, allowed: readonly unknown[], fallback?: unknown): void;
  /** Throws on the first other field that is set to something, since it may change what is computed. */
  known(fields: readonly string[]): void;
  fail(problem: string): never;
}

/** More are a mistake, not a model. */
export const MAX_LAYERS = 1000;

/** Fields of every config.json of transformers that change nothing of what a forward pass computes. */
const COMMON = [
  ...['architectures', 'model_type', '_name_or_path', 'transformers_version', 'torch_dtype', 'dtype', 'use_cache'],
  ...['id2label', 'label2id', 'num_labels', 'finetuning_task', 'problem_type', 'tokenizer_class', 'prefix'],
  ...['return_dict', 'output_attentions', 'output_hidden_states', 'torchscript', 'use_bfloat16', 'name_or_path'],
  ...['task_specific_params', 'chunk_size_feed_forward', 'is_encoder_decoder', '_commit_hash', 'tie_encoder_decoder'],
  ...['_attn_implementation_autoset', 'attn_implementation', '_attn_implementation', 'model_max_length'],
];

/** A reader of the fields of a file; what it throws names both. */
export function createReader(path: string, config: Readonly<Record<string, unknown>>): ConfigReader {
  const fail = (problem: string): never => {
    throw new UserError('usage', `${path}: ${problem}`);
  };
  const number = (key: string): number => {
    const value = config[key];
    return typeof value === 'number' && Number.isFinite(value)
      ? value
      : fail(`${key} is ${shown(value)}; wanted a number`);
  };
  const expected = new Set<string>();
  return {
    fail,
    known: (fields) => {
      const known = new Set([...COMMON, ...fields, ...expected]);
      const other = Object.keys(config).find((key) => !known.has(key) && !isUnset(config[key]));
      if (other !== undefined)
        fail(`${other} is ${shown(config[other])}, which is not known here and may change what is computed`);
    },
    value: (key) => {
      expected.add(key);
      return config[key];
    },
    object: (key) => {
      expected.add(key);
      const value = config[key] ?? null;
      if (typeof value !== 'object' || Array.isArray(value)) return fail(`${key} is ${shown(value)}; wanted an object`);
      return value as Readonly<Record<string, unknown>> | null;
    },
    flag: (key, fallback = false) => {
      expected.add(key);
      const value = config[key] ?? fallback;
      return typeof value === 'boolean' ? value : fail(`${key} is ${shown(value)}; wanted true or false`);
    },
    integerOr: (key, fallback) => {
      expected.add(key);
      const value = config[key] ?? fallback;
      return Number.isInteger(value) && Number(value) > 0
        ? Number(value)
        : fail(`${key} is ${shown(value)}; wanted a positive integer`);
    },
    positive: (key, fallback) => {
      expected.add(key);
      const value = config[key] === undefined && fallback !== undefined ? fallback : number(key);
      return value > 0 ? value : fail(`${key} is ${value}; wanted a positive number`);
    },
    integer: (key, most = 2 ** 31 - 1) => {
      expected.add(key);
      const value = number(key);
      return Number.isInteger(value) && value > 0 && value <= most
        ? value
        : fail(`${key} is ${value}; wanted a positive integer of at most ${most}`);
    },
    expect: (key, allowed, fallback) => {
      expected.add(key);
      const value = config[key] ?? fallback;
      if (!allowed.includes(value))
        fail(`${key} is ${shown(value)}; only ${allowed.map(String).join(', ')} is supported`);
    },
  };
}

/** A value in a line: a file can hold anything, of any length. */
export function shown(value: unknown): string | undefined {
  return JSON.stringify(value)?.slice(0, 80);
}

/** Whether a field says nothing: null, false, or empty. */
export function isUnset(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

const LAYER_TYPES = ['full_attention', 'sliding_attention'];

/** What each layer attends to, where `layer_types` says so; else null. */
export function readLayerTypes(reader: ConfigReader, count: number): readonly string[] | null {
  const types = reader.value('layer_types') ?? null;
  if (types === null) return null;
  if (!(Array.isArray(types) && types.length === count && types.every((type) => LAYER_TYPES.includes(type))))
    return reader.fail(`layer_types is ${shown(types)}; wanted ${count} of ${LAYER_TYPES.join(', ')}`);
  return types;
}
