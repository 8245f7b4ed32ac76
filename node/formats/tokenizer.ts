/**
 * @file The tokenizer of a model, from its folder or its GGUF file. Whatever is written in a text of a user is ordinary text:
 * special tokens come only from a prompt or template, which is cut at them, and what stands between is tokenised as one string.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { messageOf, UserError } from '../errors.ts';
import { openGguf } from './gguf.ts';
import { type GgufTokenizer, ggufTokenizer } from './gguf-tokenizer.ts';
import { readableToken } from './readable.ts';

/** A token that no text spells. */
export interface SpecialToken {
  readonly id: number;
  readonly content: string;
  /** Whether it takes away the white space before it, and after it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

export interface TextTokenizer {
  /** The id of a token by its exact name, the special ones among them; undefined where there is none. */
  idOf(token: string): number | undefined;
  /** The token of an id, as the vocabulary writes it. */
  tokenOf(id: number): string;
  /** The same as a reader expects it: spaces as spaces, letters that the vocabulary spells in bytes as letters. */
  readable(id: number): string;
  /** The vocabulary by id. */
  readonly vocabulary: readonly string[];
  /** Whether a token says itself whether a space stands before it. */
  readonly keepsSpaces: boolean;
  /**
   * The ids of a text, in which "[MASK]", "<s>" and the like are ordinary characters. Where `isContinued`, something stands
   * before it, so that no space is put there which only the beginning of a text gets.
   */
  encode(text: string, isContinued?: boolean): number[];
  /** The ids of a text that may name special tokens: of a prompt or template, which whoever makes a run writes on purpose. */
  encodePrompt(text: string): number[];
  /** A prompt cut at the special tokens that it names. */
  cut(text: string): (string | SpecialToken)[];
  /** The text of ids, special tokens by their names. */
  decode(ids: readonly number[]): string;
  /** Stands for a word that is asked for; null: the model has none. */
  readonly mask: SpecialToken | null;
  /** Fills a batch up. */
  readonly pad: number;
  /** Stands for what the vocabulary lacks; null: it lacks nothing. */
  readonly unknown: number | null;
  /** What the model expects before and after a text. */
  readonly begin: readonly number[];
  readonly end: readonly number[];
  /** The tokens that end what a model writes. */
  readonly eos: readonly number[];
  /** In Jinja; null: the model is none for chats. */
  readonly chatTemplate: string | null;
}

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
}

/** What tokenizer.json holds, as much as is looked at. */
interface TokenizerFile {
  readonly added_tokens?: readonly AddedToken[] | null;
  readonly pre_tokenizer?: object | null;
  readonly post_processor?: object | null;
  readonly decoder?: object | null;
  readonly model: {
    readonly type?: string;
    /** By name, or in a unigram model by number, each with its score. */
    readonly vocab: Readonly<Record<string, number>> | readonly (readonly [string, number])[];
    readonly unk_token?: string | null;
    readonly unk_id?: number | null;
  };
}

/** A token by name, as a file of settings writes it. */
type Named = string | { readonly content?: string } | null | undefined;
type Config = Readonly<Record<string, unknown>>;

interface Parts {
  /** With the special tokens, and without any. */
  readonly whole: TokenizerFile;
  readonly content: TokenizerFile;
  readonly specials: readonly SpecialToken[];
  readonly config: Config;
  readonly eos: readonly number[];
  readonly chatTemplate: string | null;
  /** The tokens by id. */
  readonly vocabulary: readonly string[];
  readonly ids: ReadonlyMap<string, number>;
  /** Of users' texts. */
  readonly library: Tokenizer;
}

const LANGUAGE_FILES = 'tokenizer.json and tokenizer_config.json';

/**
 * Opens the tokenizer of a model folder or a `.gguf` file. Throws a UserError where there is none that can be read; so do its
 * functions, since the library looks at some of it only when there is text.
 */
