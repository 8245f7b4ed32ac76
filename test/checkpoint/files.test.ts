/** @file Files of models and adapters that are not what they seem: each is refused by name, or read for what it is. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { baseVector, cacheGraph, openBase } from '../../node/checkpoint/base.ts';
import { WEIGHTS_FILE } from '../../node/checkpoint/weights.ts';
import { UserError } from '../../node/errors.ts';
import { encodeSafetensors, openSafetensors, parseSafetensors, tensorData } from '../../node/formats/safetensors.ts';
import { readPeftConfig } from '../../node/model/peft.ts';
import { fixture, temporaryFolder } from '../support.ts';

const bytesOf = (text: string, data: number): Uint8Array => {
  const json = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
};
const entry = (begin: number, end: number): string =>
  `{"dtype":"F32","shape":[${(end - begin) / 4}],"data_offsets":[${begin},${end}]}`;
const refusal = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    assert.instance(error, UserError, String(error));
    return (error as Error).message;
  }
  return 'taken';
};

for (const [what, text, data, pattern] of [
  ['overlap', `{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12, /tensor b overlaps tensor a/],
  ['leave a gap', `{"a":${entry(0, 8)},"b":${entry(12, 16)}}`, 16, /4 bytes between tensor a and tensor b/],
  ['leave the beginning out', `{"a":${entry(4, 8)}}`, 8, /4 bytes between the header and tensor a/],
  ['leave the end out', `{"a":${entry(0, 8)}}`, 12, /4 bytes after tensor a/],
  ['stand twice', `{"a":${entry(0, 8)},"a" :${entry(0, 8)}}`, 8, /tensor a stands twice/],
  ['stand twice, spelt otherwise', `{"a":${entry(0, 8)},"\\u0061":${entry(0, 8)}}`, 8, /tensor a stands twice/],
  ['lie beyond the file', `{"a":${entry(0, 8)}}`, 4, /tensor a/],
] as const) {
  test(`tensors that ${what} are refused by name`, () => {
    assert.match(
      refusal(() => parseSafetensors(bytesOf(text, data), 'x')),
      pattern,
    );
  });
}

test('names in the shapes and the notes of a file are no tensors', () => {
  const text = `{"__metadata__":{"a":"1","b":"{"},"a":${entry(0, 8)},"b":${entry(8, 12)}}`;
  assert.equal([...parseSafetensors(bytesOf(text, 12), 'x').tensors.keys()], ['a', 'b']);
});

/** A copy of a small base with changes to its files. */
function changed(change: {
  config?: object;
  tokenizer?: (t: Tokenizer) => void;
  weights?: (t: Named[]) => Named[];
}): string {
  const folder = temporaryFolder();
  cpSync(fixture('bert-qv'), folder, { recursive: true });
  const path = (name: string): string => join(folder, name);
  const config = JSON.parse(readFileSync(path('config.json'), 'utf8'));
  writeFileSync(path('config.json'), JSON.stringify({ ...config, ...change.config }));
  if (change.tokenizer) {
    const tokenizer = smallTokenizer();
    change.tokenizer(tokenizer);
    writeFileSync(path('tokenizer.json'), JSON.stringify(tokenizer));
    writeFileSync(path('tokenizer_config.json'), '{}');
  }
  if (change.weights) {
    const file = openSafetensors(path('model.safetensors'));
    const all = [...file.tensors].map(([name, { shape }]) => ({ name, shape, data: tensorData(file, name) }));
    writeFileSync(path('model.safetensors'), encodeSafetensors(change.weights(all), {}));
  }
  return folder;
}
interface Named {
  name: string;
  shape: readonly number[];
  data: Float32Array;
}
interface Tokenizer {
  normalizer: { type: string; lowercase: boolean; strip_accents: boolean | null };
  pre_tokenizer: object;
  post_processor: null;
  decoder: object;
  model: { type: string; unk_token: string; vocab: Record<string, number> | [string, number][] };
  added_tokens: { id: number; content: string }[];
}
const smallTokenizer = (): Tokenizer => ({
  normalizer: { type: 'BertNormalizer', lowercase: true, strip_accents: null },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: null,
  decoder: { type: 'WordPiece', prefix: '##' },
  model: { type: 'WordPiece', unk_token: '[UNK]', vocab: { '[UNK]': 0, a: 1, e: 2, cafe: 3 } },
  added_tokens: [],
});
const opening = (folder: string): Promise<string> =>
  openBase(folder)
    .then((base) => base.expand())
    .then(
      () => 'taken',
      (error) => {
        assert.instance(error, UserError, String(error));
        return error.message;
      },
    );

