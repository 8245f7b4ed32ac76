/** @file The architecture that a configuration names, written as in the config.json of Transformers. */
import type { Architecture } from './architecture.ts';
import { createDecoder } from './decoder.ts';
import { createBert, createDistilbert, createRoberta } from './encoder.ts';
import { type ConfigReader, createReader } from './fields.ts';
import { createGpt2 } from './gpt2.ts';
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

/**
 * The architecture that a configuration describes, as config.json has it. Throws a UserError that names where it stands and what
 * it should hold.
 */
export function makeArchitecture(where: string, config: Readonly<Record<string, unknown>>): Architecture {
  const reader = createReader(where, config);
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
