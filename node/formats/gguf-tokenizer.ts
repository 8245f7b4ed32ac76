/**
 * @file The tokenizer of a GGUF file as Hugging Face's tokenizer.json has it: byte-level BPE as in GPT-2 ("gpt2"),
 * SentencePiece's BPE ("llama") and its unigram model ("t5"), one form for all texts and one for users' texts, which name no tokens of the model's own.
 */
import { UserError } from '../errors.ts';
import { type Gguf, ggufValue } from './gguf.ts';
import { type Merge, mergesOf, type Ranks, ranksOf, spellingOf } from './merges.ts';

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly normalized: boolean;
}

/** What tokenizer.json holds, as much as the library reads; vocabulary and merges are listed when they are first asked for. */
export interface TokenizerJson {
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer: object | null;
  readonly pre_tokenizer: object | null;
  readonly post_processor: object | null;
  readonly decoder: object;
  readonly model: {
    /** By name, or in a unigram model by number, each with its score. */
    readonly vocab: Readonly<Record<string, number>> | readonly (readonly [string, number])[];
    readonly merges: readonly Merge[];
    readonly unk_token: string | null;
  };
}

export interface GgufTokenizer {
  /** For prompts and templates, which may name the model's own tokens. */
  readonly whole: TokenizerJson;
  /**
   * For users' texts, which no token begins or ends: control tokens are in none, while those that SentencePiece calls
   * user-defined are ordinary text.
   */
  readonly content: TokenizerJson;
  /** The content's vocabulary and merges told one at a time, since the lists take long; null: they are only listed. */
  readonly told: { readonly ids: Pick<ReadonlyMap<string, number>, 'get' | 'has'>; readonly ranks: Ranks } | null;
  /** What tokenizer_config.json holds. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The tokens by id. */
  readonly vocabulary: readonly string[];
  readonly ids: ReadonlyMap<string, number>;
  readonly bos: number | null;
  readonly eos: number | null;
  readonly pad: number | null;
  /** Ends a turn of a chat. */
  readonly eot: number | null;
  /** Whether a text begins with `bos` and ends with `eos`. */
  readonly addsBos: boolean;
  readonly addsEos: boolean;
  readonly chatTemplate: string | null;
}

/** Types of tokens, as SentencePiece has them. */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;

/** The parts of tokenizer.json in which the kinds of tokenizers differ. */
interface Kind {
  readonly normalizer: object | null;
  readonly preTokenizer: object | null;
  readonly decoder: object;
  readonly model: object;
  readonly merges: () => readonly Merge[];
  readonly ranks: Ranks | null;
  /** Of a unigram model's tokens. */
  readonly scores: readonly number[] | null;
  /** How a token that is text is looked for: as it is, or after the text's normalizer, which the token goes through too. */
  readonly added: (name: string) => { readonly content: string; readonly normalized: boolean };
  /** The token that stands for what the vocabulary lacks. */
  readonly unknown: string | null;
  /** Where the file does not say. */
  readonly addsBos: boolean;
  readonly addsEos: boolean;
  readonly ids: { readonly bos: number | null; readonly eos: number | null };
}

interface Tokens {
  readonly names: readonly string[];
  readonly types: readonly number[];
  readonly byName: ReadonlyMap<string, number>;
}

type Fail = (problem: string) => never;

/** Characters of a problem that are shown: tokens and names of a file can be of any length. */
const MOST_SAID = 300;
/** Far more than vocabularies have: what is made of a token takes time and memory by its length. */
const MOST_IN_TOKEN = 512;
const MOST_ADDED = 1 << 18;
const MOST_MERGES = 1 << 20;

const KINDS: Readonly<Record<string, (file: Gguf, tokens: Tokens, fail: Fail) => Kind>> = {
  gpt2: byteLevel,
  llama: sentencePiece,
  t5: unigram,
};

