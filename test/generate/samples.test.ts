/** @file What adapters of one base write after the same words is what each writes by itself; and is given up when nobody waits for it. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openAdapter } from '../../node/adapter.ts';
import { writeSamples } from '../../node/generate/samples.ts';
import { GREEDY } from '../../node/generate/sampling.ts';
import { createWriter } from '../../node/generate/writer.ts';
import { fixture, temporaryFolder } from '../support.ts';

process.env.LORIKEET_CACHE = temporaryFolder();
const folder = fixture('llama-qv');
const { lora, vector } = await openAdapter(join(folder, 'adapter-trained'), folder);
// Far enough from the base that it writes something else.
const strong = vector.map((x) => 5 * x);
const OPTIONS = { base: folder, threads: 1, lora, prompt: [5, 9, 23, 41], ends: [], maxTokens: 12 };

test('each adapter writes what a writer of its own writes, whichever came before it', async () => {
  const alone = async (own: Float32Array): Promise<readonly number[]> => {
    const writer = await createWriter({ base: folder, threads: 1, adapter: { lora, vector: own } });
    const { prompt, ends, maxTokens } = OPTIONS;
    const { ids } = await writer.write({ prompt, ends, maxTokens, sampling: GREEDY });
    await writer.stop();
    return ids;
  };
  const vectors = [new Float32Array(vector.length), strong, vector];
  const wanted: (readonly number[])[] = [];
  for (const own of vectors) wanted.push(await alone(own));
  assert.not.equal(wanted[0], wanted[1]);
  const { signal } = new AbortController();
  assert.equal(await writeSamples({ ...OPTIONS, vectors, signal }), wanted);
});

test('what takes too long is given up as a whole', async () => {
  const signal = AbortSignal.abort();
  assert.is(await writeSamples({ ...OPTIONS, vectors: [vector, strong], signal }), null);
});

test.run();
