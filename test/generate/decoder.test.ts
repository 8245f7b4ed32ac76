/** @file Words one by one with kept keys and values, against the whole text at once: every kind of attention, with an adapter. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openAdapter } from '../../node/adapter.ts';
import { createEngine } from '../../node/engine/engine.ts';
import { packPassages } from '../../node/engine/packing.ts';
import { UserError } from '../../node/errors.ts';
import { createDecoder } from '../../node/generate/decoder.ts';
import { createPrng } from '../../protocol/prng.ts';
import { fixture, temporaryFolder } from '../support.ts';

process.env.LORIKEET_CACHE = temporaryFolder();

const KINDS = ['llama-qv', 'llama3-qv', 'gpt2-qv', 'mistral-window-qv', 'qwen2-qv', 'qwen3-qv', 'gemma3-qv'];
/** Longer than the windows of the fixtures. */
const LENGTH = 20;

const idsOf = (seed: string): number[] => {
  const prng = createPrng(seed);
  return Array.from({ length: LENGTH }, () => prng.below(128));
};

/** The log-probability of one word after logits. */
function logProbability(logits: Float32Array, id: number): number {
  const most = Math.max(...logits);
  return logits[id]! - most - Math.log(logits.reduce((sum, x) => sum + Math.exp(x - most), 0));
}

for (const kind of KINDS)
  for (const withAdapter of [false, true])
    test(`${kind}${withAdapter ? ', adapted' : ''}: with kept keys each word is as likely as in the whole text`, async () => {
      const folder = fixture(kind);
      const { lora, vector } = await openAdapter(join(folder, 'adapter-trained'), folder);
      const ids = idsOf(kind);
      const adapter = withAdapter ? { lora, vector } : null;
      const decoder = await createDecoder({ base: folder, adapter, threads: 1 });
      const got: number[] = [];
      let logits = await decoder.feed(ids.slice(0, 5));
      for (let t = 5; t < LENGTH; t++) {
        got.push(logProbability(logits, ids[t]!));
        logits = await decoder.feed([ids[t]!]);
      }
      const last = logits;
      // Another text with the same beginning, then the first again.
      await decoder.start([...ids.slice(0, 7), 1, 2, 3]);
      assert.equal(decoder.read, [...ids.slice(0, 7), 1, 2, 3]);
      const again = (await decoder.start(ids))!;
      assert.ok(last.every((x, i) => Math.abs(x - again[i]!) < 1e-4));
      await decoder.release();
      const engine = await createEngine({ base: folder, trainable: { type: 'lora', lora }, device: 'cpu', threads: 1 });
      const scored = ids.slice(5).map((id, i) => ({ position: 4 + i, id, weight: 1 }));
      const batch = packPassages([{ ids, scored }], 1, 0);
      const start = withAdapter ? vector : new Float32Array(vector.length);
      const [whole] = await engine.score(start, [batch], { ids: [], bias: [] });
      await engine.release();
      whole!.forEach((x, i) => {
        assert.ok(Math.abs(x - got[i]!) < 1e-4, `word ${5 + i}: ${got[i]}, wanted ${x}`);
      });
    });

for (const kind of ['llama-qv', 'gemma3-qv', 'gpt2-qv'])
  test(`${kind}: with weights of few bits words are nearly as likely, also adapted, and from then on packed already`, async () => {
    const folder = fixture(kind);
    const { lora, vector } = await openAdapter(join(folder, 'adapter-trained'), folder);
    const ids = idsOf(kind);
    for (const adapter of [null, { lora, vector }]) {
      const [exact, fast] = [false, true].map((isFast) => createDecoder({ base: folder, adapter, threads: 1, isFast }));
      const [wanted, got] = [await (await exact!).feed(ids), await (await fast!).feed(ids)];
      const norm = (x: Float32Array): number => Math.hypot(...x);
      const error = norm(wanted.map((x, i) => x - got[i]!)) / norm(wanted);
      assert.ok(error > 0 && error < 0.05, `${error}`);
      await (await exact!).release();
      await (await fast!).release();
    }
  });

test('a masked model writes nothing, and no more tokens go in than the model holds', async () => {
  const refusal = async (run: () => Promise<unknown>): Promise<string> => {
    try {
      await run();
    } catch (error) {
      assert.instance(error, UserError);
      return (error as UserError).message;
    }
    return 'nothing was refused';
  };
  const open = (base: string) => createDecoder({ base: fixture(base), adapter: null, threads: 1 });
  assert.match(await refusal(() => open('bert-qv')), /fills blanks.*wanted a causal model/);
  const decoder = await open('llama-qv');
  assert.is(decoder.maxTokens, 64);
  await decoder.feed(new Array(63).fill(7));
  assert.match(await refusal(() => decoder.feed([7, 7])), /65 tokens; wanted 1 to 64/);
  assert.match(await refusal(() => decoder.start([])), /0 tokens; wanted 1 to 64/);
  assert.match(await refusal(() => decoder.start([128])), /token 128: the model has 128, from 0/);
  await decoder.release();
});

test.run();
