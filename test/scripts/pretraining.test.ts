/** @file Pre-training: blocks and masks, the whole-vocabulary loss, and that it learns, stops and goes on as if it had not. */
import { execFile, spawn } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { baseVector, cacheGraph, openBase } from '../../node/checkpoint/base.ts';
import { BUNDLED, basePath } from '../../node/checkpoint/places.ts';
import { WEIGHTS_FILE } from '../../node/checkpoint/weights.ts';
import { packBatch } from '../../node/engine/batch.ts';
import { batchFeeds, scalarFeeds } from '../../node/engine/feeds.ts';
import { type Feed, openSession } from '../../node/engine/session.ts';
import { openSafetensors, tensorData } from '../../node/formats/safetensors.ts';
import type { Graph } from '../../node/graph/graph.ts';
import { encodeOnnx } from '../../node/graph/onnx.ts';
import { pretrainGraph, trainGraph } from '../../node/model/program.ts';
import { createPrng } from '../../protocol/prng.ts';
import { norm } from '../../protocol/vector.ts';
import { cutBlocks, maskBlock, readDocuments, stepBlocks } from '../../scripts/pretraining/corpus.ts';
import { learningRateAt } from '../../scripts/pretraining/loop.ts';
import { writeStart } from '../../scripts/pretraining/start.ts';
import { fixture, ROOT, temporaryFolder } from '../support.ts';

const special = { cls: 2, sep: 3, mask: 4, pad: 0 };
const stream = Int32Array.from({ length: 1000 }, (_, i) => (i % 50 === 49 ? special.sep : 10 + (i % 90)));

test('documents: lines of a text file, texts of a table, plain or gzipped, without tags of line breaks', () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'a.txt'), 'one<br />two\n\nthree \n');
  writeFileSync(join(folder, 'b.tsv.gz'), gzipSync('label\ttext\n1\tfour\n'));
  assert.equal(readDocuments(join(folder, 'a.txt')), ['one two', 'three']);
  assert.equal(readDocuments(join(folder, 'b.tsv.gz')), ['four']);
  assert.throws(() => readDocuments(join(folder, 'c.txt')), /c\.txt: cannot be read/);
});

test('blocks hold the stream in order, [CLS] first; a pass over them shows each once', () => {
  const blocks = cutBlocks(stream, 21, special.cls);
  assert.is(blocks.count, 50);
  assert.is(blocks.block(7)[0], special.cls);
  assert.equal(blocks.block(7).subarray(1), stream.subarray(140, 160));
  const mask = { count: 1, vocabulary: 100, special };
  const draw = (seed: string, step: number) => stepBlocks(blocks, { seed, step, batch: 10 }, mask);
  // The first unmasked words tell the blocks of a pass apart well enough.
  const pass = Array.from({ length: 5 }, (_, step) => draw('1', step)).flat();
  const restored = pass.map(({ ids, positions, words }) => ids.map((id, t) => (t === positions[0] ? words[0]! : id)));
  const all = Array.from({ length: 50 }, (_, i) => String([...blocks.block(i)]));
  assert.equal(restored.map(String).sort(), all.sort());
  assert.equal(draw('1', 3), draw('1', 3));
  assert.not.equal(draw('1', 3), draw('2', 3));
});

test('masks: of ten words eight are hidden, one is another, one stays; special tokens are never asked for', () => {
  const blocks = cutBlocks(stream, 51, special.cls);
  let [hidden, kept, total] = [0, 0, 0];
  for (let i = 0; i < 2000; i++) {
    const block = blocks.block(i % blocks.count);
    const { ids, positions, words } = maskBlock(block, {
      count: 10,
      vocabulary: 8000,
      special,
      prng: createPrng('mask').fork(i),
    });
    assert.is(new Set(positions).size, 10);
    for (const [m, t] of positions.entries()) {
      assert.is(words[m], block[t]);
      assert.ok(words[m] !== special.cls && words[m] !== special.sep);
      hidden += ids[t] === special.mask ? 1 : 0;
      kept += ids[t] === words[m] ? 1 : 0;
      total += 1;
    }
    ids.forEach((id, t) => {
      assert.ok(positions.includes(t) || id === block[t]);
    });
  }
  assert.ok(Math.abs(hidden / total - 0.8) < 0.01 && Math.abs(kept / total - 0.1) < 0.01, `${hidden} ${kept} ${total}`);
  const empty = maskBlock(Int32Array.of(special.cls, special.sep, special.sep), {
    count: 2,
    vocabulary: 10,
    special,
    prng: createPrng('empty'),
  });
  assert.equal(empty.positions, [2, 2]);
});

test('the learning rate rises to its height and falls to almost nothing', () => {
  const settings = { steps: 100, warmUp: 0.1, learningRate: 1 } as Parameters<typeof learningRateAt>[1];
  const rates = Array.from({ length: 100 }, (_, step) => learningRateAt(step, settings));
  assert.ok(Math.abs(rates[0]! - 0.1) < 1e-12 && rates[9] === Math.max(...rates) && rates[9]! > 0.98);
  assert.ok(rates.slice(10).every((rate, i) => rate < rates[9 + i]!) && rates[99]! > 0 && rates[99]! < 0.02);
});

