/** @file The bundled base against its reference, model folders that are wrong, and files of every number type. */
import { cpSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { baseVector, openBase } from '../../node/checkpoint/base.ts';
import { BUNDLED, basePath } from '../../node/checkpoint/places.ts';
import { WEIGHTS_FILE } from '../../node/checkpoint/weights.ts';
import { packBatch } from '../../node/engine/batch.ts';
import { createEngine } from '../../node/engine/engine.ts';
import { UserError } from '../../node/errors.ts';
import { writePeft } from '../../node/export/peft.ts';
import { encodeSafetensors, openSafetensors, parseSafetensors, tensorData } from '../../node/formats/safetensors.ts';
import { targetedLinears } from '../../node/model/lora.ts';
import { readPeftConfig, readPeftVector } from '../../node/model/peft.ts';
import { trainableTensors } from '../../node/model/program.ts';
import { createTask } from '../../node/texts/task.ts';
import { fixture, temporaryFolder } from '../support.ts';

const LORA = { rank: 8, alpha: 16, targets: 'query,value' };

interface Reference {
  readonly text: string;
  readonly ids: number[];
  readonly mask_position: number;
  readonly logits: Record<string, number>;
}

test('the bundled base gives the logits its reference states', async () => {
  const references: Reference[] = JSON.parse(readFileSync(join(basePath(BUNDLED), 'reference.json'), 'utf8'));
  const words = Object.keys(references[0]!.logits);
  const labels = words.map((word) => `${word}=${word}`).join(',');
  const task = createTask(
    basePath(BUNDLED),
    { prompt: '{text} {mask}.', patterns: '', labels, maxTokens: 96 },
    { isCausal: false, maxTokens: 256 },
  );
  const engine = await createEngine({
    base: BUNDLED,
    trainable: { type: 'lora', lora: LORA },
    device: 'cpu',
    threads: 1,
  });
  const base = await openBase(BUNDLED);
  const zero = new Float32Array(
    trainableTensors(base, { type: 'lora', lora: LORA }).reduce((n, t) => n + t.rows * t.cols, 0),
  );
  for (const { text, ids, mask_position, logits } of references) {
    const sequence = task.encode(text.replace(' [MASK].', ''));
    assert.equal([sequence.ids, sequence.positions], [ids, [mask_position]]);
    const [got] = await engine.score(zero, [packBatch([sequence], task.padId)], {
      ids: task.labelIds[0]!,
      bias: words.map(() => 0),
    });
    for (const [i, word] of words.entries()) {
      assert.ok(Math.abs(got![i]! - logits[word]!) < 1e-3, `${word}: ${got![i]} for ${logits[word]}`);
    }
  }
  await engine.release();
});

test('padding and the company of longer texts change no logit', async () => {
  const engine = await createEngine({
    base: BUNDLED,
    trainable: { type: 'lora', lora: LORA },
    device: 'cpu',
    threads: 1,
  });
  const base = await openBase(BUNDLED);
  const task = createTask(
    base.path,
    { prompt: '{text} it was {mask} .', patterns: '', labels: 'a=bad,b=good', maxTokens: 96 },
    { isCausal: false, maxTokens: 256 },
  );
  const vector = new Float32Array(32768);
  const [short, long] = [task.encode('fine'), task.encode('a long story about nothing much at all, told twice')];
  const labels = { ids: task.labelIds[0]!, bias: [0, 0] };
  const [alone, together] = await engine.score(
    vector,
    [packBatch([short], task.padId), packBatch([short, long], task.padId, 48)],
    labels,
  );
  assert.ok(Math.abs(alone![0]! - together![0]!) < 1e-4);
  assert.ok(Math.abs(alone![1]! - together![1]!) < 1e-4);
  await engine.release();
});

test('weights are expanded once, to the size of float32', async () => {
  const base = await openBase(BUNDLED);
  await base.expand();
  const before = statSync(join(base.cache, WEIGHTS_FILE));
  await (await openBase(BUNDLED)).expand();
  assert.is(statSync(join(base.cache, WEIGHTS_FILE)).mtimeMs, before.mtimeMs);
  assert.ok(before.size > 4 * 5_000_000);
});

test('half and bfloat16 tensors expand exactly', () => {
  const halves = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x8000, 0x7bff, 0x3555);
  const bfloats = Uint16Array.of(0x3f80, 0xc040);
  const header = JSON.stringify({
    h: { dtype: 'F16', shape: [6], data_offsets: [0, 12] },
    b: { dtype: 'BF16', shape: [2], data_offsets: [12, 16] },
  });
  const bytes = Buffer.concat([
    lengthOf(header),
    Buffer.from(header),
    Buffer.from(halves.buffer),
    Buffer.from(bfloats.buffer),
  ]);
  const file = parseSafetensors(bytes, 'x');
  assert.equal(Array.from(tensorData(file, 'h')), [1, -2, 2 ** -24, -0, 65504, 0.333251953125]);
  assert.equal(Array.from(tensorData(file, 'b')), [1, -3]);
});

function lengthOf(header: string): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(header.length));
  return bytes;
}

