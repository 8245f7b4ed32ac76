/** @file Exports against each other: what is merged, in safetensors or in GGUF, computes what the adapter on its base does. */
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openAdapter } from '../../node/adapter.ts';
import { openCheckpoint } from '../../node/checkpoint/checkpoint.ts';
import { ggufNames, turnedRow } from '../../node/checkpoint/gguf-names.ts';
import { packBatch } from '../../node/engine/batch.ts';
import { createEngine } from '../../node/engine/engine.ts';
import { writeGgufAdapter, writeMergedGguf } from '../../node/export/gguf.ts';
import { type MergedOptions, writeMerged } from '../../node/export/merged.ts';
import type { Subject } from '../../node/export/subject.ts';
import { writeTokenizer } from '../../node/export/tokenizer.ts';
import { readRows } from '../../node/formats/dequantise.ts';
import { openGguf } from '../../node/formats/gguf.ts';
import { encodeGguf, type GgufKey, ggufF32, ggufText, ggufU32 } from '../../node/formats/gguf-writer.ts';
import { bytesOf, narrow, type Width } from '../../node/formats/narrow.ts';
import { fixture, temporaryFolder } from '../support.ts';

/** The adapter that a fixture has learned, on its base or on another of the same weights. */
async function subjectOf(name: string, base = fixture(name)): Promise<Subject> {
  const opened = await openAdapter(join(fixture(name), 'adapter-trained'), base);
  return { ...opened, named: { base, revision: null }, facts: {} };
}

/** Logits of all words at two places of a text; without an adapter where none is given. */
async function logits(base: string, adapter?: Subject): Promise<Float32Array> {
  const lora = adapter?.lora ?? { rank: 1, alpha: 1, targets: 'all' };
  const engine = await createEngine({ base, trainable: { type: 'lora', lora }, device: 'cpu', threads: 1 });
  const { architecture } = openCheckpoint(base);
  const size = architecture.linears.reduce((sum, { inputs, outputs }) => sum + inputs + outputs, 0);
  const ids = Array.from({ length: architecture.vocabulary }, (_, id) => id);
  const batch = packBatch([{ ids: [9, 17, 33, 64, 99, 5, 71, 8], positions: [3, 7] }], 0, 8);
  const words = { ids, bias: ids.map(() => 0) };
  const [found] = await engine.score(adapter?.vector ?? new Float32Array(size), [batch], words);
  await engine.release();
  return found!;
}

function distance(a: Float32Array, b: Float32Array): number {
  const norm = (x: Float32Array): number => Math.hypot(...x);
  return norm(a.map((x, i) => x - b[i]!)) / norm(b);
}

async function mergedOf(subject: Subject, options: MergedOptions): Promise<string> {
  const folder = join(temporaryFolder(), 'merged');
  mkdirSync(folder);
  await writeMerged(folder, subject, options);
  return folder;
}

for (const name of ['bert-all', 'gpt2-all', 'gemma3-all', 'llama-qv'])
  test(`${name}: a merged model computes what the adapter on its base does`, async () => {
    const subject = await subjectOf(name);
    const wanted = await logits(fixture(name), subject);
    const folder = await mergedOf(subject, { width: 'f32' });
    assert.ok(distance(await logits(folder), wanted) < 1e-5);
    assert.ok(distance(await logits(fixture(name)), wanted) > 1e-2);
    assert.equal(readdirSync(folder).sort(), ['README.md', 'config.json', 'model.safetensors']);
  });

test('a merged model in shards and in a half of the width is the same, near enough', async () => {
  const subject = await subjectOf('llama-qv');
  const wanted = await logits(fixture('llama-qv'), subject);
  for (const [width, bound] of [
    ['f16', 2e-3],
    ['bf16', 2e-2],
  ] as const) {
    const folder = await mergedOf(subject, { width, shardBytes: 20_000 });
    const shards = readdirSync(folder).filter((file) => file.endsWith('.safetensors'));
    assert.ok(shards.length > 2 && shards[0] === `model-00001-of-0000${shards.length}.safetensors`, String(shards));
    const index = JSON.parse(readFileSync(join(folder, 'model.safetensors.index.json'), 'utf8'));
    assert.equal([...new Set(Object.values(index.weight_map))].sort(), shards);
    assert.ok(distance(await logits(folder), wanted) < bound);
  }
});

test('the configuration keeps its numbers as they were written, since 2.0 is no whole number elsewhere', async () => {
  const folder = await mergedOf(await subjectOf('modernbert-all'), { width: 'f32' });
  const read = (at: string): string => readFileSync(join(at, 'config.json'), 'utf8');
  assert.match(read(folder), /"initializer_cutoff_factor": 2\.0,/);
  assert.is(read(folder), read(fixture('modernbert-all')));
});

