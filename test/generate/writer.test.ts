/** @file The thread that writes: one text after the other, ended by the model, by its length or by whoever asked. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../node/errors.ts';
import { createDecoder } from '../../node/generate/decoder.ts';
import { GREEDY, likeliest } from '../../node/generate/sampling.ts';
import { createWriter } from '../../node/generate/writer.ts';
import { fixture, temporaryFolder } from '../support.ts';

process.env.LORIKEET_CACHE = temporaryFolder();

const OPTIONS = { base: fixture('llama-qv'), adapter: null, threads: 1 };
const PROMPT = [5, 9, 23, 41];

test('a writer writes the likeliest words, those of a decoder, and ends where it is told to', async () => {
  const decoder = await createDecoder(OPTIONS);
  const wanted: number[] = [];
  let logits = await decoder.feed(PROMPT);
  for (let i = 0; i < 12; i++) {
    wanted.push(likeliest(logits));
    logits = await decoder.feed([wanted.at(-1)!]);
  }
  await decoder.release();
  const writer = await createWriter(OPTIONS);
  const request = { prompt: PROMPT, sampling: GREEDY, maxTokens: 12, ends: [] };
  const told: number[] = [];
  const [first, second, third] = await Promise.all([
    writer.write(request, { onToken: (id) => told.push(id) }),
    writer.write({ ...request, ends: [wanted[7]!] }),
    writer.write({ ...request, prompt: [...PROMPT, ...wanted.slice(0, 3)], maxTokens: 1 }),
  ]);
  assert.equal(first, { ids: wanted, finish: 'length', reused: 0 });
  assert.equal(told, wanted);
  assert.equal(second, { ids: wanted.slice(0, wanted.indexOf(wanted[7]!)), finish: 'end', reused: 3 });
  assert.equal(third.ids, wanted.slice(3, 4));
  assert.ok(third.reused >= 4, `${third.reused} tokens were known`);
  // As much as the model holds, and no more.
  const whole = await writer.write({ ...request, maxTokens: 1000 });
  assert.is(whole.ids.length, 60);
  assert.is(whole.finish, 'length');
  await writer.stop();
});

test('an aborted text gives what there is, one that waits gives nothing, and the next goes on as ever', async () => {
  const writer = await createWriter(OPTIONS);
  const request = { prompt: PROMPT, sampling: GREEDY, maxTokens: 60, ends: [] };
  const [now, later] = [new AbortController(), new AbortController()];
  const cut = writer.write(request, {
    signal: now.signal,
    onToken: () => {
      now.abort();
      later.abort();
    },
  });
  const never = writer.write(request, { signal: later.signal });
  const after = writer.write({ ...request, maxTokens: 3 });
  assert.is((await never).ids.length, 0);
  assert.is((await never).finish, 'cancelled');
  const { ids, finish } = await cut;
  // It may have been at its end before it heard of it.
  assert.ok(ids.length >= 1 && (finish === 'cancelled' || ids.length === 60), `${ids.length} words, ${finish}`);
  assert.equal((await after).ids, ids.concat((await after).ids.slice(ids.length)).slice(0, 3));
  await writer.stop();
});

test('what a writer refuses is said in a line, and it goes on; a stopped one writes no more', async () => {
  const writer = await createWriter(OPTIONS);
  const request = { prompt: PROMPT, sampling: GREEDY, maxTokens: 2, ends: [] };
  const refusal = (error: unknown): boolean =>
    error instanceof UserError && /prompt: 64 tokens; wanted 1 to 63/.test(error.message);
  await writer.write({ ...request, prompt: new Array(64).fill(5) }).then(
    () => assert.unreachable(),
    (error) => {
      assert.ok(refusal(error), String(error));
    },
  );
  assert.is((await writer.write(request)).ids.length, 2);
  await writer.stop();
  await writer.write(request).then(
    () => assert.unreachable(),
    (error) => assert.match(String(error), /has stopped/),
  );
  await createWriter({ ...OPTIONS, base: fixture('bert-qv') }).then(
    () => assert.unreachable(),
    (error) => {
      assert.instance(error, UserError);
      assert.match(String(error), /wanted a causal model/);
    },
  );
});

test.run();
