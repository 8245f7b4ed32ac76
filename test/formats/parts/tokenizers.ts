/**
 * @file Small tokenizers of every kind, trained on this project's documentation, with the ids of Hugging Face's tokenizers
 * (Python, 0.23) for texts of many scripts (test/fixtures/tokenizers/kinds.json).
 */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { fixture, temporaryFolder } from '../../support.ts';

interface Kind {
  readonly tokenizer: Record<string, unknown>;
  readonly config: Record<string, unknown>;
  /** Of each text, in which nothing is a special token. */
  readonly ids: readonly number[][];
  /** What the ids say, where that is not the text. */
  readonly decoded: readonly (string | null)[];
  /** Texts that name special tokens. */
  readonly prompts: readonly string[];
  readonly promptIds: readonly number[][];
  /** "great" with what the model expects around it. */
  readonly framed: readonly number[];
}

const golden: { texts: string[]; kinds: Record<string, Kind> } = JSON.parse(
  readFileSync(join(fixture('tokenizers'), 'kinds.json'), 'utf8'),
);
export const TEXTS: readonly string[] = golden.texts;
export const KINDS: Readonly<Record<string, Kind>> = golden.kinds;

const root = temporaryFolder();

/** A folder with the tokenizer, changed. */
export function tokenizerFolder(kind: string, tokenizer: object = {}, config: object = {}): string {
  const folder = mkdtempSync(join(root, 'tokenizer-'));
  const found = KINDS[kind]!;
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify({ ...found.tokenizer, ...tokenizer }));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ ...found.config, ...config }));
  return folder;
}

/** The library's own tokenizer, in which texts may name special tokens. */
export function wholeTokenizer(kind: string): Tokenizer {
  const { tokenizer, config } = KINDS[kind]!;
  return new Tokenizer(tokenizer, config);
}