test('the loss over the vocabulary and its gradient are those of the same targets given as distributions', async () => {
  const base = await openBase(fixture('bert-qv'));
  const vector = await baseVector(base);
  const vocabulary = base.architecture.parameters.find((p) => p.name.includes('word_embeddings'))!.shape[0]!;
  const words = [5, 9, 1, 7];
  const labels = { ids: Array.from({ length: vocabulary }, (_, i) => i), bias: new Array(vocabulary).fill(0) };
  const batch = packBatch(
    [
      { ids: [1, 8, 4, 6, 2], positions: [2, 3] },
      { ids: [1, 7, 5, 2], positions: [1, 2] },
    ],
    0,
  );
  const flat = [vector.length];
  const zeros = { data: new Float32Array(vector.length), dims: flat };
  const still = { learning_rate: 0, weight_decay: 0, clip_norm: 1, correction1: 1, correction2: 1 };
  const feeds = {
    ...batchFeeds(batch, labels),
    ...scalarFeeds(still),
    vector: { data: vector, dims: flat },
    first_moment: zeros,
    second_moment: zeros,
    mask: { data: new Float32Array(vector.length).fill(1), dims: flat },
    row_weight: { data: new Float32Array(4).fill(0.25), dims: [4, 1] },
  };
  const targets = Float32Array.from({ length: 4 * vocabulary }, (_, i) =>
    words[Math.floor(i / vocabulary)] === i % vocabulary ? 1 : 0,
  );
  const run = async (graph: Graph, more: Record<string, Feed>) => {
    const opened = await openSession(await cacheGraph(base, encodeOnnx(graph, WEIGHTS_FILE)), 'cpu', { threads: 1 });
    const out = await opened.run({ ...feeds, ...more }, ['loss', 'gradient']);
    await opened.release();
    return out;
  };
  const ours = await run(pretrainGraph(base), {
    target_ids: { data: BigInt64Array.from(words, BigInt), dims: [4, 1] },
  });
  const same = await run(trainGraph(base, { type: 'full' }), {
    targets: { data: targets, dims: [4, vocabulary] },
    inverse_temperature: { data: new Float32Array(4).fill(1), dims: [4, 1] },
  });
  assert.ok(Math.abs(Number(ours.loss![0]) - Number(same.loss![0])) < 1e-6);
  assert.ok(Number(ours.loss![0]) > 1);
  const [a, b] = [ours.gradient as Float32Array, same.gradient as Float32Array];
  assert.ok(a.some((x) => x !== 0));
  a.forEach((x, i) => {
    assert.ok(Math.abs(x - b[i]!) < 1e-6, `number ${i}: ${x} and ${b[i]}`);
  });
});

const TOKENIZER = {
  ...{ added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null },
  model: { type: 'WordPiece', unk_token: 'a', vocab: { a: 0 } },
};

test('from scratch: words that stand together begin close to each other, and a seed repeats', async () => {
  const folder = temporaryFolder();
  cpSync(fixture('bert-qv'), join(folder, 'like'), { recursive: true });
  writeFileSync(join(folder, 'like', 'tokenizer.json'), JSON.stringify(TOKENIZER));
  writeFileSync(join(folder, 'like', 'tokenizer_config.json'), '{}');
  const like = await openBase(join(folder, 'like'));
  const prng = createPrng('topics');
  // Sentences of five words, all of one topic: ids 10 to 19, or 20 to 29.
  const words = Array.from({ length: 2000 }, () => 10 + 10 * prng.below(2)).flatMap((first) =>
    Array.from({ length: 5 }, () => first + prng.below(10)),
  );
  for (const out of ['a', 'b']) await writeStart(join(folder, out), like, Int32Array.from(words), '1');
  const weights = (out: string): Buffer => readFileSync(join(folder, out, 'model.safetensors'));
  assert.ok(weights('a').equals(weights('b')));
  const start = openSafetensors(join(folder, 'a', 'model.safetensors'));
  const name = 'bert.embeddings.word_embeddings.weight';
  const [table, width] = [tensorData(start, name), start.tensors.get(name)!.shape[1]!];
  const cosine = (i: number, j: number): number => {
    const [a, b] = [i, j].map((row) => table.subarray(row * width, (row + 1) * width)) as [Float32Array, Float32Array];
    return a.reduce((sum, x, k) => sum + x * b[k]!, 0) / (norm(a) * norm(b));
  };
  for (let i = 10; i < 20; i++) assert.ok(cosine(i, i === 10 ? 11 : 10) > cosine(i, i + 10) + 0.5, `word ${i}`);
  const bias = tensorData(start, 'cls.predictions.bias');
  assert.ok(Math.abs(Math.exp(bias[12]!) - words.filter((id) => id === 12).length / words.length) < 1e-3);
  assert.is((await openBase(join(folder, 'a'))).architecture.maxTokens, like.architecture.maxTokens);
});

