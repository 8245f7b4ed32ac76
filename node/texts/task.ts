/** @file A task: a cloze prompt and a word for each class. Schick and Schuetze 2021, arXiv:2001.07676 (PET). */

import type { Sequence } from '../engine/batch.ts';
import { UserError } from '../errors.ts';
import { openTokenizer } from '../formats/tokenizer.ts';
import { createPrompt, type Prompt } from './prompt.ts';
import { checkWords, type LabelWord, wordHints } from './verbalizer.ts';

export interface TaskSpec {
  /** Holds `{text}` and `{mask}`, once each. */
  readonly prompt: string;
  /** More of them, separated by `|`. */
  readonly patterns: string;
  /** `class=word,...` */
  readonly labels: string;
  /** Longest prompt in tokens, with its special tokens. */
  readonly maxTokens: number;
}

/** What a task has to know of an architecture. */
export interface Reader {
  /** Whether it reads from left to right and says what comes next; else what stands at a mask. */
  readonly isCausal: boolean;
  /** The longest sequence it takes. */
  readonly maxTokens: number;
}

/** What a task is made of, so that another thread can make the same. */
export interface TaskSource {
  /** Of the model: its folder or GGUF file. */
  readonly path: string;
  readonly spec: TaskSpec;
  readonly reader: Reader;
}

export interface Task {
  readonly source: TaskSource;
  readonly isCausal: boolean;
  readonly classes: readonly string[];
  readonly words: readonly string[];
  /** The tokens of each class's word after a prompt, by number. */
  readonly wordIds: readonly (readonly (readonly number[])[])[];
  /** The first token of each word, by prompt; for a sequence without a choice, all of it. */
  readonly labelIds: readonly (readonly number[])[];
  readonly padId: number;
  /** Null: every text can be told from any other. */
  readonly unknownId: number | null;
  /** The prompt and the patterns after it. */
  readonly prompts: readonly string[];
  /** A prompt (by number; 0: the first) around a text, the text cut so that everything fits. */
  encode(text: string, prompt?: number): Sequence;
  /** A line for each word that is several tokens, which take longer to score, with some near it that are one. */
  hints(): string[];
  /** Tokens as a reader expects them, and where each ends. */
  show(ids: readonly number[]): string;
}

/** The usual prompts, for the usual label words. */
const MASKED_PROMPT = '{text} it was {mask} .';
const CAUSAL_PROMPT = '{text}\nSentiment: {mask}';

/** The prompt of a base where none is given. */
export function usualPrompt({ isCausal }: Pick<Reader, 'isCausal'>): string {
  return isCausal ? CAUSAL_PROMPT : MASKED_PROMPT;
}

/**
 * Opens the tokenizer of a model. Throws a UserError naming the words that are not understood or not told apart, or a bad
 * prompt.
 */
export function createTask(path: string, spec: TaskSpec, reader: Reader): Task {
  const tokenizer = openTokenizer(path);
  const labels = spec.labels.split(',').map((pair) => pair.split('=').map((part) => part.trim()) as [string, string]);
  if (spec.maxTokens > reader.maxTokens)
    throw new UserError('usage', `maxTokens: got ${spec.maxTokens}; this base holds ${reader.maxTokens} at most`);
  const { prompt, patterns, labels: pairs, maxTokens } = spec;
  const prompts = [prompt, ...patterns.split('|')].map((p) => p.trim()).filter((p) => p !== '');
  const { isCausal } = reader;
  const options = { path, tokenizer, isCausal, limit: maxTokens, words: labels.map(([, word]) => word) };
  const opened: Prompt[] = prompts.map((text) => createPrompt(text, options));
  const wordsIn = ({ wordIds }: Prompt): LabelWord[] =>
    labels.map(([name, word], k) => ({ name, word, ids: wordIds[k]! }));
  for (const each of opened) checkWords(wordsIn(each), { path, tokenizer });
  const wordIds = opened.map((p) => p.wordIds);
  return {
    source: {
      path,
      spec: { prompt, patterns, labels: pairs, maxTokens },
      reader: { isCausal, maxTokens: reader.maxTokens },
    },
    isCausal,
    classes: labels.map(([name]) => name),
    words: labels.map(([, word]) => word),
    wordIds,
    labelIds: wordIds.map((ids) => ids.map((word) => word[0]!)),
    padId: tokenizer.pad,
    unknownId: tokenizer.unknown,
    prompts,
    encode: (text, which = 0) => opened[which]!.encode(text),
    hints: () => wordHints(wordsIn(opened[0]!), { path, tokenizer }),
    show: (ids) =>
      tokenizer.keepsSpaces
        ? JSON.stringify(ids.map((id) => tokenizer.readable(id)).join('|')).slice(1, -1)
        : ids.map((id) => tokenizer.tokenOf(id)).join(' '),
  };
}
