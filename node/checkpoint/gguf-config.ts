/**
 * @file The configuration of a model as Transformers would write it, from the metadata of its GGUF file. What says something of
 * how the model computes and is not known here is refused by name.
 */

import { UserError } from '../errors.ts';
import { readRows } from '../formats/dequantise.ts';
import { type Gguf, ggufValue } from '../formats/gguf.ts';
import { GGUF_KINDS, type GgufKind } from './gguf-names.ts';

type Config = Record<string, unknown>;

/** Reads the keys of one architecture; those that were asked for count as known. */
interface Keys {
  /** Throws where it is missing. */
  readonly number: (key: string) => number;
  readonly numberOr: <T>(key: string, otherwise: T) => number | T;
  /** Known, and of no effect here. */
  readonly pass: (...keys: readonly string[]) => void;
  /** Throws on another value, where there is one. */
  readonly expect: (key: string, allowed: readonly unknown[]) => void;
  readonly fail: (problem: string) => never;
}

const READERS: Readonly<Record<GgufKind, (keys: Keys, file: Gguf) => Config>> = {
  llama: (keys, file) => {
    const window = keys.numberOr('attention.sliding_window', null);
    const base = {
      ...decoder(keys, file),
      rope_parameters: rotary(keys, file),
      attention_bias: file.tensors.has('blk.0.attn_q.bias'),
      mlp_bias: file.tensors.has('blk.0.ffn_gate.bias'),
    };
    if (window === null || window === 0) return { architectures: ['LlamaForCausalLM'], model_type: 'llama', ...base };
    const { attention_bias: one, mlp_bias: other, ...rest } = base;
    if (one || other) keys.fail('has biases beside a sliding window');
    return { architectures: ['MistralForCausalLM'], model_type: 'mistral', ...rest, sliding_window: window };
  },
  qwen2: (keys, file) => ({
    architectures: ['Qwen2ForCausalLM'],
    model_type: 'qwen2',
    ...decoder(keys, file),
    rope_parameters: rotary(keys, file),
    use_sliding_window: false,
  }),
  qwen3: (keys, file) => ({
    architectures: ['Qwen3ForCausalLM'],
    model_type: 'qwen3',
    ...decoder(keys, file),
    rope_parameters: rotary(keys, file),
    attention_bias: false,
    use_sliding_window: false,
  }),
  gemma3: (keys, file) => {
    const { hidden_act: _, ...common } = decoder(keys, file);
    const layers = Number(common.num_hidden_layers);
    const pattern = keys.numberOr('attention.sliding_window_pattern', 6);
    // As in llama.cpp, where the largest, of 62 layers, has another scale.
    const query = layers === 62 ? Number(common.hidden_size) / Number(common.num_attention_heads) : common.head_dim;
    return {
      architectures: ['Gemma3ForCausalLM'],
      model_type: 'gemma3_text',
      ...common,
      hidden_activation: 'gelu_pytorch_tanh',
      query_pre_attn_scalar: query,
      sliding_window: keys.number('attention.sliding_window'),
      layer_types: Array.from({ length: layers }, (_, i) =>
        (i + 1) % pattern === 0 ? 'full_attention' : 'sliding_attention',
      ),
      rope_parameters: {
        full_attention: rotary(keys, file, 1_000_000),
        sliding_attention: { rope_type: 'default', rope_theta: keys.numberOr('rope.freq_base_swa', 10_000) },
      },
      final_logit_softcapping: keys.numberOr('final_logit_softcapping', null),
    };
  },
  gpt2: (keys, file) => {
    keys.pass('rope.dimension_count');
    return {
      architectures: ['GPT2LMHeadModel'],
      model_type: 'gpt2',
      activation_function: 'gelu_new',
      vocab_size: wordsOf(file),
      n_embd: keys.number('embedding_length'),
      n_layer: keys.number('block_count'),
      n_head: keys.number('attention.head_count'),
      n_inner: keys.number('feed_forward_length'),
      n_positions: keys.number('context_length'),
      layer_norm_epsilon: keys.number('attention.layer_norm_epsilon'),
      tie_word_embeddings: true,
    };
  },
};

/** What the file is of. Throws a UserError where that is no model, or none that is known here. */
export function ggufKind(file: Gguf): GgufKind {
  const fail = (problem: string): never => {
    throw new UserError('usage', `${file.path}: ${problem}; choose another file`);
  };
  const type = ggufValue(file, 'general.type', 'text') ?? 'model';
  if (type !== 'model') fail(`general.type is ${JSON.stringify(type)}; wanted a model`);
  const name = ggufValue(file, 'general.architecture', 'text');
  const kind = GGUF_KINDS.find((known) => known === name);
  return kind ?? fail(`general.architecture is ${JSON.stringify(name)}; wanted one of ${GGUF_KINDS.join(', ')}`);
}

