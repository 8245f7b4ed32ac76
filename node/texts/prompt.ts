/**
 * @file A cloze prompt around texts, as tokens: cut at the special tokens that the prompt names, the rest tokenised as it reads
 * with the text filled in, and of a long text only so much that everything fits.
 */

import type { Choice, Sequence } from '../engine/batch.ts';
import { UserError } from '../errors.ts';
import { type SpecialToken, type TextTokenizer, trimmed } from '../formats/tokenizer.ts';
import { longestBeginning } from './excerpt.ts';

export interface Prompt {
  /** The tokens of each word where it is asked for. */
  readonly wordIds: readonly (readonly number[])[];
  encode(text: string): Sequence;
}

export interface PromptOptions {
  /** Of the model, for messages. */
  readonly path: string;
  readonly tokenizer: TextTokenizer;
  readonly isCausal: boolean;
  /** Most tokens of a sequence. */
  readonly limit: number;
  readonly words: readonly string[];
}

/** What is tokenised as one: the text with what stands around it. */
interface Stretch {
  readonly before: string;
  readonly after: string;
  readonly trim: { readonly start: boolean; readonly end: boolean };
  readonly isContinued: boolean;
}

/** The tokens before and after the stretch with the text. */
interface Frame {
  readonly head: readonly number[];
  readonly stretch: Stretch;
  readonly tail: readonly number[];
}

type Part = string | SpecialToken | typeof TEXT;
const TEXT = Symbol('text');

/** Throws a UserError on a prompt without its {text} and {mask}, or with no room for a text. */
export function createPrompt(prompt: string, options: PromptOptions): Prompt {
  const [before, after] = sides(prompt, options.isCausal);
  return options.isCausal ? causalPrompt(prompt, before, options) : maskedPrompt(prompt, [before, after], options);
}

/** What stands before and after {mask}. */
function sides(prompt: string, isCausal: boolean): [before: string, after: string] {
  const parts = prompt.split('{mask}');
  if (parts.length !== 2 || prompt.split('{text}').length !== 2)
    throw new UserError('usage', `prompt: got "${prompt}"; wanted one {text} and one {mask}`);
  if (isCausal && parts[1] !== '')
    throw new UserError(
      'usage',
      `prompt: got "${prompt}"; this base reads from left to right: wanted {mask} at the end, such as "{text} It was {mask}"`,
    );
  return parts as [string, string];
}

function maskedPrompt(prompt: string, [before, after]: [string, string], options: PromptOptions): Prompt {
  const { tokenizer, path, words, limit } = options;
  const { mask, begin, end } = tokenizer;
  if (mask === null)
    throw new UserError(
      'usage',
      `${path}: the tokenizer has no mask token; wanted one of a masked model, or a causal one`,
    );
  const lead = /\s$/.test(before) ? ' ' : '';
  const wordIds = words.map((word) => tokenizer.encode(lead + word, true));
  const masks = new Array<SpecialToken>(Math.max(1, ...wordIds.map((ids) => ids.length))).fill(mask);
  const [first, second] = [partsOf(before, tokenizer), partsOf(after, tokenizer)];
  if ([...first, ...second].includes(mask))
    throw new UserError(
      'usage',
      `prompt: got "${prompt}"; wanted one {text} and one {mask}, which is ${mask.content} here`,
    );
  const frame = frameOf([...first, ...masks, ...second], tokenizer, { begin, end });
  const encode = filler(prompt, frame, { tokenizer, limit });
  const atHead = frame.head.indexOf(mask.id);
  const fromEnd = frame.tail.length - frame.tail.indexOf(mask.id);
  return {
    wordIds,
    encode: (text) => {
      const { ids, cut } = encode(text);
      const at = atHead >= 0 ? atHead : ids.length - fromEnd;
      return { ids, positions: [at], cut, ...(isSingle(wordIds) ? {} : { choice: masksOf(ids, at, wordIds) }) };
    },
  };
}

function causalPrompt(prompt: string, before: string, options: PromptOptions): Prompt {
  const { tokenizer, limit } = options;
  const { literal, wordIds } = continuations(prompt, before, options);
  const frame = frameOf(partsOf(literal, tokenizer), tokenizer, { begin: tokenizer.begin, end: [] });
  // Something must stand before the first token that is asked for.
  const start = frame.head.length === 0 ? (tokenizer.eos[0] ?? tokenizer.pad) : null;
  const rest = Math.max(...wordIds.map((ids) => ids.length)) - 1;
  const encode = filler(prompt, frame, { tokenizer, limit: limit - rest });
  return {
    wordIds,
    encode: (text) => {
      const { ids, cut } = encode(text);
      const all = ids.length === 0 && start !== null ? [start] : ids;
      const choice = isSingle(wordIds) ? {} : { choice: continuationsOf(all, wordIds) };
      return { ids: all, positions: [all.length - 1], cut, ...choice };
    },
  };
}

type Words = readonly (readonly number[])[];

function isSingle(wordIds: Words): boolean {
  return wordIds.every((ids) => ids.length === 1);
}

/** Words at as many masks as the longest has tokens, all in one passage. Schick and Schuetze 2021, arXiv:2009.07118. */
function masksOf(ids: readonly number[], at: number, wordIds: Words): Choice {
  const scored = wordIds.flatMap((word) => word.map((id, m) => ({ position: at + m, id, weight: 1 })));
  return { passages: [{ ids, scored }], classes: wordIds.flatMap((word, y) => word.map(() => y)) };
}

