/** @file The readers that are fed broken files: of what sound files each is, and everything that is read of them. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkTokenizer } from '../../node/checkpoint/vocabulary.ts';
import { DEQUANTISERS, readRows } from '../../node/formats/dequantise.ts';
import { GGML_TYPES } from '../../node/formats/ggml.ts';
import { openGguf } from '../../node/formats/gguf.ts';
import { readJsonObject } from '../../node/formats/json.ts';
import { encodeSafetensors, openSafetensors, openShards, tensorData } from '../../node/formats/safetensors.ts';
import { openTokenizer } from '../../node/formats/tokenizer.ts';
import type { Linear } from '../../node/model/architecture.ts';
import { makeArchitecture } from '../../node/model/config.ts';
import { loraTensors, targetedLinears } from '../../node/model/lora.ts';
import { readPeftConfig, readPeftOrigin, readPeftVector } from '../../node/model/peft.ts';
import { ggufBytes, type Typed, type Written } from '../../test/formats/parts/writer.ts';
import { fixture } from '../../test/support.ts';

/** Files by name, as they lie in one folder. */
export type Files = Readonly<Record<string, Uint8Array>>;

/** A file that is left alone: it says which model the others are for. */
export const MODEL = 'model';

/** Reads what a folder holds; what a part of it is refused for goes to `attempt`, and the rest is read on. */
type Attempt = <T>(use: () => T) => T | undefined;

export interface Reader {
  readonly samples: () => Files[];
  /** Bytes at the begin of a file that say how the rest is laid out. */
  readonly head: number;
  readonly read: (folder: string, attempt: Attempt) => void;
}

export const READERS: Readonly<Record<string, Reader>> = {
  safetensors: { samples: safetensorsSamples, head: 600, read: readSafetensors },
  gguf: { samples: ggufSamples, head: 400, read: readGguf },
  tokenizer: { samples: tokenizerSamples, head: 4000, read: readTokenizer },
  config: { samples: configSamples, head: 1000, read: readConfig },
  adapter: { samples: adapterSamples, head: 1000, read: readAdapter },
};

const [WEIGHTS, INDEX, GGUF, CONFIG] = [
  'model.safetensors',
  'model.safetensors.index.json',
  'model.gguf',
  'config.json',
];
const TEXT = 'abc <|start|>  great \u00e9 [MASK]';

function bytesOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function safetensorsSamples(): Files[] {
  const tensor = (name: string, ...shape: number[]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return { name, shape, data: name < 'b' ? new Float32Array(size).fill(0.5) : new Uint16Array(size).fill(0x3c00) };
  };
  const [a, b] = [
    encodeSafetensors([tensor('a.weight', 4, 6), tensor('b.weight', 3, 5), tensor('a.bias', 7)], { format: 'pt' }),
    encodeSafetensors([tensor('c.weight', 4, 6), tensor('empty', 0)], {}),
  ];
  const map = { 'a.weight': 'x.safetensors', 'b.weight': 'x.safetensors', 'a.bias': 'x.safetensors' };
  const rest = { 'c.weight': 'y.safetensors', empty: 'y.safetensors' };
  const index = bytesOf({ metadata: { total_size: 1 }, weight_map: { ...map, ...rest } });
  return [{ [WEIGHTS]: a }, { [INDEX]: index, 'x.safetensors': a, 'y.safetensors': b }];
}

function readSafetensors(folder: string, attempt: Attempt): void {
  const isSingle = existsSync(join(folder, WEIGHTS));
  const file = attempt(() => (isSingle ? openSafetensors(join(folder, WEIGHTS)) : openShards(folder, INDEX)));
  for (const name of file?.tensors.keys() ?? []) attempt(() => tensorData(file!, name));
}

