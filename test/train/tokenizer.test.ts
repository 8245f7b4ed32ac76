/** @file Users' texts as tokens: never the model's own, and a long text's head exactly as the whole would begin. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openSafetensors } from '../../node/model/safetensors.ts';
import { createHead } from '../../node/train/head.ts';
import { encodeTexts } from '../../node/train/learner.ts';
import { createTask } from '../../node/train/task.ts';
import { openTokenizer, type TextTokenizer } from '../../node/train/tokenizer.ts';
import { createPrng } from '../../protocol/prng.ts';
import { ROOT, temporaryFolder } from '../support.ts';

const BASE = join(ROOT, 'node/base/lorikeet-mini');
const SPEC = {
  prompt: '{text} it was {mask} .',
  patterns: 'in summary , it was {mask} . {text}',
  labels: 'negative=terrible,positive=great',
  maxTokens: 96,
};
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
    const task = createTask(where, SPEC, 96);
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
  const task = createTask(BASE, SPEC, 96);
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
    assert.throws(() => createTask(BASE, { ...SPEC, prompt }, 96), /wanted one \{text\} and one \{mask\}/);
});

test('two label words that are one token are refused, and all words that are none are named at once', () => {
  const labelled = (labels: string) => () => createTask(BASE, { ...SPEC, labels }, 96);
  assert.throws(labelled('a=Great,b=great'), /"Great" and "great" are the same token of this base, "great"/);
  assert.throws(labelled('a=gréat,b=great'), /"gréat" and "great" are the same token/);
  assert.throws(labelled('a=wonderfulness,b=great,c=horribleness'), /"wonderfulness".*"horribleness"/);
  assert.throws(labelled('a=[MASK],b=great'), /"\[MASK\]" is 3 tokens/);
});

test('near words are found in weights of several files too', () => {
  const folder = folderWith((tokenizer) => tokenizer);
  const { tensors } = openSafetensors(join(BASE, 'model.safetensors'));
  copyFileSync(join(BASE, 'model.safetensors'), join(folder, 'part.safetensors'));
  const map = Object.fromEntries([...tensors.keys()].map((name) => [name, 'part.safetensors']));
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
  const asked = { ...SPEC, labels: 'a=wonderfulness,b=great' };
  assert.throws(() => createTask(folder, asked, 96), /"wonderfulness" is 2 tokens .*\(near it: wonderful, /);
});

/** What texts are made of where cutting is hard: words, runs without an end, marks, spaces of every kind, sigmas. */
const PIECES = [
  ...[
    'the',
    ' ',
    '  \t',
    '\n',
    '\r\n',
    'Film',
    "don't",
    '...',
    'u.s.a.',
    ', ',
    '!',
    '-',
    '"',
    '_',
    '日本語',
    '文',
    '。',
    '、',
  ],
  ...[
    'e\u0301',
    '\u0301',
    '\u0323\u0307',
    'ΟΔΟΣ',
    'Σ',
    "Σ'",
    'Σ.',
    'Σ\u00ad',
    'α',
    'İ',
    '\u200d',
    '\ufeff',
    '\u0000',
    '\ufffd',
  ],
  ...[
    '≮',
    '\u1fef',
    '\u037e',
    '😀',
    '\ud83d',
    '\u{20000}',
    '\u{2f800}',
    '한국',
    'ไทย',
    '\u3000',
    '\u00a0',
    '\u2028',
    '\u0085',
    '7',
  ],
  ...[
    'x'.repeat(99),
    'y'.repeat(101),
    'z'.repeat(1500),
    '\u0301'.repeat(200),
    '文'.repeat(50),
    '😀'.repeat(120),
    'か'.repeat(700),
  ],
];

test('the head of a text is what the whole begins with, whatever it is made of', () => {
  const spelled = 'abcdefilmorstuz0123456789αοδσς\u0307\u0301.,!"\'-_日本語文。、<>`;·한국';
  const vocab = {
    '[UNK]': 0,
    ...Object.fromEntries(
      [...spelled].flatMap((c, i) => [
        [c, 2 * i + 1],
        [`##${c}`, 2 * i + 2],
      ]),
    ),
  };
  const variant = (normalizer: object): TextTokenizer =>
    openTokenizer(
      folderWith((t) => ({
        ...t,
        added_tokens: [],
        model: { ...(t.model as object), vocab },
        normalizer: { ...(t.normalizer as object), ...normalizer },
      })),
    );
  const variants = [
    variant({}),
    variant({ handle_chinese_chars: false }),
    variant({ clean_text: false }),
    variant({ lowercase: false, strip_accents: false }),
    openTokenizer(BASE),
  ];
  const prng = createPrng('heads');
  for (let trial = 0; trial < 700; trial++) {
    const draw = prng.fork(trial);
    const few = draw.shuffle(PIECES).slice(0, 1 + draw.below(6));
    const length = 20 + draw.below(4000);
    let text = '';
    while (text.length < length) text += few[draw.below(few.length)];
    const count = 1 + draw.below(40);
    const tokenizer = variants[trial % variants.length]!;
    assert.equal(
      tokenizer.encodeHead(text, count).slice(0, count),
      tokenizer.encode(text).slice(0, count),
      `trial ${trial}: ${JSON.stringify(few)}`,
    );
  }
});

test('of a text of a million characters no more is tokenised than a few thousand', () => {
  const tokenizer = openTokenizer(BASE);
  const head = createHead(json('tokenizer.json'), json('tokenizer_config.json'))!;
  const units = [
    'the film was slow but kind ',
    '日本語的文章',
    'no.spaces.at.all.',
    'a',
    'กขฃ',
    '😀',
    '。',
    '.',
    "'",
    '- ',
    'e\u0301',
    '·',
  ];
  for (const unit of units) {
    const text = unit.repeat(Math.ceil(1_000_000 / unit.length));
    const short = text.slice(0, unit.length * Math.ceil(20_000 / unit.length));
    let tokenised = 0;
    const ids = head(text, 90, (part) => {
      tokenised += part.length;
      return tokenizer.encode(part);
    });
    assert.equal(ids.slice(0, 90), tokenizer.encode(short).slice(0, 90), unit);
    assert.ok(tokenised < 8000, `${unit}: ${tokenised} characters`);
  }
});

test('a run of spaces is one, however long', () => {
  const tokenizer = openTokenizer(BASE);
  const head = createHead(json('tokenizer.json'), json('tokenizer_config.json'))!;
  const wide = `a film${' \t'.repeat(300_000)}fine`;
  assert.equal(
    head(wide, 90, (part) => {
      assert.ok(part.length < 100);
      return tokenizer.encode(part);
    }),
    tokenizer.encode('a film fine'),
  );
});

test('encoding elsewhere gives what encoding here gives, in order, and says what was cut', async () => {
  const task = createTask(BASE, SPEC, 96);
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
  const task = { ...createTask(BASE, SPEC, 96), source: { folder: '/nowhere', spec: SPEC, maxPositions: 96 } };
  await encodeTexts(task, ['a']).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, /\/nowhere: no tokenizer can be read/),
  );
});

test.run();
