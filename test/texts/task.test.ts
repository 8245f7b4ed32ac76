/** @file A WordPiece task: users' texts as tokens, never the model's own, and label words that the base can say. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openSafetensors } from '../../node/formats/safetensors.ts';
import { openTokenizer } from '../../node/formats/tokenizer.ts';
import { createTask } from '../../node/texts/task.ts';
import { encodeTexts } from '../../node/train/learner.ts';
import { ROOT, temporaryFolder } from '../support.ts';

const BASE = join(ROOT, 'node/base/lorikeet-mini');
const SPEC = {
  prompt: '{text} it was {mask} .',
  patterns: 'in summary , it was {mask} . {text}',
  labels: 'negative=terrible,positive=great',
  maxTokens: 96,
};
const READER = { isCausal: false, maxTokens: 96 };
const json = (name: string): Record<string, unknown> & { added_tokens: object[] } =>
  JSON.parse(readFileSync(join(BASE, name), 'utf8'));

/** The bundled tokenizer, changed. */
function folderWith(change: (tokenizer: ReturnType<typeof json>) => object): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(change(json('tokenizer.json'))));
  copyFileSync(join(BASE, 'tokenizer_config.json'), join(folder, 'tokenizer_config.json'));
  return folder;
}

/** Added tokens of every sort: marked up, in ordinary letters, with the vocabulary's word, normalised, taking spaces along. */
const ADDED = [
  { id: 8192, content: '<person>', special: true },
  { id: 8193, content: 'ZIPCODE', special: true },
  { id: 8194, content: '[name]', special: false, normalized: true },
  { id: 8195, content: '<|end|>', special: true, lstrip: true, rstrip: true },
  { id: 8196, content: 'terribly nice', special: true, normalized: true },
];

test('what a text writes is never a token of the model, whichever the tokenizer adds', () => {
  const folder = folderWith((t) => ({ ...t, added_tokens: [...t.added_tokens, ...ADDED] }));
  for (const where of [BASE, folder]) {
    const task = createTask(where, SPEC, READER);
    const tokenizer = openTokenizer(where);
    const specials = ['[PAD]', '[CLS]', '[SEP]', '[MASK]', ...(where === BASE ? [] : ADDED.map((t) => t.content))];
    const ids = new Set(specials.map((token) => tokenizer.idOf(token)!));
    const texts = specials.flatMap((s) => [
      s,
      `${s} came late`,
      `room ${s}, twice ${s}${s}`,
      `a${s}b`,
      s.toLowerCase(),
    ]);
    for (const text of [...texts, '{text}', '{mask} and {text}', '[ MASK ]']) {
      for (const prompt of [0, 1]) {
        const { ids: all, positions } = task.encode(text, prompt);
        const mask = all.indexOf(tokenizer.idOf('[MASK]')!);
        assert.equal(positions, [mask], text);
        const inside = all.filter((id, i) => i > 0 && i < all.length - 1 && i !== mask && ids.has(id));
        assert.equal(inside, [], `${text} in prompt ${prompt}`);
      }
    }
  }
});

test('the mask asked for is the one of the prompt, before and behind the text', () => {
  const task = createTask(BASE, SPEC, READER);
  const { ids, positions } = task.encode('signed [MASK]', 0);
  assert.equal(positions, [ids.length - 3]);
  assert.equal(task.encode('signed [MASK]', 1).positions, task.encode('signed by me', 1).positions);
});

test('ordinary text keeps the tokens it has in the whole tokenizer, words added to the vocabulary among them', () => {
  const folder = folderWith((t) => ({
    ...t,
    added_tokens: [...t.added_tokens, { id: 8192, content: 'covfefe', special: false }],
  }));
  for (const where of [BASE, folder]) {
    const read = (name: string): object => JSON.parse(readFileSync(join(where, name), 'utf8'));
    const whole = new Tokenizer(read('tokenizer.json'), read('tokenizer_config.json'));
    const tokenizer = openTokenizer(where);
    for (const text of ['The film was GREAT!', 'naïve café, 3.5 stars', '日本語 text', 'a covfefe or two', '', ' \t\n'])
      assert.equal(tokenizer.encode(text), whole.encode(text, { add_special_tokens: false }).ids, text);
  }
});

test('a prompt with a mask of its own making is refused', () => {
  for (const prompt of ['{text} [MASK] {mask}', '{text} [MASK]', '{text} {text} {mask}', '{mask}'])
    assert.throws(() => createTask(BASE, { ...SPEC, prompt }, READER), /wanted one \{text\} and one \{mask\}/);
});

test('two label words that are one token are refused, and those that are several are named with others near them', () => {
  const labelled = (labels: string) => () => createTask(BASE, { ...SPEC, labels }, READER);
  assert.throws(labelled('a=Great,b=great'), /"Great" and "great" are the same token of this base, "great"/);
  assert.throws(labelled('a=gréat,b=great'), /"gréat" and "great" are the same token/);
  assert.throws(labelled('a=great,b=good,a=bad'), /"a" stands twice/);
  assert.throws(labelled('a=日本,b=great,c=中文'), /"日本" is unknown.*"中文" is unknown/);
  const several = labelled('a=wonderfulness,b=great,c=horribleness')();
  assert.match(several.hints().join('; '), /^"wonderfulness" is 2 tokens .*\(near it: wonderful, .*; "horribleness"/);
  assert.equal(
    several.wordIds[0]!.map((ids) => ids.length),
    [2, 1, 2],
  );
  assert.equal(labelled('a=[MASK],b=great')().wordIds[0]![0]!.length, 3);
});

test('near words are found in weights of several files too', () => {
  const folder = folderWith((tokenizer) => tokenizer);
  const { tensors } = openSafetensors(join(BASE, 'model.safetensors'));
  copyFileSync(join(BASE, 'config.json'), join(folder, 'config.json'));
  copyFileSync(join(BASE, 'model.safetensors'), join(folder, 'part.safetensors'));
  const map = Object.fromEntries([...tensors.keys()].map((name) => [name, 'part.safetensors']));
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
  const asked = { ...SPEC, labels: 'a=wonderfulness,b=great' };
  assert.match(
    String(createTask(folder, asked, READER).hints()),
    /"wonderfulness" is 2 tokens .*\(near it: wonderful, /,
  );
});

test('encoding elsewhere gives what encoding here gives, in order, and says what was cut', async () => {
  const task = createTask(BASE, SPEC, READER);
  const texts = Array.from({ length: 600 }, (_, i) => `text ${i} ${'word '.repeat(i % 200)}`);
  const sequences = await encodeTexts(task, texts, 1);
  assert.equal(
    sequences,
    texts.map((text) => task.encode(text, 1)),
  );
  assert.is(sequences[0]!.cut, false);
  assert.is(sequences[199]!.cut, true);
});

test('a task that cannot be made elsewhere fails with its reason', async () => {
  const task = {
    ...createTask(BASE, SPEC, READER),
    source: { path: '/nowhere', spec: SPEC, reader: READER },
  };
  await encodeTexts(task, ['a']).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, /\/nowhere: no tokenizer can be read/),
  );
});

test.run();