test('a safetensors file that is cut or lies about its sizes is refused', () => {
  const good = encodeSafetensors([{ name: 'a', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }], {});
  assert.equal(Array.from(tensorData(parseSafetensors(good, 'x'), 'a')), [1, 2, 3, 4]);
  for (const bytes of [
    good.subarray(0, 4),
    good.subarray(0, good.length - 1),
    Uint8Array.from(good, (b, i) => (i === 1 ? 0xff : b)),
    Uint8Array.from(good, (b, i) => (i === 9 ? 0 : b)),
  ]) {
    assert.throws(
      () => parseSafetensors(bytes, 'x'),
      (error: Error) => error instanceof UserError && /not a safetensors file/.test(error.message),
    );
  }
});

test('a checkpoint with the older names gamma and beta is the same model', async () => {
  const older = temporaryFolder();
  cpSync(fixture('bert-qv'), older, { recursive: true });
  const file = openSafetensors(join(older, 'model.safetensors'));
  const renamed = [...file.tensors].map(([name, { shape }]) => ({
    name: name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta'),
    shape,
    data: tensorData(file, name),
  }));
  writeFileSync(join(older, 'model.safetensors'), encodeSafetensors(renamed, {}));
  assert.equal(await baseVector(await openBase(older)), await baseVector(await openBase(fixture('bert-qv'))));
});

test('a wrong model folder is named with what was wanted', async () => {
  const empty = temporaryFolder();
  await rejects(openBase(empty), /not a model folder/);
  const other = temporaryFolder();
  cpSync(fixture('bert-qv'), other, { recursive: true });
  const change = (changes: object): void => {
    writeFileSync(
      join(other, 'config.json'),
      JSON.stringify({ ...JSON.parse(readFileSync(join(fixture('bert-qv'), 'config.json'), 'utf8')), ...changes }),
    );
  };
  change({ architectures: ['T5ForConditionalGeneration'] });
  await rejects(openBase(other), /T5ForConditionalGeneration is not known; wanted one of BertForMaskedLM/);
  change({ hidden_act: 'relu' });
  await rejects(openBase(other), /hidden_act is "relu"; only gelu/);
  change({ vocab_size: 100 });
  await rejects(openBase(other), /word_embeddings.weight is \[128,32\]; wanted \[100,32\]/);
  change({ hidden_size: '32' });
  await rejects(openBase(other), /hidden_size is "32"; wanted a number/);
});

async function rejects(promise: Promise<unknown>, pattern: RegExp): Promise<void> {
  const error = await promise.then(
    () => null,
    (e: Error) => e,
  );
  assert.ok(error instanceof UserError, `no UserError but ${error}`);
  assert.match(error.message, pattern);
}

test('targets name layers by the end of their module', async () => {
  const { architecture } = await openBase(BUNDLED);
  assert.is(targetedLinears(architecture, 'query,value').length, 8);
  assert.is(targetedLinears(architecture, 'all').length, 25);
  assert.is(targetedLinears(architecture, 'attention.output.dense').length, 4);
  assert.throws(() => targetedLinears(architecture, 'query,valu'), /"valu" matches no linear layer/);
});

test('an adapter comes back from PEFT files bit for bit, and unfit ones are refused', async () => {
  const base = await openBase(BUNDLED);
  const tensors = trainableTensors(base, { type: 'lora', lora: LORA });
  const vector = Float32Array.from({ length: 32768 }, (_, i) => Math.sin(i));
  const folder = temporaryFolder();
  await writePeft(folder, { vector, tensors, lora: LORA, base: BUNDLED, architecture: base.architecture });
  assert.equal(readPeftConfig(folder, base.architecture.linears), LORA);
  assert.equal(readPeftVector(folder, tensors), vector);
  const narrower = trainableTensors(base, { type: 'lora', lora: { ...LORA, rank: 4 } });
  assert.throws(() => readPeftVector(folder, narrower), /this base wants \[4,256\]/);
});

test('a prompt without its places, or with no room for a text, is refused', () => {
  const spec = { prompt: '{text} it was {mask} .', patterns: '', labels: 'good=great,bad=terrible', maxTokens: 96 };
  assert.throws(
    () =>
      createTask(
        basePath(BUNDLED),
        { ...spec, labels: 'a=good,b=bad', prompt: '{text} was so' },
        { isCausal: false, maxTokens: 256 },
      ),
    /wanted one \{text\} and one \{mask\}/,
  );
  assert.throws(
    () =>
      createTask(
        basePath(BUNDLED),
        { ...spec, labels: 'a=good,b=bad', maxTokens: 6 },
        { isCausal: false, maxTokens: 256 },
      ),
    /leaves no room/,
  );
});

test('a long text is cut so that the whole prompt fits', () => {
  const task = createTask(
    basePath(BUNDLED),
    { prompt: '{text} it was {mask} .', patterns: '', labels: 'a=good,b=bad', maxTokens: 32 },
    { isCausal: false, maxTokens: 256 },
  );
  const { ids, positions } = task.encode('word '.repeat(500));
  assert.is(ids.length, 32);
  assert.equal(positions, [29]);
});

test.run();
