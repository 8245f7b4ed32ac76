/** @file A model as a GGUF file is the same base as its folder, for every architecture; what its metadata say otherwise is refused. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { baseVector, openBase } from '../../node/checkpoint/base.ts';
import { openCheckpoint } from '../../node/checkpoint/checkpoint.ts';
import { GGUF_OF_TYPE, type GgufKind, ggufNames, turnedRow } from '../../node/checkpoint/gguf-names.ts';
import { UserError } from '../../node/errors.ts';
import { encodeSafetensors, openSafetensors, tensorData } from '../../node/formats/safetensors.ts';
import { ggufBytes, type Typed, type Written, written } from '../formats/parts/writer.ts';
import { fixture, temporaryFolder } from '../support.ts';

interface Model {
  readonly folder: string;
  readonly kind: GgufKind;
  readonly keys: Record<string, Typed>;
  readonly tensors: Record<string, Written>;
}

type Config = Readonly<Record<string, number>> & { readonly model_type: string };

/** A fixture whose norms are numbers that 1 can be added to and taken from, and what llama.cpp's converter makes of it. */
function model(name: string, change: Record<string, unknown> = {}): Model {
  const folder = temporaryFolder();
  cpSync(fixture(name), folder, { recursive: true });
  const path = (file: string): string => join(folder, file);
  const config = { ...JSON.parse(readFileSync(path('config.json'), 'utf8')), ...change } as Config;
  writeFileSync(path('config.json'), JSON.stringify(config));
  const kind = GGUF_OF_TYPE[config.model_type]!;
  const file = openSafetensors(path('model.safetensors'));
  const all = [...file.tensors].map(([tensor, { shape }]) => ({ name: tensor, shape, data: tensorData(file, tensor) }));
  for (const { data, shape } of all)
    if (shape.length === 1) for (let i = 0; i < data.length; i++) data[i] = Math.round(1024 * data[i]!) / 1024 || 0;
  writeFileSync(path('model.safetensors'), encodeSafetensors(all, {}));
  const tensors = Object.fromEntries(
    all.map(({ name: tensor, shape, data }) => {
      const names = ggufNames(kind);
      const stored = names.toGguf(tensor)!;
      assert.is(names.fromGguf(stored), tensor);
      return [stored, converted(names.changeOf(tensor), { shape, data }, config.head_dim ?? 0)];
    }),
  );
  return { folder, kind, keys: keysOf(kind, config), tensors };
}

/** As modify_tensors of convert_hf_to_gguf.py has it. */
function converted(
  change: string,
  { shape, data }: { shape: readonly number[]; data: Float32Array },
  width: number,
): Written {
  const columns = shape.length === 1 ? 1 : shape[1]!;
  const out = Float32Array.from(data);
  if (change === 'raised') for (let i = 0; i < out.length; i++) out[i]! += 1;
  // reshape(heads, 2, width / 2, ...).swapaxes(1, 2)
  if (change === 'turned')
    for (let row = 0; row < shape[0]!; row++) {
      const [head, half, i] = [Math.floor(row / width), Math.floor((row % width) / (width / 2)), row % (width / 2)];
      const to = head * width + 2 * i + half;
      assert.is(turnedRow(row, width), to);
      out.set(data.subarray(row * columns, (row + 1) * columns), to * columns);
    }
  if (change === 'transposed') {
    for (let i = 0; i < data.length; i++) out[(i % columns) * shape[0]! + Math.floor(i / columns)] = data[i]!;
    return { type: 0, lengths: shape, data: new Uint8Array(out.buffer) };
  }
  return { type: 0, lengths: [...shape].reverse(), data: new Uint8Array(out.buffer) };
}

const u32 = (value: number): Typed => [4, value];
const f32 = (value: number): Typed => [6, value];
const text = (value: string): Typed => [8, value];