/** Throws a UserError where the file has no tokenizer, or one that is not understood. */
export function ggufTokenizer(file: Gguf): GgufTokenizer {
  const fail = (problem: string): never => {
    const short = problem.length > MOST_SAID ? `${problem.slice(0, MOST_SAID)}...` : problem;
    throw new UserError('usage', `${file.path}: no tokenizer can be read (${short}); convert the model again`);
  };
  const model = ggufValue(file, 'tokenizer.ggml.model', 'text') ?? fail('tokenizer.ggml.model is missing');
  const create = Object.hasOwn(KINDS, model) ? KINDS[model]! : null;
  if (!create)
    return fail(`tokenizer.ggml.model is ${JSON.stringify(model)}; wanted ${Object.keys(KINDS).join(' or ')}`);
  const tokens = readTokens(file, fail);
  const kind = create(file, tokens, fail);
  const id = (key: string, otherwise: number | null = null): number | null => {
    const given = ggufValue(file, `tokenizer.ggml.${key}_token_id`, 'number') ?? otherwise;
    if (given === null || tokens.names[given] !== undefined) return given;
    return fail(`tokenizer.ggml.${key}_token_id is ${given}; the vocabulary has ${tokens.names.length}`);
  };
  const [bos, eos, pad] = [id('bos', kind.ids.bos), id('eos', kind.ids.eos), id('padding')];
  const eot = id('eot');
  const addsBos = ggufValue(file, 'tokenizer.ggml.add_bos_token', 'flag') ?? kind.addsBos;
  const addsEos = ggufValue(file, 'tokenizer.ggml.add_eos_token', 'flag') ?? kind.addsEos;
  if (addsBos && bos === null) fail('texts begin with a token that tokenizer.ggml.bos_token_id does not name');
  if (addsEos && eos === null) fail('texts end with a token that tokenizer.ggml.eos_token_id does not name');
  const name = (token: number | null): string | null => (token === null ? null : tokens.names[token]!);
  const begin = addsBos ? name(bos) : null;
  const end = addsEos ? name(eos) : null;
  const json = (isWhole: boolean): TokenizerJson => ({
    added_tokens: addedTokens(tokens, kind, isWhole),
    normalizer: kind.normalizer,
    pre_tokenizer: kind.preTokenizer,
    post_processor: isWhole ? template(begin, end) : null,
    decoder: kind.decoder,
    model: modelOf(tokens, kind, isWhole),
  });
  const chatTemplate = ggufValue(file, 'tokenizer.chat_template', 'text') ?? null;
  const config = {
    bos_token: name(bos),
    eos_token: name(eos),
    pad_token: name(pad),
    clean_up_tokenization_spaces: false,
    ...(chatTemplate === null ? {} : { chat_template: chatTemplate }),
  };
  return {
    whole: json(true),
    content: json(false),
    told: kind.ranks === null ? null : { ids: contentIds(tokens, kind), ranks: kind.ranks },
    config,
    vocabulary: tokens.names,
    ids: tokens.byName,
    bos,
    eos,
    pad,
    eot,
    addsBos,
    addsEos,
    chatTemplate,
  };
}

function readTokens(file: Gguf, fail: Fail): Tokens {
  const names = ggufValue(file, 'tokenizer.ggml.tokens', 'texts') ?? fail('tokenizer.ggml.tokens is missing');
  const types = ggufValue(file, 'tokenizer.ggml.token_type', 'numbers') ?? new Array<number>(names.length).fill(1);
  if (types.length !== names.length) fail(`${types.length} types of tokens for ${names.length} tokens`);
  const byName = new Map<string, number>();
  let added = 0;
  for (const [id, name] of names.entries()) {
    if (name.length > MOST_IN_TOKEN) fail(`token ${id} has ${name.length} characters; wanted at most ${MOST_IN_TOKEN}`);
    if (types[id] === CONTROL || types[id] === USER_DEFINED) added += name.length;
    const before = byName.get(name);
    if (before !== undefined) fail(`token ${JSON.stringify(name)} has the numbers ${before} and ${id}`);
    byName.set(name, id);
  }
  if (added > MOST_ADDED)
    fail(`control and user-defined tokens have ${added} characters in all; wanted at most ${MOST_ADDED}`);
  return { names, types, byName };
}

/** Tokens that are found in a text before anything else, the control tokens only where a text may name them. */
function addedTokens({ names, types }: Tokens, kind: Kind, isWhole: boolean): AddedToken[] {
  const added: AddedToken[] = [];
  for (const [id, name] of names.entries()) {
    if (name === '') continue;
    if (types[id] === USER_DEFINED) added.push({ id, special: false, ...kind.added(name) });
    else if (isWhole && (types[id] === CONTROL || types[id] === UNKNOWN))
      added.push({ id, special: true, content: name, normalized: false });
  }
  return added;
}