const SCRIPT = join(ROOT, 'dist', 'scripts', 'pretrain.js');
const pretrain = (...args: string[]) =>
  promisify(execFile)(process.execPath, [SCRIPT, ...args]).then(
    ({ stdout, stderr }) => ({ code: 0, text: stdout + stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      text: error.stdout + error.stderr,
    }),
  );

/** A base of 21,000 weights whose tokenizer knows a few words and the digits. */
function writeSmallBase(folder: string): void {
  cpSync(fixture('bert-qv'), folder, { recursive: true });
  const words = [
    '[PAD]',
    '[UNK]',
    '[CLS]',
    '[SEP]',
    '[MASK]',
    'the',
    'film',
    'number',
    'was',
    'as',
    'good',
    'book',
    '.',
  ];
  const digits = Array.from({ length: 10 }, (_, i) => [String(i), `##${i}`]).flat();
  const vocab = Object.fromEntries([...words, ...digits].map((word, id) => [word, id]));
  const tokenizer = JSON.parse(readFileSync(join(basePath(BUNDLED), 'tokenizer.json'), 'utf8'));
  tokenizer.model.vocab = vocab;
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  cpSync(join(basePath(BUNDLED), 'tokenizer_config.json'), join(folder, 'tokenizer_config.json'));
}

test('the command learns, stops and goes on as if it had not stopped, and leaves a model that opens', async () => {
  const folder = temporaryFolder();
  const small = join(folder, 'small');
  writeSmallBase(small);
  const text = join(folder, 'text.txt');
  writeFileSync(
    text,
    Array.from({ length: 300 }, (_, i) => `the film number ${i} was as good as the book .`).join('\n'),
  );
  const common = [
    ...['--text', text, '--base', small, '--batch', '4', '--tokens', '16', '--held-out-blocks', '4'],
    ...['--threads', '1', '--steps', '300', '--learning-rate', '1e-2'],
  ];
  const whole = await pretrain(...common, '--out', join(folder, 'whole'), '--evaluate', '150');
  assert.is(whole.code, 0, whole.text);
  const log = readFileSync(join(folder, 'whole', 'log.jsonl'), 'utf8')
    .trim()
    .split('\n');
  const lines = log.map((line) => JSON.parse(line) as { step: number; heldOut: { loss: number } });
  assert.equal(
    lines.map((l) => l.step),
    [0, 150, 300],
  );
  assert.ok(lines[2]!.heldOut.loss < lines[0]!.heldOut.loss - 0.3, log.join('\n'));
  assert.match(readFileSync(join(folder, 'whole', 'loss.svg'), 'utf8'), /<polyline/);
  const base = await openBase(join(folder, 'whole'));
  assert.is((await baseVector(base)).length, (await baseVector(await openBase(small))).length);

  // Interrupted after its first evaluation, then told to go on.
  const out = join(folder, 'stopped');
  const args = [...common, '--out', out];
  const child = spawn(process.execPath, [SCRIPT, ...args, '--evaluate', '1'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
    if (/step 1:/.test(said) && !child.killed) child.kill('SIGINT');
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.is(code, 130, said);
  assert.match(said, /stopped after step [1-9]\d?; the same command goes on/);
  const rest = await pretrain(...args);
  assert.is(rest.code, 0, rest.text);
  assert.match(rest.text, /going on from step [1-9]\d?\b/);
  const weights = (name: string): Buffer => readFileSync(join(folder, name, 'checkpoint.safetensors'));
  assert.ok(weights('stopped').equals(weights('whole')), 'a stopped run ends elsewhere');
  const other = await pretrain(...args, '--mask', '0.3');
  assert.is(other.code, 3);
  assert.match(other.text, /checkpoint\.safetensors: made with other texts, base or settings/);
});

test('bad input: one line that says what, and exit code 2', async () => {
  const folder = temporaryFolder();
  const text = join(folder, 'text.txt');
  writeFileSync(text, 'too short\n');
  for (const [args, wanted] of [
    [[], /--text is missing/],
    [['--text', text], /--out is missing/],
    [['--text', text, '--out', folder, '--batch', 'x'], /--batch: got x; wanted a whole number from 1 to 4096/],
    [['--text', text, '--out', folder, '--steps', '1.4'], /--steps: got 1\.4; wanted a whole number/],
    [['--text', text, '--out', folder, '--tokens', '300'], /--tokens: got 300; this base holds 256 at most/],
    [['--text', text, '--out', basePath(BUNDLED)], /is the base itself; wanted another folder/],
    [['--text', text, '--out', folder, '--colour', 'x'], /unknown option --colour/],
    [['--text', text, '--out', folder, '--held-out', text], /--text: 0 blocks of 96 tokens; wanted 32 or more/],
  ] as const) {
    const { code, text: said } = await pretrain(...args);
    assert.is(code, 2, said);
    assert.match(said, wanted);
    assert.is(
      said
        .trim()
        .split('\n')
        .filter((line) => !line.startsWith('reading')).length,
      1,
      said,
    );
  }
});

test.run();