/** A GGUF file of a fixture, as llama.cpp's converter would make it, without a tokenizer. */
function ggufOf(name: string, keys: readonly GgufKey[]): string {
  const { architecture, tensors, config } = openCheckpoint(fixture(name));
  const names = ggufNames('llama');
  const parts = architecture.parameters.map(({ name: parameter, shape }) => {
    const columns = shape.at(-1)!;
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    tensors.get(parameter)!.readRows(data);
    const turned = new Float32Array(data.length);
    for (let row = 0; row * columns < data.length; row++) {
      const isTurned = names.changeOf(parameter) === 'turned';
      const at = isTurned ? turnedRow(row, Number(config.head_dim)) : row;
      turned.set(data.subarray(row * columns, (row + 1) * columns), at * columns);
    }
    const bytes = new Uint8Array(turned.buffer);
    return { name: names.toGguf(parameter)!, type: 'F32', shape, pieces: () => [bytes] };
  });
  const path = join(temporaryFolder(), `${name}.gguf`);
  writeFileSync(path, Buffer.concat([...encodeGguf(keys, parts)]));
  return path;
}

const llama = ggufOf('llama-qv', [
  ggufText('general.architecture', 'llama'),
  ggufText('general.license', 'mit'),
  ggufU32('general.file_type', 0),
  ggufU32('llama.block_count', 2),
  ggufU32('llama.context_length', 64),
  ggufU32('llama.embedding_length', 32),
  ggufU32('llama.feed_forward_length', 96),
  ggufU32('llama.attention.head_count', 4),
  ggufU32('llama.attention.head_count_kv', 2),
  ggufU32('llama.attention.key_length', 8),
  ggufU32('llama.rope.dimension_count', 8),
  ggufU32('llama.vocab_size', 128),
  ggufF32('llama.attention.layer_norm_rms_epsilon', 1e-6),
  ggufF32('llama.rope.freq_base', 10_000),
]);

test('a GGUF file with the adapter merged in keeps what is not adapted, byte for byte', async () => {
  const subject = await subjectOf('llama-qv', llama);
  const folder = temporaryFolder();
  await writeMergedGguf(folder, subject, { width: 'f32' });
  const [before, after] = [openGguf(llama), openGguf(join(folder, 'model.gguf'))];
  assert.equal(
    [...after.keys.keys()],
    [...before.keys.keys()].filter((key) => key !== 'general.file_type'),
  );
  assert.equal([...after.tensors.keys()], [...before.tensors.keys()]);
  const changed = [...after.tensors].filter(([name, { begin, end }]) => {
    const old = before.tensors.get(name)!;
    return !Buffer.from(after.read(begin, end)).equals(before.read(old.begin, old.end));
  });
  assert.equal(changed.map(([name]) => name).sort(), [
    'blk.0.attn_q.weight',
    'blk.0.attn_v.weight',
    'blk.1.attn_q.weight',
    'blk.1.attn_v.weight',
  ]);
  const wanted = await logits(fixture('llama-qv'), await subjectOf('llama-qv'));
  assert.ok(distance(await logits(join(folder, 'model.gguf')), wanted) < 1e-5);
  assert.match(readFileSync(join(folder, 'README.md'), 'utf8'), /license: mit/);
});

test("an adapter for llama.cpp has B's rows where the base's file has the rows of its weights", async () => {
  const subject = await subjectOf('llama-qv');
  const folder = temporaryFolder();
  const lora = { ...subject.lora, modules: { 'model.layers.1.self_attn.v_proj': { rank: 4, alpha: 4 } } };
  await writeGgufAdapter(folder, { ...subject, lora });
  const file = openGguf(join(folder, 'adapter.gguf'));
  assert.is(file.value('general.type'), 'adapter');
  assert.is(file.value('general.architecture'), 'llama');
  assert.is(file.value('adapter.type'), 'lora');
  assert.is(file.value('adapter.lora.alpha'), 8);
  const data = (name: string): Float32Array => {
    const out = new Float32Array(file.tensors.get(name)!.shape.reduce((a, b) => a * b, 1));
    readRows(file, name, out);
    return out;
  };
  const factor = (name: string): Float32Array => {
    const { offset, rows, cols } = subject.tensors.find((tensor) => tensor.name === name)!;
    return subject.vector.subarray(offset, offset + rows * cols);
  };
  assert.equal(file.tensors.get('blk.0.attn_q.weight.lora_a')!.shape, [4, 32]);
  assert.equal(data('blk.0.attn_q.weight.lora_a'), factor('model.layers.0.self_attn.q_proj.lora_A').slice());
  // Heads of 8: the rows of a pair, 4 apart, stand side by side.
  const [ours, theirs] = [factor('model.layers.0.self_attn.q_proj.lora_B'), data('blk.0.attn_q.weight.lora_b')];
  const row = (x: Float32Array, at: number): number[] => [...x.subarray(4 * at, 4 * at + 4)];
  for (const [at, from] of [
    [0, 0],
    [1, 4],
    [2, 1],
    [3, 5],
    [7, 7],
    [8, 8],
    [9, 12],
  ] as const)
    assert.equal(row(theirs, at), row(ours, from));
  assert.equal(data('blk.0.attn_v.weight.lora_b'), factor('model.layers.0.self_attn.v_proj.lora_B').slice());
  // Its own alpha, half of the file's.
  assert.equal(
    data('blk.1.attn_v.weight.lora_b'),
    factor('model.layers.1.self_attn.v_proj.lora_B').map((x) => x / 2),
  );
});

