/** @file Tokenizers of every kind from model folders and GGUF files: ids, special tokens, texts back, all of Hugging Face's. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openTokenizer } from '../../node/formats/tokenizer.ts';
import { fixture } from '../support.ts';
import { KINDS, TEXTS, tokenizerFolder, wholeTokenizer } from './parts/tokenizers.ts';
import { ggufBytes, written } from './parts/writer.ts';

for (const [kind, { ids, decoded, prompts, promptIds, framed }] of Object.entries(KINDS)) {
  const tokenizer = openTokenizer(tokenizerFolder(kind));

  test(`${kind}: ids of texts are Hugging Face's, and come back as text`, () => {
    for (const [i, text] of TEXTS.entries()) {
      assert.equal(tokenizer.encode(text), ids[i], JSON.stringify(text));
      assert.is(tokenizer.decode(ids[i]!), decoded[i] ?? text);
    }
  });

  test(`${kind}: a prompt may name special tokens, which take white space along as Hugging Face has it`, () => {
    for (const [i, prompt] of prompts.entries())
      assert.equal(tokenizer.encodePrompt(prompt), promptIds[i], JSON.stringify(prompt));
  });

  test(`${kind}: what a text is framed by is found`, () => {
    assert.equal([...tokenizer.begin, ...tokenizer.encode('great'), ...tokenizer.end], framed);
  });

  test(`${kind}: no text spells a special token`, () => {
    const added = KINDS[kind]!.tokenizer.added_tokens as { id: number; content: string; special: boolean }[];
    const special = added.filter((token) => token.special);
    assert.ok(special.length > 0);
    // The token for what is unknown may stand for characters that are.
    const ids = special.map(({ id }) => id).filter((id) => id !== tokenizer.unknown);
    for (const { content } of special)
      for (const text of [content, `a ${content} b`, `x${content}${content}y`]) {
        const found = tokenizer.encode(text).filter((id) => ids.includes(id));
        assert.equal(found, [], `${kind}: ${text}`);
        if (!tokenizer.encode(text).includes(tokenizer.unknown!))
          assert.is(tokenizer.decode(tokenizer.encode(text)), text);
      }
  });

  test(`${kind}: names and ids belong together`, () => {
    const whole = wholeTokenizer(kind);
    for (const [id, token] of tokenizer.vocabulary.entries()) {
      assert.is(tokenizer.idOf(token), id);
      assert.is(whole.id_to_token(id), token);
    }
  });
}

const of = (kind: string, tokenizer: object = {}, config: object = {}) =>
  openTokenizer(tokenizerFolder(kind, tokenizer, config));

test('special tokens are found by the settings, in either form, or by their usual names', () => {
  const names = (kind: string, config: object = {}): unknown[] => {
    const { mask, pad, eos, tokenOf } = of(kind, {}, config);
    return [mask?.content ?? null, mask?.lstrip ?? null, tokenOf(pad), eos.map(tokenOf)];
  };
  assert.equal(names('roberta'), ['<mask>', true, '<pad>', ['</s>']]);
  assert.equal(names('roberta', { mask_token: undefined, pad_token: undefined }), ['<mask>', true, '</s>', ['</s>']]);
  assert.equal(names('modernbert', { mask_token: { content: '[SEP]' } }).slice(0, 2), ['[SEP]', false]);
  assert.equal(names('llama2'), [null, null, '</s>', ['</s>']]);
  assert.equal(names('gpt2', { eos_token: null }), [null, null, '<|endoftext|>', []]);
});

test('a model may name several tokens that end what it writes, and its template in three places', () => {
  const folder = tokenizerFolder('llama3');
  assert.is(openTokenizer(folder).chatTemplate, '{{ bos_token }}');
  writeFileSync(join(folder, 'generation_config.json'), JSON.stringify({ eos_token_id: [3, 1, 'x'] }));
  writeFileSync(join(folder, 'chat_template.jinja'), 'hello {{ messages }}');
  const { eos, chatTemplate } = openTokenizer(folder);
  assert.equal([eos, chatTemplate], [[1, 3], 'hello {{ messages }}']);
  const several = [
    { name: 'tools', template: 'a' },
    { name: 'default', template: 'b' },
  ];
  assert.is(of('llama3', {}, { chat_template: several }).chatTemplate, 'b');
  assert.is(of('llama3', {}, { chat_template: several.slice(0, 1) }).chatTemplate, null);
});

test('a folder without settings has a tokenizer, one without the other file has none', () => {
  const folder = tokenizerFolder('gpt2');
  rmSync(join(folder, 'tokenizer_config.json'));
  assert.equal(openTokenizer(folder).encode(TEXTS[0]!), KINDS.gpt2!.ids[0]);
  rmSync(join(folder, 'tokenizer.json'));
  assert.throws(() => openTokenizer(folder), /no tokenizer can be read .*wanted tokenizer\.json/);
  const framed = { type: 'BertProcessing', sep: ['[SEP]', 1], cls: ['[CLS]', 0] };
  assert.throws(() => of('gpt2', { post_processor: framed }), /texts are framed by "\[CLS\]", which is no token/);
});

test('tokens are shown as text, whatever a vocabulary writes for spaces and bytes', () => {
  const shown = (kind: string, text: string): string => {
    const tokenizer = of(kind);
    return tokenizer.encode(text).map(tokenizer.readable).join('');
  };
  assert.is(
    shown('gpt2', 'naïve café 12'),
    'naïve café 12'.replaceAll(/[^\x20-\x7e]/g, (c) => shown('gpt2', c)),
  );
  assert.is(shown('llama3', ' the film\n'), ' the film\n');
  assert.is(shown('llama2', 'the film'), ' the film');
  const byte = of('gpt2');
  assert.is(byte.readable(byte.encode('½')[0]!), byte.tokenOf(byte.encode('½')[0]!), 'half a character is as it was');
});

test('a GGUF file gives what the folder gives', () => {
  const { byteLevel } = JSON.parse(readFileSync(join(fixture('gguf'), 'tokenizers.json'), 'utf8'));
  const path = written(
    ggufBytes({
      'tokenizer.ggml.model': [8, 'gpt2'],
      'tokenizer.ggml.pre': [8, 'llama-bpe'],
      'tokenizer.ggml.tokens': [9, [8, byteLevel.tokens]],
      'tokenizer.ggml.token_type': [9, [5, byteLevel.types]],
      'tokenizer.ggml.merges': [9, [8, byteLevel.merges]],
      'tokenizer.ggml.bos_token_id': [4, 1],
      'tokenizer.ggml.eot_token_id': [4, 0],
      'tokenizer.chat_template': [8, 'hello'],
    }),
  );
  const tokenizer = openTokenizer(path);
  for (const [i, text] of byteLevel.texts.entries())
    assert.equal(tokenizer.encode(text), byteLevel.ids['llama-bpe'][i]);
  assert.equal(tokenizer.encodePrompt('<|start|>hi<|end|>').at(-1), 0);
  const { begin, end, eos, pad, mask, unknown, chatTemplate } = tokenizer;
  assert.equal([begin, end, eos, pad, mask, unknown, chatTemplate], [[1], [], [0], 0, null, null, 'hello']);
});

test('a unigram model from a GGUF file cuts words as that of the folder does', () => {
  const { vocab } = KINDS.unigram!.tokenizer.model as { vocab: [string, number][] };
  const special = ['<s>', '<pad>', '</s>'];
  const path = written(
    ggufBytes({
      'tokenizer.ggml.model': [8, 't5'],
      'tokenizer.ggml.tokens': [9, [8, vocab.map(([token]) => token)]],
      'tokenizer.ggml.scores': [9, [6, vocab.map(([, score]) => score)]],
      'tokenizer.ggml.token_type': [9, [5, vocab.map(([t]) => (t === '<unk>' ? 2 : special.includes(t) ? 3 : 1))]],
      'tokenizer.ggml.precompiled_charsmap': [9, [0, [0]]],
      'tokenizer.ggml.unknown_token_id': [4, 3],
      'tokenizer.ggml.eos_token_id': [4, 2],
    }),
  );
  const tokenizer = openTokenizer(path);
  const folder = openTokenizer(tokenizerFolder('unigram'));
  for (const text of TEXTS) {
    // SentencePiece's table has a space for the character that joins emojis.
    const usual = text.replaceAll('\u200d', '').trim().replace(/\s+/g, ' ');
    assert.equal(tokenizer.encode(`  ${usual} `), folder.encode(usual), JSON.stringify(usual));
  }
  assert.equal([tokenizer.begin, tokenizer.end, tokenizer.unknown], [[], [2], 3]);
  for (const name of special) assert.ok(!tokenizer.encode(`a ${name} b`).includes(tokenizer.idOf(name)!));
  assert.equal(tokenizer.encodePrompt('great</s>').at(-1), 2);
  assert.is(tokenizer.decode(tokenizer.encode('the film')), 'the film');
});

test.run();
