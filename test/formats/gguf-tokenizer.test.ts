/**
 * @file Tokenizers out of GGUF metadata give the ids of other programs: byte-level BPE those of Hugging Face's tokenizers
 * (Python, 0.23) with the splitting of each model, SentencePiece those of sentencepiece (Python, 0.2), both of small
 * vocabularies trained on this project's documentation (test/fixtures/gguf/tokenizers.json).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openGguf } from '../../node/formats/gguf.ts';
import { type GgufTokenizer, ggufTokenizer } from '../../node/formats/gguf-tokenizer.ts';
import { mergesOf, ranksOf } from '../../node/formats/merges.ts';
import { fixture } from '../support.ts';
import { ggufBytes, type Typed, written } from './parts/writer.ts';

interface Vocabulary {
  readonly tokens: string[];
  readonly types: number[];
  readonly texts: string[];
}
const golden: {
  byteLevel: Vocabulary & { merges: string[]; ids: Record<string, number[][]> };
  sentencePiece: Record<string, Vocabulary & { scores: number[]; ids: number[][] }>;
} = JSON.parse(readFileSync(join(fixture('gguf'), 'tokenizers.json'), 'utf8'));

const keysOf = (keys: Record<string, Typed | null>): Record<string, Typed> =>
  Object.fromEntries(
    Object.entries(keys).flatMap(([key, typed]) => (typed === null ? [] : [[`tokenizer.ggml.${key}`, typed]])),
  );
const opened = (keys: Record<string, Typed | null>): GgufTokenizer =>
  ggufTokenizer(openGguf(written(ggufBytes(keysOf(keys)))));
const byteLevel = (pre: string, other: Record<string, Typed | null> = {}): Record<string, Typed | null> => ({
  model: [8, 'gpt2'],
  pre: [8, pre],
  tokens: [9, [8, golden.byteLevel.tokens]],
  token_type: [9, [5, golden.byteLevel.types]],
  merges: [9, [8, golden.byteLevel.merges]],
  bos_token_id: [4, 1],
  ...other,
});
const sentencePiece = (kind: string, other: Record<string, Typed | null> = {}): Record<string, Typed | null> => ({
  model: [8, 'llama'],
  tokens: [9, [8, golden.sentencePiece[kind]!.tokens]],
  token_type: [9, [5, golden.sentencePiece[kind]!.types]],
  scores: [9, [6, golden.sentencePiece[kind]!.scores]],
  add_space_prefix: [7, kind === 'prefixed'],
  ...other,
});
const content = ({ content, config }: GgufTokenizer): Tokenizer => new Tokenizer(content, config);
const whole = ({ whole, config }: GgufTokenizer): Tokenizer => new Tokenizer(whole, config);

for (const [pre, ids] of Object.entries(golden.byteLevel.ids)) {
  test(`byte-level BPE, cut as ${pre}: ids of users' texts are Hugging Face's`, () => {
    const tokenizer = opened(byteLevel(pre));
    for (const [i, text] of golden.byteLevel.texts.entries()) {
      const got = content(tokenizer).encode(text, { add_special_tokens: false }).ids;
      assert.equal(got, ids[i], JSON.stringify(text));
    }
  });
}

test('the four ways to cut give different ids, so each is told from the others', () => {
  const all = Object.values(golden.byteLevel.ids).map((ids) => JSON.stringify(ids));
  assert.is(new Set(all).size, 4);
});

for (const [kind, { texts, ids }] of Object.entries(golden.sentencePiece)) {
  test(`SentencePiece, ${kind}: ids of users' texts are its own, and texts come back`, () => {
    const tokenizer = opened(sentencePiece(kind));
    const [theirs, all] = [content(tokenizer), whole(tokenizer)];
    for (const [i, text] of texts.entries()) {
      assert.equal(theirs.encode(text, { add_special_tokens: false }).ids, ids[i], JSON.stringify(text));
      const back = ids[i]!.length > 0 ? all.decode(ids[i]!) : '';
      assert.is(back, text.replaceAll('\u2581', ' '));
    }
  });
}

test('merges told one at a time are those of the list, in its order', () => {
  for (const kind of Object.keys(golden.sentencePiece)) {
    const { content, told } = opened(sentencePiece(kind));
    const ranks = content.model.merges.map((merge) => told!.ranks.get(JSON.stringify(merge)));
    assert.ok(ranks.length > 50);
    for (const [i, rank] of ranks.entries())
      assert.ok(i === 0 || rank! > ranks[i - 1]!, `${kind}: ${content.model.merges[i]}`);
    for (const token of ['a', ',', '"', '\\', 'the', '\u2581', '</s>']) {
      for (const other of ['a', ',', '"', '\\', 'e', '</s>']) {
        const isListed = content.model.merges.some(([left, right]) => left === token && right === other);
        assert.is(told!.ranks.get(JSON.stringify([token, other])) !== undefined, isListed, `${token} ${other}`);
      }
    }
    assert.equal(told!.ids.get('</s>'), undefined);
  }
});

test('scores that are alike are listed: what merges first is told by more than them', () => {
  const names = ['a', 'b', ',', '"', ',"', 'ab', '",'];
  const tokens = { names, types: names.map(() => 1), byName: new Map(names.map((name, id) => [name, id])) };
  assert.is(ranksOf(tokens, [0, -1, -2, -3, -4, -4, -5]), null);
  const ranks = ranksOf(tokens, [0, -1, -2, -3, -4, -5, -6])!;
  const ordered = [
    [',', '"'],
    ['a', 'b'],
    ['"', ','],
  ].map((pair) => ranks.get(JSON.stringify(pair))!);
  assert.equal(
    [...ordered].sort((a, b) => a - b),
    ordered,
  );
  assert.is(ranks.get(JSON.stringify([',', ','])), undefined);
});

test('control tokens are in prompts, never in texts of users', () => {
  const tokenizer = opened(byteLevel('smollm'));
  const text = '<|start|>hi<|end|>';
  const inPrompt = whole(tokenizer).encode(text).ids;
  assert.equal([inPrompt[0], inPrompt.at(-1)], [1, 0]);
  const inText = content(tokenizer).encode(text).ids;
  assert.ok(!inText.includes(0) && !inText.includes(1));
  assert.is(whole(tokenizer).decode(inText), text);
});

test('user-defined tokens are text, in whole and content alike', () => {
  const types = golden.byteLevel.types.map((type, id) => (id === 0 ? 4 : type));
  const tokenizer = opened(byteLevel('qwen2', { token_type: [9, [5, types]] }));
  for (const of of [content, whole]) assert.equal(of(tokenizer).encode('<|end|>').ids, [0]);
  assert.ok(content(tokenizer).encode('<|start|>').ids.length > 1);
});

test('texts begin and end with the tokens that the metadata tells, or that are the rule of the kind', () => {
  const ends = (keys: Record<string, Typed | null>): unknown[] => {
    const tokenizer = opened(keys);
    const { bos, eos, addsBos, addsEos } = tokenizer;
    const { ids } = whole(tokenizer).encode('');
    assert.equal(content(tokenizer).encode('').ids, []);
    return [bos, eos, addsBos, addsEos, ids];
  };
  const ids: Record<string, Typed> = { bos_token_id: [4, 1], eos_token_id: [4, 0] };
  assert.equal(ends(byteLevel('smollm', ids)), [1, 0, false, false, []]);
  assert.equal(ends(byteLevel('llama-bpe', ids)), [1, 0, true, false, [1]]);
  assert.equal(ends(byteLevel('llama-bpe', { ...ids, add_bos_token: [7, false] })), [1, 0, false, false, []]);
  assert.equal(ends(byteLevel('gpt-2', { ...ids, add_eos_token: [7, true] })), [1, 0, false, true, [0]]);
  assert.equal(ends(sentencePiece('plain')), [1, 2, true, false, [1]]);
});

test('a token __proto__ is one like any other, and the vocabulary is by id', () => {
  const tokens = [...golden.byteLevel.tokens, '__proto__'];
  const types = [...golden.byteLevel.types, 4];
  const tokenizer = opened(byteLevel('gpt-2', { tokens: [9, [8, tokens]], token_type: [9, [5, types]] }));
  assert.equal(tokenizer.vocabulary, tokens);
  assert.equal(content(tokenizer).encode('a__proto__').ids.at(-1), tokens.length - 1);
});

test('merges out of scores: best first, then the longest left part; control tokens are in none', () => {
  const names = ['a', 'b', 'aa', 'aaa', 'ab', '<c>', 'a<c>'];
  const byName = new Map(names.map((name, id) => [name, id]));
  const types = [1, 1, 1, 1, 1, 3, 1];
  const scores = [-9, -8, -3, -1, -2, 0, 0];
  assert.is(mergesOf({ names, types, byName }, scores, 3), null);
  assert.equal(mergesOf({ names, types, byName }, scores, 4), [
    ['aa', 'a'],
    ['a', 'aa'],
    ['a', 'b'],
    ['a', 'a'],
  ]);
});

for (const [what, keys, pattern] of [
  ['no kind', byteLevel('gpt-2', { model: null }), /tokenizer\.ggml\.model is missing/],
  [
    'an unknown kind',
    byteLevel('gpt-2', { model: [8, 'constructor'] }),
    /model is "constructor"; wanted gpt2 or llama/,
  ],
  ['an unknown way to cut', byteLevel('toString'), /pre is "toString"; wanted gpt-2, smollm/],
  ['a way to cut of any length', byteLevel('x'.repeat(5000)), /^.{0,600}$/],
  ['no way to cut', byteLevel('', { pre: null }), /tokenizer\.ggml\.pre is missing/],
  [
    'a token too long',
    byteLevel('gpt-2', { tokens: [9, [8, ['a', 'b'.repeat(513)]]], token_type: null }),
    /token 1 has 513 characters; wanted at most 512/,
  ],
  [
    'more control tokens than any model',
    byteLevel('gpt-2', {
      tokens: [9, [8, Array.from({ length: 600 }, (_, i) => `${i}`.padStart(500, '<'))]],
      token_type: [9, [5, new Array(600).fill(3)]],
    }),
    /have 300000 characters in all; wanted at most 262144/,
  ],
  ['no tokens', byteLevel('gpt-2', { tokens: null }), /tokenizer\.ggml\.tokens is missing/],
  ['types of other tokens', byteLevel('gpt-2', { token_type: [9, [5, [1]]] }), /1 types of tokens for 520 tokens/],
  [
    'a token twice',
    byteLevel('gpt-2', { tokens: [9, [8, ['a', 'b', 'a']]], token_type: null }),
    /"a" has the numbers 0 and 2/,
  ],
  [
    'a merge to nothing',
    byteLevel('gpt-2', { merges: [9, [8, ['a b', 'zz y']]] }),
    /merge "a b": no token is "ab"|"zz y"/,
  ],
  ['a merge of one part', byteLevel('gpt-2', { merges: [9, [8, ['ab']]] }), /merge "ab": no token/],
  [
    'a start beyond the vocabulary',
    byteLevel('gpt-2', { bos_token_id: [4, 520] }),
    /bos_token_id is 520; the vocabulary has 520/,
  ],
  [
    'a start that is not named',
    byteLevel('gpt-2', { bos_token_id: null, add_bos_token: [7, true] }),
    /bos_token_id does not name/,
  ],
  ['tokens that are numbers', byteLevel('gpt-2', { tokens: [9, [4, [1]]] }), /tokens is of type u32\[\]; wanted texts/],
  ['no scores', sentencePiece('plain', { scores: null }), /tokenizer\.ggml\.scores is missing/],
  ['scores of other tokens', sentencePiece('plain', { scores: [9, [6, [0]]] }), /1 scores for \d+ tokens/],
  ['an unknown token beyond', sentencePiece('plain', { unknown_token_id: [4, 9999] }), /unknown_token_id is 9999/],
] as [string, Record<string, Typed | null>, RegExp][]) {
  test(`metadata with ${what} is refused by name`, () => {
    assert.throws(() => opened(keys), pattern);
  });
}

test.run();