function keysOf(kind: GgufKind, config: Config): Record<string, Typed> {
  const theta = (config as { rope_parameters?: { rope_theta?: number } }).rope_parameters?.rope_theta ?? 1_000_000;
  const own: Record<string, Typed> =
    kind === 'gpt2'
      ? {
          context_length: u32(config.n_positions!),
          embedding_length: u32(config.n_embd!),
          feed_forward_length: u32(config.n_inner!),
          block_count: u32(config.n_layer!),
          'attention.head_count': u32(config.n_head!),
          'attention.layer_norm_epsilon': f32(config.layer_norm_epsilon!),
        }
      : {
          vocab_size: u32(config.vocab_size!),
          context_length: u32(config.max_position_embeddings!),
          embedding_length: u32(config.hidden_size!),
          feed_forward_length: u32(config.intermediate_size!),
          block_count: u32(config.num_hidden_layers!),
          'attention.head_count': u32(config.num_attention_heads!),
          'attention.head_count_kv': u32(config.num_key_value_heads!),
          'attention.layer_norm_rms_epsilon': f32(config.rms_norm_eps!),
          'rope.freq_base': f32(theta),
          ...(config.head_dim
            ? { 'attention.key_length': u32(config.head_dim), 'attention.value_length': u32(config.head_dim) }
            : {}),
          ...(config.sliding_window ? { 'attention.sliding_window': u32(config.sliding_window) } : {}),
        };
  const named = Object.entries(own).map(([key, value]) => [`${kind}.${key}`, value] as const);
  return { 'general.architecture': text(kind), 'general.file_type': u32(0), ...Object.fromEntries(named) };
}

const fileOf = ({ keys, tensors }: Model, more: Record<string, Typed> = {}): string =>
  written(ggufBytes({ ...keys, ...more }, tensors));

/** What llama.cpp's converter writes for the rotary scaling of Llama 3. */
function factors(width: number, theta: number, original: number): Written {
  const data = Float32Array.from({ length: width / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / width);
    if (wavelength < original / 4) return 1;
    if (wavelength > original) return 8;
    const smooth = (original / wavelength - 1) / (4 - 1);
    return 1 / ((1 - smooth) / 8 + smooth);
  });
  return { type: 0, lengths: [width / 2], data: new Uint8Array(data.buffer) };
}

const MODELS: Readonly<Record<string, () => Model>> = {
  'llama-qv': () => model('llama-qv'),
  'llama3-qv': () => {
    const made = model('llama3-qv');
    made.tensors['rope_freqs.weight'] = factors(8, 10_000, 16);
    return made;
  },
  'mistral-window-qv': () => model('mistral-window-qv'),
  'qwen2-qv': () => model('qwen2-qv'),
  'qwen3-qv': () => model('qwen3-qv'),
  'gemma3-qv': () => {
    const made = model('gemma3-qv', { layer_types: undefined, query_pre_attn_scalar: 12 });
    made.keys['gemma3.attention.sliding_window_pattern'] = u32(6);
    return made;
  },
  'gpt2-qv': () => model('gpt2-qv'),
};

for (const [name, make] of Object.entries(MODELS))
  test(`${name} is the same base as a folder and as a GGUF file`, async () => {
    const made = make();
    const [folder, file] = [await openBase(made.folder), await openBase(fileOf(made))];
    assert.is(file.architecture.fingerprint, folder.architecture.fingerprint);
    assert.equal(await baseVector(file), await baseVector(folder));
    assert.is(file.sha256, folder.sha256);
    assert.is(file.cache, folder.cache);
  });