/** Each word after the prompt, without its last token, which is only asked for: each token at the one before it. */
function continuationsOf(ids: readonly number[], wordIds: Words): Choice {
  const passages = wordIds.map((word) => ({
    ids: [...ids, ...word.slice(0, -1)],
    scored: word.map((id, i) => ({ position: ids.length - 1 + i, id, weight: 1 })),
  }));
  return { passages, classes: wordIds.flatMap((word, y) => word.map(() => y)) };
}

/**
 * The prompt without the space before its {mask}, which goes to the words, as tokenizers have it; lines end with the prompt.
 * The tokens of a word are those that come to the prompt's with it. Throws a UserError where the prompt's own do not stay.
 */
function continuations(
  prompt: string,
  before: string,
  { tokenizer, words }: PromptOptions,
): { literal: string; wordIds: number[][] } {
  const bare = before.trimEnd();
  const lines = before.slice(0, Math.max(before.lastIndexOf('\n') + 1, bare.length));
  for (const literal of new Set([lines, bare])) {
    const last = partsOf(literal, tokenizer).at(-1);
    // After a text, something stands for it.
    const tail = last === TEXT ? 'x' : typeof last === 'string' ? last : '';
    const own = tokenizer.encode(tail, true);
    const wordIds = words.map((word) => {
      const all = tokenizer.encode(tail + before.slice(literal.length) + word, true);
      return own.every((id, i) => id === all[i]) ? all.slice(own.length) : null;
    });
    if (wordIds.every((ids) => ids !== null)) return { literal, wordIds };
  }
  throw new UserError(
    'usage',
    `prompt: in "${prompt}" the label words become one with what stands before {mask}; wanted a space before {mask}`,
  );
}

/** A prompt's literals with the special tokens that they name, and the place of the text. */
function partsOf(literal: string, tokenizer: TextTokenizer): Part[] {
  const [before, after] = literal.split('{text}');
  if (after === undefined) return tokenizer.cut(before!);
  return [...tokenizer.cut(before!), TEXT, ...tokenizer.cut(after)];
}

/** Tokenises all but the stretch with the text. `begin` and `end` are not repeated where the prompt names them itself. */
function frameOf(
  parts: readonly Part[],
  tokenizer: TextTokenizer,
  { begin, end }: { begin: readonly number[]; end: readonly number[] },
): Frame {
  const stretches: { special: number | null; before: string; after: string; hasText: boolean }[] = [];
  for (const part of parts) {
    const isSpecial = typeof part === 'object';
    if (isSpecial) {
      stretches.push({ special: part.id, before: '', after: '', hasText: false });
      continue;
    }
    if (stretches.at(-1)?.special !== null) stretches.push({ special: null, before: '', after: '', hasText: false });
    const stretch = stretches.at(-1)!;
    if (part === TEXT) stretch.hasText = true;
    else if (stretch.hasText) stretch.after += part;
    else stretch.before += part;
  }
  const special = (id: number | null | undefined): SpecialToken | undefined =>
    parts.find((part) => typeof part === 'object' && part.id === id) as SpecialToken | undefined;
  const trimOf = (i: number): Stretch['trim'] => ({
    start: special(stretches[i - 1]?.special)?.rstrip ?? false,
    end: special(stretches[i + 1]?.special)?.lstrip ?? false,
  });
  const idsOf = (from: number, to: number): number[] =>
    stretches.slice(from, to).flatMap((s, k) => {
      const i = from + k;
      return s.special !== null ? [s.special] : tokenizer.encode(trimmed(s.before, trimOf(i)), i > 0);
    });
  const at = stretches.findIndex(({ hasText }) => hasText);
  const { before, after } = stretches[at]!;
  const [head, tail] = [idsOf(0, at), idsOf(at + 1, stretches.length)];
  return {
    head: head[0] !== undefined && head[0] === begin[0] ? head : [...begin, ...head],
    stretch: { before, after, trim: trimOf(at), isContinued: at > 0 },
    tail: tail.length > 0 && tail.at(-1) === end.at(-1) ? tail : [...tail, ...end],
  };
}

/** Fills texts in. Throws a UserError where there is no room for one. */
function filler(
  prompt: string,
  { head, stretch, tail }: Frame,
  { tokenizer, limit }: { tokenizer: TextTokenizer; limit: number },
): (text: string) => { ids: number[]; cut: boolean } {
  const { before, after, trim, isContinued } = stretch;
  const fill = (text: string): number[] => tokenizer.encode(trimmed(before + text + after, trim), isContinued);
  const own = fill('').length + head.length + tail.length;
  if (limit <= own)
    throw new UserError('usage', `maxTokens: ${limit} leaves no room for a text; "${prompt}" alone takes ${own}`);
  const most = limit - head.length - tail.length;
  const ignoresSpaces = String(tokenizer.encode('a \n  \t b')) === String(tokenizer.encode('a b'));
  return (text) => {
    const { result, cut } = longestBeginning(text, { most, room: limit - own, ignoresSpaces, tokenise: fill });
    return { ids: [...head, ...result, ...tail], cut };
  };
}