test('a token beyond the embeddings is named, wherever it stands', async () => {
  const beyond: ((t: Tokenizer) => void)[] = [
    ({ added_tokens }) => added_tokens.push({ id: 128, content: '<url>' }),
    ({ model }) => {
      model.vocab = { '[UNK]': 0, '<url>': 5000 };
    },
    ({ model }) => {
      model.vocab = Array.from({ length: 129 }, (_, i): [string, number] => [i === 128 ? '<url>' : `t${i}`, 0]);
    },
  ];
  for (const tokenizer of beyond)
    assert.match(await opening(changed({ tokenizer })), /tokenizer\.json: token "<url>" has the number \d+.*128 rows/);
  assert.is(
    await opening(changed({ tokenizer: ({ added_tokens }) => added_tokens.push({ id: 127, content: 'x' }) })),
    'taken',
  );
});

test('numbers that are not finite, a head apart from the embeddings, weights of another kind are named', async () => {
  const spoil = (tensors: Named[]): Named[] => {
    tensors[3]!.data[1] = Number.NaN;
    return tensors;
  };
  assert.match(await opening(changed({ weights: spoil })), /tensor \S+ holds numbers that are not finite/);
  const withHead = (add: number) => (tensors: Named[]) => {
    const { shape, data } = tensors.find(({ name }) => name.endsWith('word_embeddings.weight'))!;
    return [...tensors, { name: 'cls.predictions.decoder.weight', shape, data: data.map((x) => x + add) }];
  };
  assert.match(
    await opening(changed({ weights: withHead(1) })),
    /decoder\.weight is not bert\.embeddings\.word_embeddings/,
  );
  assert.is(await opening(changed({ weights: withHead(0) })), 'taken');
  const torch = changed({});
  rmSync(join(torch, 'model.safetensors'));
  writeFileSync(join(torch, 'pytorch_model.bin'), 'x');
  assert.match(await opening(torch), /weights are in pytorch_model\.bin; wanted model\.safetensors/);
});

test('fields of a config that change what is computed are refused by name, those that do not are taken', async () => {
  const refused = [
    { is_decoder: true },
    { add_cross_attention: true },
    { position_embedding_type: 'relative_key' },
    { tie_word_embeddings: false },
    { pruned_heads: { 1: [0] } },
    { quantization_config: { bits: 4 } },
    { some_new_scale: 2 },
  ];
  for (const config of refused) {
    const message = await opening(changed({ config }));
    assert.match(message, new RegExp(`config\\.json: ${Object.keys(config)[0]} is`));
  }
  const taken = [
    { architectures: ['BertForPreTraining'] },
    { architectures: null, model_type: 'bert' },
    { hidden_dropout_prob: 0.3, transformers_version: '9', pruned_heads: {}, some_new_switch: false },
  ];
  for (const config of taken) assert.is(await opening(changed({ config })), 'taken', JSON.stringify(config));
});

test('weights in several files are the same model; a file that is missing, or holds another tensor, is named', async () => {
  const folder = changed({});
  const file = openSafetensors(join(folder, 'model.safetensors'));
  const names = [...file.tensors.keys()];
  const shards = [names.slice(0, 5), names.slice(5)];
  const map: Record<string, string> = {};
  for (const [i, of] of shards.entries()) {
    const tensors = of.map((name) => ({ name, shape: file.tensors.get(name)!.shape, data: tensorData(file, name) }));
    writeFileSync(join(folder, `part-${i}.safetensors`), encodeSafetensors(tensors, {}));
    for (const name of of) map[name] = `part-${i}.safetensors`;
  }
  rmSync(join(folder, 'model.safetensors'));
  const index = (weight_map: Record<string, string>): void =>
    writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map }));
  index(map);
  assert.equal(await baseVector(await openBase(folder)), await baseVector(await openBase(fixture('bert-qv'))));
  index({ ...map, [names[0]!]: 'part-1.safetensors' });
  assert.match(await opening(folder), new RegExp(`tensor ${names[0]} is in part-0\\.safetensors, not in part-1`));
  index({ ...map, [names[0]!]: '../part-0.safetensors' });
  assert.match(await opening(folder), /names the file "\.\.\/part-0/);
  index({ ...map, another: 'part-0.safetensors' });
  assert.match(await opening(folder), /tensor another is not in part-0/);
  index(map);
  rmSync(join(folder, 'part-1.safetensors'));
  assert.match(await opening(folder), /part-1\.safetensors is missing/);
});