export function openTokenizer(path: string): TextTokenizer {
  const guarded =
    <A extends unknown[], T>(use: (...args: A) => T) =>
    (...args: A): T => {
      try {
        return use(...args);
      } catch (error) {
        if (error instanceof UserError) throw error;
        const reason = messageOf(error).split('\n')[0]!.slice(0, 200);
        throw new UserError('usage', `${path}: no tokenizer can be read (${reason}); wanted ${LANGUAGE_FILES}`);
      }
    };
  const open = guarded(() => createTokenizer(path.endsWith('.gguf') ? partsOfGguf(path) : partsOfFolder(path)));
  const { encode, encodePrompt, decode, ...rest } = open();
  return { ...rest, encode: guarded(encode), encodePrompt: guarded(encodePrompt), decode: guarded(decode) };
}

function createTokenizer(parts: Parts): TextTokenizer {
  const { whole, content, specials, config, eos, chatTemplate, vocabulary, ids, library } = parts;
  const encode = encoderOf(library, content);
  const decode = decoderOf(library, vocabulary, specials);
  const byName = new Map(specials.map((token) => [token.content, token]));
  const cut = (text: string): (string | SpecialToken)[] => cutAt(text, byName);
  const named = (token: Named): number | undefined => ids.get(nameOf(token) ?? '');
  const masked = [nameOf(config.mask_token as Named), '[MASK]', '<mask>'].find((name) => name && byName.has(name));
  const ends = [named(config.eos_token as Named), ...eos].filter((id) => id !== undefined);
  const { unk_token: unknownToken, unk_id: unknownId } = whole.model;
  const keepsSpaces = JSON.stringify(whole.decoder ?? null).match(/ByteLevel|Metaspace|\u2581/) !== null;
  return {
    idOf: (token) => ids.get(token),
    tokenOf: (id) => vocabulary[id] ?? `#${id}`,
    readable: (id) => readableToken(vocabulary[id] ?? `#${id}`, whole.decoder ?? null),
    vocabulary,
    keepsSpaces,
    encode,
    encodePrompt: (text) =>
      cut(text).flatMap((part, i) => (typeof part === 'string' ? encode(part, i > 0) : [part.id])),
    cut,
    decode,
    mask: masked === undefined ? null : byName.get(masked)!,
    pad: named(config.pad_token as Named) ?? ends[0] ?? 0,
    unknown: unknownId ?? named(unknownToken ?? undefined) ?? null,
    ...framing(whole, ids),
    eos: [...new Set(ends)],
    chatTemplate,
  };
}

function nameOf(token: Named): string | undefined {
  return typeof token === 'string' ? token : token?.content;
}

function vocabularyOf({ model: { vocab }, added_tokens: added }: TokenizerFile): string[] {
  const vocabulary: string[] = [];
  if (isList(vocab)) for (const [token] of vocab) vocabulary.push(token);
  else for (const token in vocab) vocabulary[vocab[token]!] = token;
  for (const { id, content } of added ?? []) vocabulary[id] = content;
  // A number that no token has is named like none.
  for (let id = 0; id < vocabulary.length; id++) vocabulary[id] ??= `#${id}`;
  return vocabulary;
}

function isList(vocab: TokenizerFile['model']['vocab']): vocab is readonly (readonly [string, number])[] {
  return Array.isArray(vocab);
}

/** Some tokenizers put a space before the first words of a text only: the library tells them by the number of their section. */
function encoderOf(library: Tokenizer, { pre_tokenizer: file }: TokenizerFile): TextTokenizer['encode'] {
  const plain = (text: string): number[] =>
    text === '' ? [] : library.encode(text, { add_special_tokens: false }).ids;
  const own = library.pre_tokenizer;
  if (own === null || !JSON.stringify(file ?? null).includes('"prepend_scheme":"first"')) return plain;
  let shift = 0;
  const shifted = (text: string | string[], options?: { section_index?: number }): string[] =>
    own(text, { ...options, section_index: (options?.section_index ?? 0) + shift });
  library.pre_tokenizer = shifted as typeof own;
  return (text, isContinued = false) => {
    shift = isContinued ? 1 : 0;
    return plain(text);
  };
}