function modelOf(tokens: Tokens, kind: Kind, isWhole: boolean): TokenizerJson['model'] {
  const vocab = once(() => vocabularyOf(tokens, kind, isWhole));
  return {
    ...kind.model,
    unk_token: kind.unknown,
    get vocab() {
      return vocab();
    },
    get merges() {
      return kind.merges();
    },
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function contentIds({ types, byName }: Tokens, { unknown }: Kind): Pick<Map<string, number>, 'get' | 'has'> {
  const get = (name: string): number | undefined => {
    const id = byName.get(name);
    return id !== undefined && (types[id] !== CONTROL || name === unknown) ? id : undefined;
  };
  return { get, has: (name) => get(name) !== undefined };
}

/** A token named __proto__ is one like any other. In a list of numbers what no text spells is empty. */
function vocabularyOf({ names, types }: Tokens, kind: Kind, isWhole: boolean): TokenizerJson['model']['vocab'] {
  const { unknown, scores } = kind;
  if (scores !== null)
    return names.map((name, id): readonly [string, number] => [
      isWhole || (types[id] !== CONTROL && types[id] !== UNKNOWN) ? name : '',
      scores[id]!,
    ]);
  const vocabulary: Record<string, number> = Object.create(null);
  for (const [id, name] of names.entries())
    if (isWhole || types[id] !== CONTROL || name === unknown) vocabulary[name] = id;
  return vocabulary;
}

function template(begin: string | null, end: string | null): object | null {
  if (begin === null && end === null) return null;
  const special = (id: string | null): object[] => (id === null ? [] : [{ SpecialToken: { id, type_id: 0 } }]);
  const sequence = (id: string): object => ({ Sequence: { id, type_id: 0 } });
  const single = [...special(begin), sequence('A'), ...special(end)];
  return { type: 'TemplateProcessing', single, pair: [...single, ...special(begin), sequence('B'), ...special(end)] };
}

/** The contractions of English, in any case, the long s being one of s. */
const CONTRACTIONS = "'(?:[sSſ]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])";
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
/** Words with one sign before them, digits, signs with the ends of lines after them, ends of lines, spaces. */
const words = (digits: string): string =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

interface Splitting {
  /** A text is cut by each in turn. */
  readonly cuts: readonly string[];
  readonly normalizer?: object;
  /** A piece that is a token as it is needs no merges. */
  readonly ignoresMerges?: boolean;
  readonly addsBos?: boolean;
}

const LLAMA3: Splitting = { cuts: [words('\\p{N}{1,3}')], ignoresMerges: true, addsBos: true };

/** How texts are cut before byte-level BPE, by tokenizer.ggml.pre; as in the tokenizer.json of these models. */
const SPLITTINGS: Readonly<Record<string, Splitting>> = {
  'gpt-2': { cuts: [GPT2] },
  smollm: { cuts: ['\\p{N}', GPT2] },
  'llama-bpe': LLAMA3,
  llama3: LLAMA3,
  'llama-v3': LLAMA3,
  qwen2: { cuts: [words('\\p{N}')], normalizer: { type: 'NFC' } },
};

function byteLevel(file: Gguf, tokens: Tokens, fail: Fail): Kind {
  const pre = ggufValue(file, 'tokenizer.ggml.pre', 'text') ?? fail('tokenizer.ggml.pre is missing');
  const splitting = Object.hasOwn(SPLITTINGS, pre) ? SPLITTINGS[pre]! : null;
  if (!splitting)
    return fail(`tokenizer.ggml.pre is ${JSON.stringify(pre)}; wanted ${Object.keys(SPLITTINGS).join(', ')}`);
  const listed = ggufValue(file, 'tokenizer.ggml.merges', 'texts') ?? fail('tokenizer.ggml.merges is missing');
  const isText = (name: string): boolean => {
    const id = tokens.byName.get(name);
    return id !== undefined && tokens.types[id] !== CONTROL;
  };
  const merges = listed.map((line): Merge => {
    // A part may begin with a space of its own, as in llama.cpp.
    const space = line.indexOf(' ', 1);
    const merge: Merge = [line.slice(0, space), line.slice(space + 1)];
    const strange = space < 0 ? line : [...merge, merge.join('')].find((part) => !isText(part));
    return strange === undefined
      ? merge
      : fail(`merge ${JSON.stringify(line)}: no token is ${JSON.stringify(strange)}`);
  });
  const split = (Regex: string): object => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  return {
    normalizer: splitting.normalizer ?? null,
    preTokenizer: { type: 'Sequence', pretokenizers: [...splitting.cuts.map(split), bytes] },
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', ignore_merges: splitting.ignoresMerges ?? false },
    merges: () => merges,
    ranks: null,
    scores: null,
    added: (content) => ({ content, normalized: false }),
    unknown: null,
    addsBos: splitting.addsBos ?? false,
    addsEos: false,
    ids: { bos: null, eos: null },
  };
}

const SPACE = '\u2581';

function sentencePiece(file: Gguf, tokens: Tokens, fail: Fail): Kind {
  const { scores, unknown } = scored(file, tokens, fail, 0);
  const prefix = ggufValue(file, 'tokenizer.ggml.add_space_prefix', 'flag') ?? true;
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: SPACE };
  const prepend = { type: 'Prepend', prepend: SPACE };
  const decoders = [
    { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
    ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
  ];
  return {
    normalizer: { type: 'Sequence', normalizers: prefix ? [prepend, replace] : [replace] },
    preTokenizer: null,
    decoder: { type: 'Sequence', decoders },
    model: { type: 'BPE', fuse_unk: true, byte_fallback: tokens.byName.has(spellingOf(0)) },
    merges: once(() => mergesOf(tokens, scores, MOST_MERGES) ?? fail(`more than ${MOST_MERGES} ways to merge tokens`)),
    ranks: ranksOf(tokens, scores),
    scores: null,
    added: (name) => ({ content: name.replaceAll(SPACE, ' '), normalized: !prefix }),
    unknown: tokens.names[unknown]!,
    addsBos: true,
    addsEos: false,
    ids: { bos: tokens.names.length > 1 ? 1 : null, eos: tokens.names.length > 2 ? 2 : null },
  };
}

/** What SentencePiece's models have besides tokens. */
function scored(
  file: Gguf,
  tokens: Tokens,
  fail: Fail,
  usualUnknown: number,
): { scores: readonly number[]; unknown: number } {
  const scores = ggufValue(file, 'tokenizer.ggml.scores', 'numbers') ?? fail('tokenizer.ggml.scores is missing');
  if (scores.length !== tokens.names.length) fail(`${scores.length} scores for ${tokens.names.length} tokens`);
  const unknown = ggufValue(file, 'tokenizer.ggml.unknown_token_id', 'number') ?? usualUnknown;
  if (tokens.names[unknown] === undefined) fail(`tokenizer.ggml.unknown_token_id is ${unknown}`);
  return { scores, unknown };
}

/** SentencePiece's unigram model. Kudo 2018, arXiv:1804.10959. Its table of characters is taken for the usual one, of NFKC. */
function unigram(file: Gguf, tokens: Tokens, fail: Fail): Kind {
  const { scores, unknown } = scored(file, tokens, fail, 2);
  const prefix = ggufValue(file, 'tokenizer.ggml.add_space_prefix', 'flag') ?? true;
  const isTidy = ggufValue(file, 'tokenizer.ggml.remove_extra_whitespaces', 'flag') ?? true;
  const isMapped = file.keys.has('tokenizer.ggml.precompiled_charsmap');
  const normalizers = [
    ...(isMapped ? [{ type: 'Precompiled' }] : []),
    ...(isTidy
      ? [
          { type: 'Strip', strip_left: true, strip_right: true },
          { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' },
        ]
      : []),
  ];
  const metaspace = { type: 'Metaspace', replacement: SPACE, prepend_scheme: prefix ? 'always' : 'never' };
  return {
    normalizer: { type: 'Sequence', normalizers },
    preTokenizer: metaspace,
    decoder: metaspace,
    model: { type: 'Unigram', unk_id: unknown },
    merges: () => [],
    ranks: null,
    scores,
    added: (name) => ({ content: name.replaceAll(SPACE, ' '), normalized: false }),
    unknown: tokens.names[unknown]!,
    addsBos: false,
    addsEos: true,
    ids: { bos: null, eos: tokens.names.length > 1 ? 1 : null },
  };
}
