/**
 * @file The tokenizer of a model folder, for texts of users: whatever is written in them is ordinary text, never a token of
 * the model's own, and of a long text only what is kept is tokenised.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { messageOf, UserError } from '../errors.ts';
import { createHead } from './head.ts';

export interface TextTokenizer {
  /** The id of a token by its exact name, the model's own among them; undefined where there is none. */
  idOf(token: string): number | undefined;
  /** The token of an id, as the vocabulary writes it. */
  tokenOf(id: number): string;
  /** The vocabulary by id. */
  readonly vocabulary: readonly string[];
  /** The ids of a text, in which "[MASK]", "[SEP]" and the like are ordinary characters. */
  encode(text: string): number[];
  /** The first `count` ids of a text and at most a few more; what comes after them is not tokenised. */
  encodeHead(text: string, count: number): number[];
  /** The ids of a text that may name tokens of the model: of a prompt, which whoever makes a run writes on purpose. */
  encodePrompt(text: string): number[];
}

interface AddedToken {
  readonly content: string;
  readonly special?: boolean;
}

interface TokenizerFile {
  readonly added_tokens?: readonly AddedToken[];
  readonly model: { readonly vocab: Record<string, number>; readonly unk_token?: string };
}

/** Throws a UserError where the folder holds no tokenizer. */
export function openTokenizer(folder: string): TextTokenizer {
  const read = (name: string): object => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  try {
    const [file, config] = [read('tokenizer.json') as TokenizerFile, read('tokenizer_config.json')];
    const whole = new Tokenizer(file, config);
    const plain = withoutSpecial(file);
    const content = new Tokenizer(plain, config);
    const encode = (text: string): number[] => content.encode(text, { add_special_tokens: false }).ids;
    // An added token may stand across the places where a text can be cut.
    const head = plain.added_tokens.length === 0 ? createHead(file, config) : null;
    const vocabulary = [...whole.get_vocab().keys()];
    return {
      idOf: (token) => whole.token_to_id(token),
      tokenOf: (id) => whole.id_to_token(id) ?? `#${id}`,
      vocabulary,
      encode,
      encodeHead: (text, count) => (head ? head(text, count, encode) : encode(text)),
      encodePrompt: (text) => whole.encode(text, { add_special_tokens: false }).ids,
    };
  } catch (error) {
    throw new UserError(
      'usage',
      `${folder}: no tokenizer can be read (${messageOf(error)}); wanted tokenizer.json and tokenizer_config.json`,
    );
  }
}

/**
 * The tokenizer without its added tokens, so that no text can spell one. Words that were added to a vocabulary as ordinary
 * words (not special, letters and digits alone) stay: they are text. The word for what is unknown stays in the vocabulary.
 */
function withoutSpecial(file: TokenizerFile): TokenizerFile & { added_tokens: readonly AddedToken[] } {
  const added = file.added_tokens ?? [];
  const isWord = ({ content, special }: AddedToken): boolean => special !== true && /^[\p{L}\p{N}]+$/u.test(content);
  const vocab = { ...file.model.vocab };
  for (const token of added) if (!isWord(token) && token.content !== file.model.unk_token) delete vocab[token.content];
  return { ...file, model: { ...file.model, vocab }, added_tokens: added.filter(isWord) };
}