test('what llama.cpp cannot use is refused by name, with what can be done', async () => {
  const out = temporaryFolder();
  const refused = async (write: Promise<void>): Promise<string> =>
    write.then(
      () => 'was written',
      (error: Error) => error.message,
    );
  assert.match(
    await refused(writeGgufAdapter(out, await subjectOf('bert-all'))),
    /is a bert; llama\.cpp takes.*peft or merged/,
  );
  assert.match(
    await refused(writeMergedGguf(out, await subjectOf('llama-qv'), { width: 'f16' })),
    /is a folder.*convert_hf_to_gguf/,
  );
  assert.equal(readdirSync(out), []);
});

test('tokenizer and licence of a folder go along', async () => {
  const base = temporaryFolder();
  cpSync(fixture('llama-qv'), base, { recursive: true });
  writeFileSync(join(base, 'generation_config.json'), '{"eos_token_id": 2}');
  writeFileSync(join(base, 'LICENSE'), 'as is');
  writeFileSync(join(base, 'notes.txt'), 'private');
  const folder = await mergedOf(await subjectOf('llama-qv', base), { width: 'f32' });
  assert.is(readFileSync(join(folder, 'LICENSE'), 'utf8'), 'as is');
  assert.equal(readdirSync(folder).sort(), [
    'LICENSE',
    'README.md',
    'config.json',
    'generation_config.json',
    'model.safetensors',
  ]);
});

test("a tokenizer made of a GGUF file's says which ids frame a text, as the library in Rust wants it", async () => {
  const numbers = (...values: number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);
  const word = (text: string): Buffer => Buffer.concat([numbers(text.length, 0), Buffer.from(text)]);
  const list = (key: string, type: number, items: Buffer[]): GgufKey => ({
    key: `tokenizer.ggml.${key}`,
    type: 9,
    bytes: Buffer.concat([numbers(type, items.length, 0), ...items]),
  });
  const path = join(temporaryFolder(), 'words.gguf');
  const keys = [
    ggufText('general.architecture', 'llama'),
    ggufText('tokenizer.ggml.model', 'gpt2'),
    ggufText('tokenizer.ggml.pre', 'gpt-2'),
    list('tokens', 8, ['<s>', 'a', 'b', 'ab', '</s>'].map(word)),
    list(
      'token_type',
      5,
      [3, 1, 1, 1, 3].map((type) => numbers(type)),
    ),
    list('merges', 8, [word('a b')]),
    ggufU32('tokenizer.ggml.bos_token_id', 0),
    ggufU32('tokenizer.ggml.eos_token_id', 4),
    ...['add_bos_token', 'add_eos_token'].map((key) => ({
      key: `tokenizer.ggml.${key}`,
      type: 7,
      bytes: new Uint8Array([1]),
    })),
  ];
  writeFileSync(path, Buffer.concat([...encodeGguf(keys, [])]));
  const folder = temporaryFolder();
  await writeTokenizer(folder, path);
  const { post_processor: frame } = JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8'));
  assert.equal(frame.special_tokens, {
    '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] },
    '</s>': { id: '</s>', ids: [4], tokens: ['</s>'] },
  });
});

test('numbers are narrowed to the nearest, halves to even, also where float16 has no exponent left', () => {
  const half = (x: number): number => new Uint16Array(narrow(Float32Array.of(x), 'f16').buffer)[0]!;
  const brain = (x: number): number => new Uint16Array(narrow(Float32Array.of(x), 'bf16').buffer)[0]!;
  for (const [x, bits] of [
    [1, 0x3c00],
    [-2, 0xc000],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [65_504, 0x7bff],
    [65_520, 0x7c00],
    [2 ** -14, 0x0400],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000],
    [3 * 2 ** -25, 0x0002],
    [-(2 ** -15), 0x8200],
    [2 ** -14 - 2 ** -26, 0x0400],
  ] as const)
    assert.is(half(x), bits, String(x));
  for (const [x, bits] of [
    [1, 0x3f80],
    [1 + 2 ** -8, 0x3f80],
    [1 + 3 * 2 ** -8, 0x3f82],
    [-3, 0xc040],
    [3.4e38, 0x7f80],
  ] as const)
    assert.is(brain(x), bits, String(x));
  assert.equal(
    (['f32', 'f16', 'bf16'] satisfies Width[]).map((width) => narrow(new Float32Array(3), width).length),
    (['f32', 'f16', 'bf16'] satisfies Width[]).map((width) => 3 * bytesOf(width)),
  );
});

test('a file is written in pieces, and a tensor that does not fill its place is a bug', () => {
  const part = { name: 'x', type: 'F32', shape: [2, 3], pieces: () => [new Uint8Array(20)] };
  assert.throws(() => [...encodeGguf([], [part])], /tensor x has 20 bytes of 24/);
  assert.is(statSync(llama).size % 32, 0);
});

test.run();
