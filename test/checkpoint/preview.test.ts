/** @file A look at a model of the Hub: its headers say what it is, of its weights nothing is fetched; what does not fit is refused. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Preview, previewModel } from '../../node/checkpoint/preview.ts';
import { ggufBytes, type Typed } from '../formats/parts/writer.ts';
import { startIn } from '../processes.ts';
import { fixture, temporaryFolder } from '../support.ts';
import { onBench, PATIENCE, refused } from './bench.ts';
import { COMMIT, type FakeHub } from './server.ts';

const read = (name: string, file: string): Buffer => readFileSync(join(fixture(name), file));
const FILES = { 'config.json': read('llama-qv', 'config.json'), 'tokenizer.json': '{}' };
const WEIGHTS = read('llama-qv', 'model.safetensors');

const look = (hub: FakeHub, cache: string, name = 'org/small'): Promise<Preview> =>
  previewModel(name, { hub: { cache, endpoint: hub.endpoint, token: null, isOffline: false }, patience: PATIENCE });

/** Weights whose header stands before many bytes that nobody should need. */
function heavy(config: Record<string, unknown>): { config: string; weights: Buffer } {
  const bytes = Number(WEIGHTS.readBigUInt64LE(0));
  const header = JSON.parse(WEIGHTS.subarray(8, 8 + bytes).toString('utf8'));
  const embeddings = header['model.embed_tokens.weight'];
  const shift = 4 * 16_000 * embeddings.shape[1] - (embeddings.data_offsets[1] - embeddings.data_offsets[0]);
  const [, end] = embeddings.data_offsets;
  for (const [name, entry] of Object.entries(header) as [string, { data_offsets: number[] }][])
    if (name !== '__metadata__')
      entry.data_offsets = entry.data_offsets.map((at, i) => (at > end || (at === end && i === 0) ? at + shift : at));
  embeddings.data_offsets[1] = end + shift;
  embeddings.shape[0] = 16_000;
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return {
    config: JSON.stringify({ ...config, vocab_size: 16_000 }),
    weights: Buffer.concat([length, text, Buffer.alloc(WEIGHTS.length - 8 - bytes + shift)]),
  };
}

test('a folder: what it is, and how its numbers are stored', async () => {
  const found = await previewModel(fixture('llama-qv'));
  assert.equal([found.kind, found.commit, found.fetchedBytes], ['LlamaForCausalLM', null, 0]);
  assert.equal([found.parameters, found.types], [28_832, { F32: 28_832 }]);
  assert.is(found.storedBytes, WEIGHTS.length);
});

test('a model of the Hub is known by its configuration and the begin of its weights', async () => {
  const { config, weights } = heavy(JSON.parse(FILES['config.json'].toString('utf8')));
  await onBench({ ...FILES, 'config.json': config, 'model.safetensors': weights }, async ({ hub, cache }) => {
    const found = await look(hub, cache);
    assert.equal([found.kind, found.commit, found.storedBytes], ['LlamaForCausalLM', COMMIT, weights.length]);
    assert.ok(found.parameters > 300_000 && found.fetchedBytes < 70_000, `${found.fetchedBytes} bytes fetched`);
    const ranges = hub.asked.filter(({ kind }) => kind === 'cdn').map(({ range }) => range);
    assert.equal(ranges, ['bytes=0-65535']);
  });
});

test('shards: the index and a header of each', async () => {
  const header = JSON.parse(WEIGHTS.subarray(8, 8 + Number(WEIGHTS.readBigUInt64LE(0))).toString('utf8'));
  const names = Object.keys(header).filter((name) => name !== '__metadata__');
  const index = { weight_map: Object.fromEntries(names.map((name) => [name, 'a.safetensors'])) };
  const files = { ...FILES, 'model.safetensors.index.json': JSON.stringify(index), 'a.safetensors': WEIGHTS };
  await onBench(files, async ({ hub, cache }) => {
    assert.is((await look(hub, cache)).parameters, 28_832);
  });
});

test('a GGUF file is asked for in growing pieces until its header is whole', async () => {
  const words = Array.from({ length: 1200 }, (_, i) => `${i} ${'word '.repeat(50)}`);
  const keys: Record<string, Typed> = {
    'general.architecture': [8, 'llama'],
    'tokenizer.ggml.model': [8, 'gpt2'],
    'tokenizer.ggml.tokens': [9, [8, words]],
    'llama.context_length': [4, 64],
    'llama.embedding_length': [4, 8],
    'llama.feed_forward_length': [4, 16],
    'llama.block_count': [4, 1],
    'llama.attention.head_count': [4, 2],
    'llama.attention.layer_norm_rms_epsilon': [6, 1e-5],
  };
  const tensor = { type: 0, lengths: [8, 1200], data: new Uint8Array(4 * 8 * 1200) };
  const bytes = Buffer.from(ggufBytes(keys, { 'token_embd.weight': tensor }));
  await onBench({ 'small.gguf': bytes }, async ({ hub, cache }) => {
    const found = await look(hub, cache);
    assert.equal([found.kind, found.architecture.vocabulary, found.types], ['LlamaForCausalLM', 1200, { F32: 9600 }]);
    const ranges = hub.asked.filter(({ kind }) => kind === 'cdn').map(({ range }) => range);
    assert.equal(ranges, ['bytes=0-65535', 'bytes=0-262143', `bytes=0-${bytes.length - 1}`]);
  });
});

test('a server that gives everything is read no further than asked', async () => {
  await onBench({ ...FILES, 'model.safetensors': WEIGHTS }, async ({ hub, cache }) => {
    hub.trick = ({ kind }, response, bytes) => {
      if (kind !== 'cdn') return false;
      response.writeHead(200).end(bytes);
      return true;
    };
    const found = await look(hub, cache);
    assert.equal([found.parameters, found.fetchedBytes], [28_832, FILES['config.json'].length + 65_536]);
  });
});

test('what does not fit is refused in a line that names the model, not a temporary folder', async () => {
  const wrong = JSON.stringify({ ...JSON.parse(FILES['config.json'].toString('utf8')), hidden_size: 64 });
  await onBench({ ...FILES, 'config.json': wrong, 'model.safetensors': WEIGHTS }, async ({ hub, cache }) => {
    const { message } = await refused(look(hub, cache));
    assert.match(message, /^org\/small@main\/model\.safetensors: tensor .* config\.json wants/);
  });
  await onBench({ ...FILES, 'model.safetensors': Buffer.alloc(100_000, 255) }, async ({ hub, cache }) => {
    assert.match((await refused(look(hub, cache))).message, /model\.safetensors: a header of 1844\d+ bytes/);
  });
});

test('the command says what training takes, and what a round sends', async () => {
  const args = ['inspect', fixture('bert-qv'), '--rank', '4', '--tokens', '16', '--degree', '3'];
  const { code, out } = await startIn(temporaryFolder(), args).done;
  assert.is(code, 0);
  assert.match(out, /BertForMaskedLM, masked, 2 layers/);
  assert.match(out, /rank 4 on query,value: 4 layers/);
  assert.match(out, /memory +about \d+ MB to train on 8 x 16 tokens/);
  const json = JSON.parse((await startIn(temporaryFolder(), [...args, '--json']).done).out);
  const { adapter, training } = json;
  assert.equal(adapter.bytes.f32, 4 * adapter.parameters);
  assert.ok(training.total > training.layers && training.layers > 0 && !training.recompute);
  const longer = JSON.parse((await startIn(temporaryFolder(), [...args, '--json', '--batch', '64']).done).out);
  assert.ok(longer.training.layers > 6 * training.layers);
});

test.run();