function decoderOf(
  library: Tokenizer,
  vocabulary: readonly string[],
  specials: readonly SpecialToken[],
): TextTokenizer['decode'] {
  const { decoder } = library;
  // Which tokens are spelled as they are.
  if (decoder) decoder.added_tokens = [...library.get_added_tokens_decoder().values(), ...specials] as never;
  return (ids) => {
    const tokens = ids.map((id) => vocabulary[id] ?? '');
    return decoder ? decoder(tokens) : tokens.join(' ');
  };
}

/** The ids that the post-processor puts before and after one text: found by what it does to a token that is none. */
function framing(
  whole: TokenizerFile,
  ids: ReadonlyMap<string, number>,
): { begin: readonly number[]; end: readonly number[] } {
  const probe = '\u0000text';
  const model = { type: 'WordPiece', vocab: {}, unk_token: probe };
  const file = { model, added_tokens: [], normalizer: null, pre_tokenizer: null, decoder: null };
  const library = new Tokenizer({ ...file, post_processor: whole.post_processor ?? null }, {});
  const { tokens } = library.encode('text');
  const at = tokens.indexOf(probe);
  const idOf = (token: string): number => {
    const id = ids.get(token);
    if (id === undefined) throw new Error(`texts are framed by ${JSON.stringify(token)}, which is no token`);
    return id;
  };
  return { begin: tokens.slice(0, at).map(idOf), end: tokens.slice(at + 1).map(idOf) };
}

/** The longest special token at each place, leftmost first; white space beside one that takes it away is dropped. */
function cutAt(text: string, specials: ReadonlyMap<string, SpecialToken>): (string | SpecialToken)[] {
  const names = [...specials.keys()].filter((name) => name !== '' && text.includes(name));
  if (names.length === 0) return text === '' ? [] : [text];
  names.sort((a, b) => b.length - a.length);
  const pattern = new RegExp(`(${names.map((name) => name.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|')})`);
  const parts = text.split(pattern).map((part, i) => (i % 2 === 1 ? specials.get(part)! : part));
  return parts
    .map((part, i) => {
      if (typeof part !== 'string') return part;
      const [before, after] = [parts[i - 1], parts[i + 1]] as (SpecialToken | undefined)[];
      return trimmed(part, { start: before?.rstrip ?? false, end: after?.lstrip ?? false });
    })
    .filter((part) => part !== '');
}

/** A text without the white space at its start or end, or as it is. */
export function trimmed(text: string, { start, end }: { readonly start: boolean; readonly end: boolean }): string {
  const rest = start ? text.trimStart() : text;
  return end ? rest.trimEnd() : rest;
}

function partsOfFolder(folder: string): Parts {
  const read = (name: string): Record<string, unknown> =>
    JSON.parse(readFileSync(join(folder, name), 'utf8').replace(/^\ufeff/, ''));
  const maybe = (name: string): Record<string, unknown> => (existsSync(join(folder, name)) ? read(name) : {});
  const whole = mended(read('tokenizer.json') as unknown as TokenizerFile);
  const config = { ...maybe('special_tokens_map.json'), ...maybe('tokenizer_config.json') };
  const named = new Set(
    Object.entries(config).flatMap(([key, value]) =>
      key.endsWith('_token') && key !== 'unk_token' ? [nameOf(value as Named)] : [],
    ),
  );
  const added = whole.added_tokens ?? [];
  const special = added.filter((token) => token.special || named.has(token.content) || MARKED.test(token.content));
  const template = join(folder, 'chat_template.jinja');
  const content = withoutSpecial(whole, special);
  const vocabulary = vocabularyOf(whole);
  return {
    whole,
    content,
    specials: special.map(specialToken),
    config,
    eos: endsOf(maybe('generation_config.json').eos_token_id ?? maybe('config.json').eos_token_id),
    chatTemplate: existsSync(template) ? readFileSync(template, 'utf8') : chatTemplateOf(config.chat_template),
    vocabulary,
    ids: new Map(vocabulary.map((token, id) => [token, id])),
    library: new Tokenizer(content, config),
  };
}

