/** @file Reads a Hugging Face config.json and finds the architecture it names. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, UserError } from '../errors.ts';
import type { Architecture } from './architecture.ts';
import { createBert } from './bert.ts';

/** One entry an architecture. */
const ARCHITECTURES: Readonly<Record<string, (reader: ConfigReader) => Architecture>> = {
  BertForMaskedLM: createBert,
};

export interface ConfigReader {
  integer(key: string): number;
  number(key: string): number;
  /** Throws unless the value (or the fallback, where it is missing) is one of `allowed`. */
  expect(key: string, allowed: readonly unknown[], fallback?: unknown): void;
  fail(problem: string): never;
}

/** The architecture of a model folder. Throws a UserError naming the file and what it should hold. */
export function readArchitecture(folder: string): Architecture {
  const path = join(folder, 'config.json');
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UserError(
      'usage',
      `${folder}: not a model folder, config.json cannot be read (${messageOf(error)}); wanted a Hugging Face folder with config.json, model.safetensors and tokenizer.json`,
    );
  }
  const reader = createReader(path, config);
  const name = (config.architectures as string[] | undefined)?.[0] ?? '(none)';
  const create = ARCHITECTURES[name];
  return create
    ? create(reader)
    : reader.fail(`architecture ${name} is not known; wanted one of ${Object.keys(ARCHITECTURES).join(', ')}`);
}

function createReader(path: string, config: Record<string, unknown>): ConfigReader {
  const fail = (problem: string): never => {
    throw new UserError('usage', `${path}: ${problem}`);
  };
  const number = (key: string): number => {
    const value = config[key];
    return typeof value === 'number' && Number.isFinite(value)
      ? value
      : fail(`${key} is ${JSON.stringify(value)}; wanted a number`);
  };
  return {
    fail,
    number,
    integer: (key) => {
      const value = number(key);
      return Number.isInteger(value) && value > 0 ? value : fail(`${key} is ${value}; wanted a positive integer`);
    },
    expect: (key, allowed, fallback) => {
      const value = config[key] ?? fallback;
      if (!allowed.includes(value))
        fail(`${key} is ${JSON.stringify(value)}; only ${allowed.map(String).join(', ')} is supported`);
    },
  };
}
