/** @file Reads a Hugging Face config.json and finds the architecture it names. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, UserError } from '../errors.ts';
import type { Architecture } from './architecture.ts';
import { createBert } from './bert.ts';
import { type ConfigReader, createReader } from './fields.ts';

/** One entry an architecture. */
const ARCHITECTURES: Readonly<Record<string, (reader: ConfigReader) => Architecture>> = {
  BertForMaskedLM: createBert,
  /** The same, with a second head that is left alone. */
  BertForPreTraining: createBert,
};

/** What a config.json without `architectures` is taken for, by its model_type; its weights tell whether it is. */
const BY_TYPE: Readonly<Record<string, string>> = { bert: 'BertForMaskedLM' };

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
  const given = (config.architectures as string[] | null | undefined)?.[0];
  const name = given ?? BY_TYPE[String(config.model_type)] ?? '(none)';
  const create = ARCHITECTURES[name];
  return create
    ? create(reader)
    : reader.fail(`architecture ${name} is not known; wanted one of ${Object.keys(ARCHITECTURES).join(', ')}`);
}