/** Tokens that are marks of a model, whether they are called special or not. */
const MARKED = /^<[|\uff5c].*[|\uff5c]>$|^\[[^\s\]]+\]$|^<(?:pad|mask|unused\d+)>$/u;

function specialToken({ id, content, lstrip = false, rstrip = false }: AddedToken): SpecialToken {
  return { id, content, lstrip, rstrip };
}

/** Files of older versions say in other words that no space is put before a text. */
function mended(file: TokenizerFile): TokenizerFile {
  const { type, add_prefix_space: adds, prepend_scheme: scheme } = (file.pre_tokenizer ?? {}) as Config;
  if (type !== 'Metaspace' || adds !== false || scheme !== undefined) return file;
  return { ...file, pre_tokenizer: { ...file.pre_tokenizer, prepend_scheme: 'never' } };
}

/**
 * The tokenizer without its special tokens, so that no text can spell one. What else was added to a vocabulary stays: it is
 * text. So does the token for what is unknown.
 */
function withoutSpecial(file: TokenizerFile, special: readonly AddedToken[]): TokenizerFile {
  const names = new Set(special.map(({ content }) => content));
  const rest = (file.added_tokens ?? []).filter(({ content }) => !names.has(content));
  const { vocab, unk_token: unknown } = file.model;
  if (isList(vocab)) {
    // By number: the others keep theirs. Nothing is spelled as the empty piece.
    const pieces = vocab.map(([token, score]) => [names.has(token) ? '' : token, score] as const);
    return { ...file, model: { ...file.model, vocab: pieces }, added_tokens: rest };
  }
  const kept = { ...vocab };
  for (const name of names) if (name !== unknown) delete kept[name];
  return { ...file, model: { ...file.model, vocab: kept }, added_tokens: rest };
}

function endsOf(ids: unknown): number[] {
  return (Array.isArray(ids) ? ids : [ids]).filter((id) => Number.isInteger(id));
}

/** One template, or the one called "default" of several. */
function chatTemplateOf(template: unknown): string | null {
  if (typeof template === 'string') return template;
  const list = (Array.isArray(template) ? template : []) as { name?: unknown; template?: unknown }[];
  const found = list.find(({ name }) => name === 'default')?.template;
  return typeof found === 'string' ? found : null;
}

function partsOfGguf(path: string): Parts {
  const tokenizer = ggufTokenizer(openGguf(path));
  const { whole, content, config, eot, chatTemplate, vocabulary, ids } = tokenizer;
  return {
    whole,
    content,
    specials: whole.added_tokens.filter(({ special }) => special).map(specialToken),
    config,
    eos: eot === null ? [] : [eot],
    chatTemplate,
    vocabulary,
    ids,
    library: libraryOf(tokenizer),
  };
}

/** The library's tokenizer of users' texts; told vocabulary and merges where they need not be listed. */
function libraryOf({ content, config, told, vocabulary }: GgufTokenizer): Tokenizer {
  if (told === null) return new Tokenizer(content, config);
  const { vocab: _, merges: __, ...flags } = Object.getOwnPropertyDescriptors(content.model) as PropertyDescriptorMap;
  const model = Object.defineProperties({ vocab: {}, merges: [] }, flags);
  const library = new Tokenizer({ ...content, model }, config);
  const { ids, ranks } = told;
  Object.assign(library.model!, {
    vocab: vocabulary,
    tokens_to_ids: ids,
    unk_token_id: ids.get(content.model.unk_token ?? ''),
    bpe_ranks: ranks,
  });
  return library;
}