/** A byte-level BPE as Hugging Face's library writes it, and as llama.cpp's converter does, filled up to the rows of the embeddings. */
function tokenizers(): { json: object; keys: Record<string, Typed> } {
  const printable = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
  const tokens = [
    '<|end|>',
    ...printable,
    '\u0120',
    '\u010a',
    '\u0109',
    'th',
    'the',
    'he',
    '\u0120t',
    '\u0120the',
    '12',
  ];
  const merges = ['t h', 'th e', 'h e', '\u0120 t', '\u0120t he', '1 2'];
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const json = {
    added_tokens: [{ id: 0, content: '<|end|>', special: true, normalized: false, lstrip: false, rstrip: false }],
    normalizer: null,
    pre_tokenizer: bytes,
    post_processor: bytes,
    decoder: bytes,
    model: { type: 'BPE', unk_token: null, vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
  };
  const filled = [...tokens, ...Array.from({ length: 128 - tokens.length }, (_, i) => `[PAD${tokens.length + i}]`)];
  const keys: Record<string, Typed> = {
    'tokenizer.ggml.model': text('gpt2'),
    'tokenizer.ggml.pre': text('gpt-2'),
    'tokenizer.ggml.tokens': [9, [8, filled]],
    'tokenizer.ggml.token_type': [9, [5, filled.map((_, id) => (id === 0 ? 3 : id < tokens.length ? 1 : 5))]],
    'tokenizer.ggml.merges': [9, [8, merges]],
    'tokenizer.ggml.eos_token_id': u32(0),
  };
  return { json, keys };
}

test('a tokenizer that does the same is the same, one that cuts otherwise is another', async () => {
  const made = model('llama-qv');
  const { json, keys } = tokenizers();
  writeFileSync(join(made.folder, 'tokenizer.json'), JSON.stringify(json));
  writeFileSync(join(made.folder, 'tokenizer_config.json'), '{"eos_token":"<|end|>"}');
  const hash = async (path: string): Promise<string> => (await openBase(path)).sha256;
  const folder = await hash(made.folder);
  assert.is(await hash(fileOf(made, keys)), folder);
  assert.is.not(await hash(fileOf(made)), folder);
  assert.is.not(await hash(fileOf(made, { ...keys, 'tokenizer.ggml.pre': text('smollm') })), folder);
});

test('rows are read alone as they are read together', () => {
  for (const name of ['llama-qv', 'gpt2-qv', 'gemma3-qv']) {
    const { tensors } = openCheckpoint(fileOf(MODELS[name]!()));
    for (const [tensor, { shape, readRows }] of tensors) {
      if (shape.length === 1) continue;
      const [rows, columns] = shape as [number, number];
      const all = new Float32Array(rows * columns);
      readRows(all);
      const some = new Float32Array(3 * columns);
      readRows(some, { begin: 5, end: 8 });
      assert.equal(some, all.slice(5 * columns, 8 * columns), tensor);
    }
  }
});

const refusal = (path: string): string => {
  try {
    openCheckpoint(path);
  } catch (error) {
    assert.instance(error, UserError, String(error));
    assert.not.match((error as Error).message, /\n/);
    return (error as Error).message;
  }
  return 'taken';
};

test('metadata that may change what is computed and are not known are refused by name', () => {
  const made = model('llama-qv');
  const refused: Record<string, [Typed, RegExp]> = {
    'llama.expert_count': [u32(8), /llama\.expert_count is not known here/],
    'llama.attention.clamp_kqv': [f32(8), /llama\.attention\.clamp_kqv is not known/],
    'llama.rope.scaling.type': [text('yarn'), /rope\.scaling\.type is "yarn"; only none, linear/],
    'llama.attention.value_length': [u32(4), /attention\.value_length is 4; only 8/],
    'llama.attention.head_count_kv': [[9, [4, [2, 2]]], /head_count_kv is of type u32\[\]; wanted number/],
    'llama.block_count': [u32(1), /holds tensor blk\.1\./],
    'llama.embedding_length': [u32(64), /token_embd\.weight is \[128,32\]; wanted \[128,64\]/],
    'general.architecture': [text('mamba'), /general\.architecture is "mamba"; wanted one of llama/],
    'general.type': [text('adapter'), /general\.type is "adapter"; wanted a model/],
    'tokenizer.ggml.tokens': [[9, [8, Array.from({ length: 129 }, (_, i) => `t${i}`)]], /129 tokens.*128 rows/],
  };
  for (const [key, [value, pattern]] of Object.entries(refused))
    assert.match(refusal(fileOf(made, { [key]: value })), pattern);
  assert.is(refusal(fileOf(made, { 'llama.expert_count': u32(0), 'llama.rope.dimension_count': u32(8) })), 'taken');
  const { 'llama.context_length': _, ...keys } = made.keys;
  assert.match(refusal(fileOf({ ...made, keys })), /llama\.context_length is missing/);
});

test('tensors that are missing, strange or scaled in an unknown way are named', () => {
  const made = model('llama-qv');
  const { 'blk.1.ffn_up.weight': gone, ...rest } = made.tensors;
  assert.match(refusal(fileOf({ ...made, tensors: rest })), /blk\.1\.ffn_up\.weight is missing; wanted \[96,32\]/);
  const strange = { ...made.tensors, 'blk.0.ffn_gate_inp.weight': gone! };
  assert.match(refusal(fileOf({ ...made, tensors: strange })), /holds tensor blk\.0\.ffn_gate_inp\.weight/);
  const odd = { type: 0, lengths: [4], data: new Uint8Array(Float32Array.of(1, 5, 2, 8).buffer) };
  const scaled = { ...made.tensors, 'rope_freqs.weight': odd };
  assert.match(refusal(fileOf({ ...made, tensors: scaled })), /rope_freqs\.weight scales rotary positions in a way/);
});

test.run();