/** The configuration. Throws a UserError that names the key that is missing, wrong, or not known. */
export function ggufConfig(file: Gguf): Config {
  const kind = ggufKind(file);
  const fail = (problem: string): never => {
    throw new UserError('usage', `${file.path}: ${problem}; choose another model, or convert it again`);
  };
  const known = new Set<string>();
  const numberOf = (key: string): number | undefined => {
    known.add(`${kind}.${key}`);
    const value = ggufValue(file, `${kind}.${key}`, 'number');
    return value === undefined ? undefined : asWritten(value, file.keys.get(`${kind}.${key}`)!.type);
  };
  const keys: Keys = {
    fail,
    number: (key) => numberOf(key) ?? fail(`${kind}.${key} is missing`),
    numberOr: (key, otherwise) => numberOf(key) ?? otherwise,
    pass: (...names) => {
      for (const name of names) known.add(`${kind}.${name}`);
    },
    expect: (key, allowed) => {
      known.add(`${kind}.${key}`);
      const value = file.value(`${kind}.${key}`);
      if (value !== undefined && !allowed.includes(value as never))
        fail(`${kind}.${key} is ${JSON.stringify(value)?.slice(0, 80)}; only ${allowed.join(', ')} is supported`);
    },
  };
  keys.pass('vocab_size', 'rope.scaling.finetuned');
  keys.expect('attention.causal', [true]);
  keys.expect('use_parallel_residual', [false]);
  keys.expect('tensor_data_layout', []);
  const config = READERS[kind](keys, file);
  for (const key of file.keys.keys())
    if (key.startsWith(`${kind}.`) && !known.has(key) && !isEmpty(file.value(key)))
      fail(`${key} is not known here and may change what is computed`);
  return config;
}

function isEmpty(value: unknown): boolean {
  return value === 0 || value === false || value === '' || (Array.isArray(value) && value.length === 0);
}

/** A number of 32 bits as whoever wrote the model wrote it: 1e-5, which is 0.000009999999747378752 there. */
function asWritten(value: number, type: string): number {
  if (type !== 'f32' || !Number.isFinite(value)) return value;
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

/** Rows of the embeddings. */
function wordsOf(file: Gguf): number {
  const tensor = file.tensors.get('token_embd.weight');
  if (tensor) return tensor.shape[0]!;
  throw new UserError('usage', `${file.path}: tensor token_embd.weight is missing; choose another file`);
}

function decoder(keys: Keys, file: Gguf): Config {
  const [hidden, heads] = [keys.number('embedding_length'), keys.number('attention.head_count')];
  const width = keys.numberOr('attention.key_length', hidden / heads);
  keys.expect('attention.value_length', [width]);
  keys.expect('rope.dimension_count', [width]);
  return {
    vocab_size: wordsOf(file),
    hidden_size: hidden,
    intermediate_size: keys.number('feed_forward_length'),
    num_hidden_layers: keys.number('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: keys.numberOr('attention.head_count_kv', heads),
    head_dim: width,
    hidden_act: 'silu',
    max_position_embeddings: keys.number('context_length'),
    rms_norm_eps: keys.number('attention.layer_norm_rms_epsilon'),
    tie_word_embeddings: !file.tensors.has('output.weight'),
  };
}

/** Frequencies of the rotary positions and how they are scaled; `theta` where the file does not say. */
function rotary(keys: Keys, file: Gguf, standard = 10_000): Config {
  const theta = keys.numberOr('rope.freq_base', standard);
  const old = keys.numberOr('rope.scale_linear', 1);
  keys.expect('rope.scaling.type', ['none', 'linear']);
  const factor = keys.numberOr('rope.scaling.factor', old);
  const isScaled = factor !== 1 && factor !== 0;
  keys.pass('rope.scaling.original_context_length');
  const found = file.tensors.has(FACTORS) ? llama3Scaling(keys, file, theta) : null;
  if (found && isScaled) keys.fail(`scales its rotary positions twice, by ${FACTORS} and by rope.scaling`);
  if (found) return { rope_type: 'llama3', rope_theta: theta, ...found };
  return isScaled ? { rope_type: 'linear', rope_theta: theta, factor } : { rope_type: 'default', rope_theta: theta };
}

/** What llama.cpp divides each frequency by, which it writes in place of the settings of Llama 3. */
const FACTORS = 'rope_freqs.weight';
/** Positions that models of this kind were trained on before they were stretched. */
const ORIGINALS = Array.from({ length: 16 }, (_, i) => 2 ** (i + 3));
const [LOW, HIGH] = [1, 4];

/** The settings that give these factors: those of every Llama 3, but for the factor and the positions trained on. */
function llama3Scaling(keys: Keys, file: Gguf, theta: number): Config {
  const width = 2 * file.tensors.get(FACTORS)!.shape.at(-1)!;
  const factors = new Float32Array(width / 2);
  readRows(file, FACTORS, factors);
  const factor = asWritten(Math.max(...factors), 'f32');
  const expected = (original: number) => (given: number, i: number) => {
    const turns = (original * theta ** ((-2 * i) / width)) / (2 * Math.PI);
    const smooth = (turns - LOW) / (HIGH - LOW);
    const wanted = turns < LOW ? factor : turns > HIGH ? 1 : 1 / ((1 - smooth) / factor + smooth);
    return Math.abs(given - wanted) <= 1e-4 * wanted;
  };
  const original = ORIGINALS.find((positions) => factors.every(expected(positions)));
  if (original === undefined) return keys.fail(`${FACTORS} scales rotary positions in a way that is not known here`);
  return {
    factor,
    low_freq_factor: LOW,
    high_freq_factor: HIGH,
    original_max_position_embeddings: original,
  };
}