function ggufSamples(): Files[] {
  const golden = JSON.parse(readFileSync(join(fixture('gguf'), 'tokenizers.json'), 'utf8'));
  /** A small tensor of every type that is read. */
  const tensors: Record<string, Written> = Object.fromEntries(
    [...GGML_TYPES]
      .filter(([, { name }]) => name in DEQUANTISERS)
      .map(([type, { name, block, bytes }]) => [
        name,
        { type, lengths: [block, 2], data: new Uint8Array(2 * bytes).map((_, i) => 37 * i) },
      ]),
  );
  const keys = (values: Record<string, Typed>): Record<string, Typed> =>
    Object.fromEntries(Object.entries(values).map(([key, typed]) => [`tokenizer.ggml.${key}`, typed]));
  const bytes = golden.byteLevel.tokens.slice(0, 258);
  const { tokens, types, scores } = golden.sentencePiece.plain;
  const lists: Typed = [
    9,
    [
      9,
      [
        [8, ['x', 'y']],
        [0, [1, 2, 3]],
      ],
    ],
  ];
  const [plain, bytewise, pieces] = [
    {
      'general.alignment': [4, 32],
      'general.name': [8, 'a'],
      'split.count': [2, 1],
      numbers: [9, [12, [0.5, 1, 2]]],
      lists,
      long: [10, 2n ** 60n],
    } as Record<string, Typed>,
    keys({
      model: [8, 'gpt2'],
      pre: [8, 'llama-bpe'],
      tokens: [9, [8, [...bytes, 'ab']]],
      token_type: [9, [5, [3, 3, ...new Array(257).fill(1)]]],
      merges: [9, [8, ['a b']]],
      bos_token_id: [4, 1],
    }),
    keys({
      model: [8, 'llama'],
      tokens: [9, [8, tokens.slice(0, 300)]],
      token_type: [9, [5, types.slice(0, 300)]],
      scores: [9, [6, scores.slice(0, 300)]],
    }),
  ];
  return [ggufBytes(plain, tensors), ggufBytes(bytewise), ggufBytes(pieces, { w: tensors.Q6_K! })].map((file) => ({
    [GGUF]: file,
  }));
}

function readGguf(folder: string, attempt: Attempt): void {
  const path = join(folder, GGUF);
  const file = attempt(() => openGguf(path));
  if (!file) return;
  for (const key of file.keys.keys()) attempt(() => file.value(key));
  for (const [name, { shape }] of file.tensors)
    attempt(() => readRows(file, name, new Float32Array(shape.reduce((a, b) => a * b, 1))));
  useTokenizer(path, attempt);
}

function tokenizerSamples(): Files[] {
  const { kinds } = JSON.parse(readFileSync(join(fixture('tokenizers'), 'kinds.json'), 'utf8')) as {
    kinds: Record<string, { tokenizer: unknown; config: unknown }>;
  };
  return Object.values(kinds).map(({ tokenizer, config }) => ({
    'tokenizer.json': bytesOf(tokenizer),
    'tokenizer_config.json': bytesOf(config),
  }));
}

function readTokenizer(folder: string, attempt: Attempt): void {
  // As a base is opened: what is refused here is not read on.
  const isChecked = attempt(() => {
    checkTokenizer(folder, 1000);
    return true;
  });
  if (isChecked) useTokenizer(folder, attempt);
}

/** Throws where a tokenizer that was opened gives a number of no token. */
function useTokenizer(path: string, attempt: Attempt): void {
  const tokenizer = attempt(() => openTokenizer(path));
  if (!tokenizer) return;
  for (const ids of [attempt(() => tokenizer.encode(TEXT)), attempt(() => tokenizer.encodePrompt(TEXT))]) {
    if (!ids) continue;
    const bad = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < tokenizer.vocabulary.length));
    if (bad !== undefined) throw new Error(`${path}: gave the number ${bad} of ${tokenizer.vocabulary.length} tokens`);
    attempt(() => tokenizer.decode(ids));
  }
}

const MODELS = [
  ...['bert-qv', 'roberta-qv', 'distilbert-qv', 'modernbert-qv', 'gpt2-qv', 'llama-qv'],
  ...['llama3-qv', 'mistral-window-qv', 'qwen2-qv', 'qwen3-qv', 'gemma3-qv'],
];

function configSamples(): Files[] {
  return MODELS.map((name) => ({ [CONFIG]: readFileSync(join(fixture(name), CONFIG)) }));
}

function readConfig(folder: string, attempt: Attempt): void {
  const path = join(folder, CONFIG);
  attempt(() => makeArchitecture(path, readJsonObject(path, 'a configuration')));
}

const ADAPTED = ['bert-qv', 'gpt2-qv', 'llama-qv'];

function adapterSamples(): Files[] {
  return ADAPTED.map((name) => {
    const folder = join(fixture(name), 'adapter-init');
    const files = ['adapter_config.json', 'adapter_model.safetensors'];
    const read = files.map((file) => [file, readFileSync(join(folder, file))]);
    return { ...Object.fromEntries(read), [MODEL]: new TextEncoder().encode(name) };
  });
}

const known = new Map<string, readonly Linear[]>();

function readAdapter(folder: string, attempt: Attempt): void {
  const name = readFileSync(join(folder, MODEL), 'utf8');
  const path = join(fixture(name), CONFIG);
  const linears = known.get(name) ?? makeArchitecture(path, readJsonObject(path, 'a configuration')).linears;
  known.set(name, linears);
  attempt(() => readPeftOrigin(folder));
  const lora = attempt(() => readPeftConfig(folder, linears));
  if (lora) attempt(() => readPeftVector(folder, loraTensors(targetedLinears({ linears }, lora.targets), lora)));
}
