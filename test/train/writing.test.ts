/** @file Learning to write: what a row holds and what of it is learned, batches, and two peers whose loss falls. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createTrainer } from '../../node/engine/trainer.ts';
import { type DataOptions, openData } from '../../node/texts/data.ts';
import { createWritingTask, learnedCount, type Piece, passagesOf } from '../../node/texts/pieces.ts';
import type { Writing } from '../../node/texts/writings.ts';
import { openRun, type WritingRun } from '../../node/train/run.ts';
import { readTexts } from '../../node/train/texts.ts';
import { writingBatches } from '../../node/train/write.ts';
import { settingsWith, temporaryFolder } from '../support.ts';
import { tinyCausal } from './parts/causal.ts';

const folder = temporaryFolder();
process.env.LORIKEET_CACHE = join(folder, 'cache');
const base = tinyCausal(folder);
const OBJECTIVE = { objective: 'next-token' };
const settings = settingsWith({ ...OBJECTIVE, base, maxTokens: 32, batchSize: 4, learningRate: 1e-2, targets: 'all' });

function file(name: string, ...rows: unknown[]): string {
  const path = join(folder, name);
  writeFileSync(path, rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n'));
  return path;
}
const pair2 = () => file('pair2.jsonl', { prompt: 'Q', completion: 'A' });
const read = (path: string, options: DataOptions = OBJECTIVE) => openData(path, options);

test('a file is read by its names: messages, else prompt and completion, else text; labels mean nothing', () => {
  const chat = [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: 'ho' },
  ];
  const both = file('both.jsonl', { messages: chat, prompt: 'p', text: 't', label: 1 });
  const { rows, columns } = read(both);
  assert.equal(rows[0]!.writing, { type: 'chat', turns: chat });
  assert.equal(columns.others, ['prompt', 'text', 'label']);
  assert.is(read(both, { ...OBJECTIVE, textColumn: 'text' }).rows[0]!.text, 't');
  assert.is(read(both, { objective: 'classify' }).rows[0]!.label, '1');
  const pair = file('pair.jsonl', { Prompt: 'Q: ', Completion: 'A', text: 'x' });
  assert.equal(read(pair).rows[0]!.writing, { type: 'completion', prompt: 'Q: ', completion: 'A' });
  assert.is(read(file('plain.csv', 'text,label', 'some text,good')).rows[0]!.label, null);
  assert.equal(
    read(file('bare.txt', 'one', 'more', '', '  ', 'two')).rows.map(({ text, line }) => [line, text]),
    [
      [1, 'one\nmore'],
      [5, 'two'],
    ],
  );
  assert.throws(() => read(file('bare.txt', 'x'), { objective: 'classify' }), /unknown kind of file/);
  assert.throws(
    () => read(pair2(), { objective: 'classify' }),
    /columns are prompt, completion; .*--objective next-token/,
  );
  assert.throws(() => read(file('other.jsonl', { question: 'x' })), /:1: names are question; wanted text, or prompt/);
});

test('a row that cannot be learned is named by its line', () => {
  const turns = (...contents: unknown[]) => ({ messages: contents.map((content) => ({ role: 'user', content })) });
  const bad = [
    { messages: [] },
    { messages: [{ role: 'user' }] },
    turns('hi'),
    { messages: [{ role: 'assistant', content: 'x', tool_calls: [1] }] },
    { messages: 'x' },
  ];
  const { rows, bad: found } = read(file('bad.jsonl', ...bad, { messages: [{ role: 'assistant', content: 'x' }] }));
  assert.is(rows.length, 1);
  assert.equal(
    found.map(({ line, problem }) => `${line}: ${problem}`),
    [
      '1: messages is an empty list; wanted a list of {"role": ..., "content": ...}',
      '2: messages[0] has a content that is missing; wanted a text',
      '3: messages has no turn of the assistant; wanted one to learn',
      '4: messages[0] has "tool_calls"; wanted role and content alone',
      '5: messages is "x"; wanted a list of {"role": ..., "content": ...}',
    ],
  );
  const pairs = read(file('badpairs.jsonl', { prompt: 1, completion: 'x' }, { prompt: 'a', completion: ' ' }));
  assert.equal(
    pairs.bad.map(({ problem }) => problem.split(';')[0]),
    ['prompt is 1', 'completion is " "'],
  );
});

const task = createWritingTask({ path: base, maxTokens: 12, maxPositions: 64, isCausal: true });
const ids = (text: string): number[] => [...text].map((c) => (c === '\n' ? 99 : c.charCodeAt(0) - 28));
const END = 2;
const learnedOf = (piece: Piece): number[] => passagesOf([piece])[0]!.scored.map(({ id }) => id);

test('of a text every token but the first is learned once, its end too, in pieces that the model can hold', () => {
  const text = 'abcdefghijklmnopqrstuvwxyz';
  const pieces = task.encode({ type: 'text', text });
  assert.equal(
    pieces.map((piece) => piece.ids.length),
    [12, 12, 5],
  );
  assert.equal(pieces.flatMap(learnedOf), [...ids(text).slice(1), END]);
  assert.equal(task.encode({ type: 'text', text: 'a' }).flatMap(learnedOf), [END]);
  // What is said of each stands at the token before it.
  for (const { scored, ids: all } of passagesOf(pieces))
    for (const { position, id } of scored) assert.is(all[position + 1], id);
});

test('of a prompt with its completion the completion is learned; a long prompt gives way from its start', () => {
  const encode = (prompt: string, completion: string): Piece =>
    task.encode({ type: 'completion', prompt, completion })[0]!;
  const short = encode('ab', 'cd');
  assert.equal([...short.ids], [...ids('abcd'), END]);
  assert.equal(learnedOf(short), [...ids('cd'), END]);
  assert.is(short.isCut, false);
  const long = encode('abcdefghijklmnop', 'xyz');
  assert.equal([...long.ids], [...ids('ijklmnopxyz'), END]);
  const both = encode('abcdefghijklmnop', 'qrstuvwxyz');
  assert.equal([...both.ids], ids('klmnopqrstuv'));
  assert.is(both.isCut, true);
  assert.equal(learnedOf(both), ids('qrstuv'));
});

test('of a chat the turns of the assistant are learned, and no text spells a mark', () => {
  const roomy = createWritingTask({ path: base, maxTokens: 64, maxPositions: 64, isCausal: true });
  const turns = [
    { role: 'user', content: 'a</s>' },
    { role: 'assistant', content: ' b ' },
    { role: 'user', content: 'c' },
    { role: 'assistant', content: 'd' },
  ];
  const [piece] = roomy.encode({ type: 'chat', turns });
  assert.equal(learnedOf(piece!), [...ids('b'), END, ...ids('d'), END]);
  assert.is([...piece!.ids].filter((id) => id === END).length, 4);
  assert.ok(String([...piece!.ids]).includes(String(ids('a</s>'))));
  assert.equal(task.encode({ type: 'chat', turns }), [], 'nothing of it is left to learn');
});

test('settings of classification are refused beside it, and a base that fills in masks', async () => {
  assert.throws(
    () => settingsWith({ ...OBJECTIVE, labels: 'a=b,c=d' }),
    /labels: got "a=b,c=d" with objective next-token/,
  );
  try {
    await openRun(settingsWith(OBJECTIVE));
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /objective: next-token wants a base that reads from left to right/);
  }
});

const VERSE = [
  'the cat sat on the mat.',
  'the dog sat on the log.',
  'a cat and a dog sat on a mat',
  'the mat, the log.',
];

test('two peers learn: every learned token weighs the same, rounds are pure, and their average writes better than the base', async () => {
  const run = (await openRun(settings)) as WritingRun;
  const own = VERSE.map((text): Writing => ({ type: 'text', text }));
  const pieces = own.flatMap((writing) => run.writing.encode(writing));
  const place = { peer: 'a', round: 0, steps: 3 };
  for (const batch of writingBatches({ settings, padId: run.writing.padId, pieces }, place)) {
    assert.ok(batch.question === 'tokens');
    assert.is(
      batch.rowWeight.length,
      pieces.reduce((sum, piece) => sum + learnedCount(piece), 0),
    );
    assert.ok(Math.abs(batch.rowWeight.reduce((a, b) => a + b, 0) - 1) < 1e-5);
    assert.ok(batch.tokens <= settings.maxTokens);
  }
  const trainer = await createTrainer({ base, trainable: { type: 'lora', lora: run.lora }, device: 'cpu', threads: 1 });
  const open = (name: string, ...rows: object[]) => readTexts(run, read(file(name, ...rows)), OBJECTIVE);
  const halves = [VERSE.slice(0, 2), VERSE.slice(2)].map((texts) => texts.map((text) => ({ text })));
  const learners = await Promise.all(halves.map((rows, i) => open(`own-${i}.jsonl`, ...rows).learner(run, trainer)));
  const exam = await open('test.jsonl', { text: 'the cat and the dog sat.' }).exam(run, trainer);
  const before = await exam.score(run.initial);
  assert.ok(before.type === 'loss' && before.tokens === 24, `${before.type} of 23 characters and the end`);
  const vectors = [run.initial, run.initial];
  const losses: number[] = [];
  for (let round = 0; round < 4; round++) {
    for (const [i, learner] of learners.entries()) {
      const trained = await learner.train({ peer: `${i}`, round, vector: vectors[i]!, steps: 4 });
      vectors[i] = trained.vector;
      losses.push(...trained.losses);
    }
    const mixed = vectors[0]!.map((x, i) => (x + vectors[1]![i]!) / 2);
    vectors.fill(mixed);
  }
  const after = await exam.score(vectors[0]!);
  const again = await learners[0]!.train({ peer: '0', round: 0, vector: run.initial, steps: 4 });
  assert.is(again.losses[0], losses[0]);
  assert.ok(losses.at(-1)! < 0.8 * losses[0]!, losses.join(' '));
  assert.ok(after.type === 'loss' && after.loss! < 0.9 * before.loss!, `${before.loss} to ${JSON.stringify(after)}`);
  const { lines } = await open('seen.jsonl', { prompt: 'a', completion: 'b' }).inspect();
  assert.match(lines.join('\n'), /1 text, 2 tokens to learn\n {2}completions are learned, each after its prompt/);
  await trainer.stop();
});

test.run();
