/** @file What a tokenizer does, in short: two that are kept differently and do the same give the same. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openGguf } from '../formats/gguf.ts';
import { openTokenizer } from '../formats/tokenizer.ts';

/** Texts in which tokenizers differ: each rule that splits, folds, merges or falls back has one. */
const TEXTS = [
  'The quick brown fox jumps over the lazy dog.',
  "I'm sure we'll say it's THEY'RE car, don't you? 'Tis what he'd've done",
  '0 12 345 6789 1,234,567.89 3e-10 0xFF 2026-11-28 \u00bd \u00b2 \u0663\u0664',
  ' one  two   three    four\tfive \t six',
  'first\nsecond\r\nthird\n\n\nfourth \n fifth\n',
  'CamelCase UPPER lower snake_case kebab-case PATH/to/file.txt?x=1&y=2#z',
  'caf\u00e9 cafe\u0301 na\u00efve \u00c5ngstr\u00f6m \u0130stanbul stra\u00dfe \u0141\u00f3d\u017a \ufb01n',
  '\u4f60\u597d\u4e16\u754c \u65e5\u672c\u8a9e\u30c6\u30b9\u30c8 \ud55c\uad6d\uc5b4 \u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u0939\u093f\u0928\u094d\u0926\u0940',
  '\ud83d\ude00\ud83d\udc69\u200d\ud83d\udcbb\ud83c\uddf3\ud83c\uddf1 \u2764\ufe0f \u{1F9D1}\u{1F3FD}\u200d\u{1F680}',
  '!!! ... \u201cquoted\u201d \u2014 dash \u2026 $5 50% a+b=c {x: [1]} <b>bold</b> `code` \\n',
  '<s> </s> <unk> <pad> [CLS] [SEP] [MASK] [UNK] <mask> <|endoftext|> <|im_start|>user<|im_end|> <bos> <start_of_turn>',
  'a\u00a0b\u2003c\u200bd\u3000e\ufefff\u0000g\u007fh',
  'antidisestablishmentarianism aaaaaaaaaaaaaaaaaaaaaaaa zzzqqqxxxjjj',
  ' ',
];

/** As text: the vocabulary, and the ids of each of the texts; `-` where there is no tokenizer. Throws a UserError where it is wrong. */
export function readProbes(path: string): string {
  if (!hasTokenizer(path)) return '-\n';
  const tokenizer = openTokenizer(path);
  // A vocabulary that was filled up to the rows of the embeddings is the same.
  const tokens = tokenizer.vocabulary.flatMap((token, id) =>
    token === `[PAD${id}]` || token === `#${id}` ? [] : [`${id} ${JSON.stringify(token)}\n`],
  );
  const texts = TEXTS.map((text) => `${tokenizer.encode(text)} ${tokenizer.encodePrompt(text)}\n`);
  return [...tokens, ...texts].join('');
}

function hasTokenizer(path: string): boolean {
  return path.endsWith('.gguf')
    ? openGguf(path).keys.has('tokenizer.ggml.model')
    : existsSync(join(path, 'tokenizer.json'));
}
