/** @file Two peers of the command line that learn to write: forms that differ, scores of base, alone and swarm, the adapter's card. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MACHINE, said, startIn } from '../processes.ts';
import { temporaryFolder } from '../support.ts';
import { tinyCausal } from '../train/parts/causal.ts';

const folder = temporaryFolder();
const base = tinyCausal(folder);
const start = (...args: string[]) => startIn(folder, [...args, ...MACHINE], { LORIKEET_CACHE: join(folder, 'cache') });
const write = (name: string, ...rows: object[]): void =>
  writeFileSync(join(folder, name), rows.map((row) => JSON.stringify(row)).join('\n'));
write('a.jsonl', { text: 'the cat sat on the mat.' }, { text: 'the rat sat on the cat.' });
const turns = [
  { role: 'user', content: 'q' },
  { role: 'assistant', content: 'the dog sat.' },
];
write('b.jsonl', { messages: turns });
write('test.jsonl', { text: 'the dog sat on the mat.' });

test('who joins need not know what is learned; each tells loss and perplexity; the adapter is scored as it was trained', async () => {
  const settings = ['--base', base, '--objective', 'next-token', '--max-tokens', '40', '--targets', 'all'];
  const steps = ['--rounds', '3', '--closing-rounds', '1', '--local-steps', '4', '--learning-rate', '0.01'];
  const first = start('up', '--data', 'a.jsonl', '--test', 'test.jsonl', ...settings, ...steps, '--json', '--follow');
  const invite = (await said(first, /lorikeet1:\S+?#\S+/))[0];
  const second = await start('join', invite, '--base', base, '--data', 'b.jsonl', '--test', 'test.jsonl').done;
  assert.is(second.code, 0, second.err);
  assert.match(
    second.err,
    /b\.jsonl: 1 text, 13 tokens to learn\n {2}of each chat the turns of the assistant are learned/,
  );
  assert.match(second.out, /next tokens of 1 text +loss a token +perplexity\nbase +\d\.\d{4}.*\nalone .*\nswarm/);
  const { code, out } = await first.done;
  assert.is(code, 0);
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const { loss, perplexity, tokens, accuracy } = events.at(-1);
  assert.ok(loss.swarm < 0.9 * loss.base, JSON.stringify(loss));
  assert.ok(Math.abs(perplexity.swarm - Math.exp(loss.swarm)) < 1e-9);
  assert.equal([tokens, accuracy], [23, undefined]);
  assert.ok(events.some(({ event, perplexity: own }) => event === 'round' && own > 1));
  const adapter = join('a.jsonl.lorikeet', 'adapter');
  assert.match(readFileSync(join(folder, adapter, 'README.md'), 'utf8'), /perplexity on 1 texts that were kept apart/);
  const scored = await start('eval', '--adapter', adapter, '--data', 'test.jsonl', '--json').done;
  assert.is(JSON.parse(scored.out).loss.adapter, loss.swarm);
});

test.run();