test('a cache that is spoilt, cut or of another base is written anew when it is opened', async () => {
  const folder = changed({ config: { transformers_version: 'of this test' } });
  const base = await openBase(folder);
  const whole = await baseVector(base);
  const path = join(base.cache, WEIGHTS_FILE);
  const bytes = readFileSync(path);
  for (const spoilt of [Buffer.alloc(bytes.length), bytes.subarray(0, 100), Buffer.from(bytes).fill(1, 200, 201)]) {
    writeFileSync(path, spoilt);
    assert.equal(await baseVector(await openBase(folder)), whole);
  }
  const graph = Uint8Array.of(1, 2, 3);
  const cached = await cacheGraph(base, graph);
  writeFileSync(cached, 'spoilt');
  assert.is(await cacheGraph(base, graph), cached);
  assert.equal(Uint8Array.from(readFileSync(cached)), graph);
  assert.equal(
    readdirSync(base.cache).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

test('the hash of a base covers configuration, weights and tokenizer', async () => {
  const hash = async (folder: string): Promise<string> => (await openBase(folder)).sha256;
  const plain = await hash(changed({}));
  assert.is(await hash(changed({})), plain);
  const nudge = (tensors: Named[]): Named[] => {
    tensors[0]!.data[0]! += 1;
    return tensors;
  };
  const others = [
    changed({ weights: nudge }),
    changed({ config: { layer_norm_eps: 1e-6 } }),
    changed({ tokenizer: () => {} }),
    changed({ tokenizer: ({ normalizer }) => Object.assign(normalizer, { strip_accents: false }) }),
    changed({ tokenizer: ({ model }) => Object.assign(model.vocab, { tea: 4 }) }),
  ];
  const hashes = [plain, ...(await Promise.all(others.map(hash)))];
  assert.is(new Set(hashes).size, hashes.length);
});

const LINEARS = ['query', 'key', 'value'].map((name) => ({
  module: `layer.0.${name}`,
  inputs: 2,
  outputs: 2,
  hasBias: false,
}));
const ADAPTER = { peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: ['query', 'value'] };
function adapter(fields: object): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ ...ADAPTER, ...fields }));
  return folder;
}

test('an adapter of another kind than plain LoRA is refused by the field that makes it so', () => {
  const refused: Record<string, unknown>[] = [
    ...['pissa', 'pissa_niter_16', 'olora', 'corda', 'loftq', 'lora_ga', 'mean'].map((x) => ({ init_lora_weights: x })),
    { layer_replication: [[0, 2]] },
    { alora_invocation_tokens: [5, 6] },
    { use_dora: true },
    { use_qalora: true },
    { lora_bias: true },
    { bias: 'all' },
    { modules_to_save: ['classifier'] },
    { layers_to_transform: 1 },
    { layers_pattern: 'layer' },
    { exclude_modules: 'key' },
    { trainable_token_indices: [1] },
    { target_parameters: ['experts'] },
    { megatron_config: { a: 1 } },
    { arrow_config: { top_k: 2 } },
    { loftq_config: { loftq_bits: 4 } },
    { what_comes_next: 'x' },
  ];
  for (const fields of refused)
    assert.match(
      refusal(() => readPeftConfig(adapter(fields), LINEARS)),
      new RegExp(`adapter_config\\.json: ${Object.keys(fields)[0]} is`),
    );
  const taken = [true, false, null, 'gaussian', 'eva', 'orthogonal'].map((x) => ({ init_lora_weights: x }));
  for (const fields of [...taken, { what_comes_next: null, loftq_config: {}, lora_dropout: 0.1, peft_version: '9' }])
    assert.equal(readPeftConfig(adapter(fields), LINEARS), { rank: 4, alpha: 8, targets: 'query,value' });
});

test('rank-stabilised LoRA is scaled as PEFT does', () => {
  assert.equal(readPeftConfig(adapter({ use_rslora: true }), LINEARS), { rank: 4, alpha: 16, targets: 'query,value' }); // 8 / sqrt(4) = 16 / 4
});

test.run();
