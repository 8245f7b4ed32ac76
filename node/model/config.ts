/** @file Reads a Hugging Face config.json and finds the architecture it names. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import type { Architecture } from './architecture.ts';
import { createDecoder } from './decoder.ts';
import { createBert, createDistilbert, createRoberta } from './encoder.ts';
import { type ConfigReader, createReader } from './fields.ts';
import { createGpt2 } from './gpt2.ts';
import { readJsonObject } from './json.ts';
import { createModernBert } from './modernbert.ts';

/** One entry an architecture. */
const ARCHITECTURES: Readonly<Record<string, { type: string; create: (reader: ConfigReader) => Architecture }>> = {
  BertForMaskedLM: { type: 'bert', create: createBert },
  /** The same, with a second head that is left alone. */
  BertForPreTraining: { type: 'bert', create: createBert },
  RobertaForMaskedLM: { type: 'roberta', create: createRoberta },
  DistilBertForMaskedLM: { type: 'distilbert', create: createDistilbert },
  ModernBertForMaskedLM: { type: 'modernbert', create: createModernBert },
  GPT2LMHeadModel: { type: 'gpt2', create: createGpt2 },
  LlamaForCausalLM: { type: 'llama', create: createDecoder('llama') },
  MistralForCausalLM: { type: 'mistral', create: createDecoder('mistral') },
  Qwen2ForCausalLM: { type: 'qwen2', create: createDecoder('qwen2') },
  Qwen3ForCausalLM: { type: 'qwen3', create: createDecoder('qwen3') },
  Gemma3ForCausalLM: { type: 'gemma3_text', create: createDecoder('gemma3') },
};

/** What a config.json without `architectures` is taken for, by its model_type; its weights tell whether it is. */
export const BY_TYPE: Readonly<Record<string, string>> = {
  bert: 'BertForMaskedLM',
  roberta: 'RobertaForMaskedLM',
  distilbert: 'DistilBertForMaskedLM',
  modernbert: 'ModernBertForMaskedLM',
  gpt2: 'GPT2LMHeadModel',
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
  gemma3_text: 'Gemma3ForCausalLM',
};

/** The architecture of a model folder. Throws a UserError naming the file and what it should hold. */
export function readArchitecture(folder: string): Architecture {
  const path = join(folder, 'config.json');
  if (!existsSync(path))
    throw new UserError(
      'usage',
      `${folder}: not a model folder, it has no config.json; wanted a Hugging Face folder with config.json, model.safetensors and tokenizer.json`,
    );
  const config = readJsonObject(path, 'the configuration of a Hugging Face model');
  const reader = createReader(path, config);
  const { architectures: names, model_type: type } = config;
  if (names !== undefined && names !== null && !Array.isArray(names))
    return reader.fail(`architectures is ${JSON.stringify(names)}; wanted a list`);
  const name = String((names as unknown[] | null | undefined)?.[0] ?? BY_TYPE[String(type)] ?? '(none)');
  const found = Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined;
  if (found && type !== undefined && type !== null && type !== found.type)
    return reader.fail(
      `model_type is ${JSON.stringify(type)}, architectures is ${name}; wanted model_type ${found.type}`,
    );
  return found
    ? found.create(reader)
    : reader.fail(`architecture ${name} is not known; wanted one of ${Object.keys(ARCHITECTURES).join(', ')}`);
}
