/** @file A task: a cloze prompt and a word for each class. Schick and Schuetze 2021, arXiv:2001.07676 (PET). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { messageOf, UserError } from '../errors.ts';
import type { Sequence } from './batch.ts';

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

export interface Task {
  readonly classes: readonly string[];
  readonly words: readonly string[];
  /** Token ids of the words. */
  readonly labelIds: readonly number[];
  readonly padId: number;
  /** The prompt and the patterns after it. */
  readonly prompts: readonly string[];
  /** A prompt (by number; 0: the first) around a text, the text cut so that everything fits. */
  encode(text: string, prompt?: number): Sequence;
  /** The class a label names: by its name, or by its number from 0; null for neither. */
  classOf(label: string): number | null;
}

/** Opens the tokenizer of a model folder. Throws a UserError naming a word that is no single token, or a bad prompt. */
export function createTask(folder: string, spec: TaskSpec, maxPositions: number): Task {
  const tokenizer = openTokenizer(folder);
  const special = (name: string): number => {
    const id = tokenizer.token_to_id(name);
    if (id === undefined)
      throw new UserError('usage', `${folder}: the tokenizer has no ${name} token; wanted one of a BERT`);
    return id;
  };
  const [cls, sep, mask, padId] = [special('[CLS]'), special('[SEP]'), special('[MASK]'), special('[PAD]')];
  const plain = (text: string): number[] => tokenizer.encode(text, { add_special_tokens: false }).ids;
  const labels = spec.labels.split(',').map((pair) => pair.split('=').map((part) => part.trim()) as [string, string]);
  const labelIds = labels.map(([, word]) => {
    const ids = plain(word);
    if (ids.length === 1 && ids[0] !== tokenizer.token_to_id('[UNK]')) return ids[0]!;
    throw new UserError(
      'usage',
      `labels: "${word}" is ${ids.length} tokens of this base's vocabulary; wanted a word that is one token`,
    );
  });
  for (const part of [0, 1] as const) {
    const twice = labels.map((pair) => pair[part]).find((name, i, all) => all.indexOf(name) !== i);
    if (twice !== undefined)
      throw new UserError('usage', `labels: "${twice}" stands twice; wanted classes and words that differ`);
  }
  if (spec.maxTokens > maxPositions)
    throw new UserError('usage', `maxTokens: got ${spec.maxTokens}; this base holds ${maxPositions} at most`);
  const prompts = [spec.prompt, ...spec.patterns.split('|')].map((p) => p.trim()).filter((p) => p !== '');
  const encoders = prompts.map((prompt) => promptEncoder(prompt, { plain, cls, sep, mask, limit: spec.maxTokens }));
  const classes = labels.map(([name]) => name);
  return {
    classes,
    words: labels.map(([, word]) => word),
    labelIds,
    padId,
    prompts,
    encode: (text, prompt = 0) => encoders[prompt]!(text),
    classOf: (label) => {
      const byName = classes.indexOf(label);
      if (byName >= 0) return byName;
      const number = /^\d+$/.test(label) ? Number(label) : -1;
      return number >= 0 && number < classes.length ? number : null;
    },
  };
}

interface PromptTokens {
  readonly plain: (text: string) => number[];
  readonly cls: number;
  readonly sep: number;
  readonly mask: number;
  readonly limit: number;
}

/** Encodes texts into one prompt. Throws a UserError on a prompt without its {text} and {mask}, or with no room for a text. */
function promptEncoder(prompt: string, { plain, cls, sep, mask, limit }: PromptTokens): (text: string) => Sequence {
  const parts = prompt.split(/(\{text\}|\{mask\})/);
  const fixed = parts.map((part) => (part === '{text}' ? null : part === '{mask}' ? [mask] : plain(part.trim())));
  if (fixed.filter((ids) => ids === null).length !== 1 || fixed.filter((ids) => ids?.[0] === mask).length !== 1) {
    throw new UserError('usage', `prompt: got "${prompt}"; wanted one {text} and one {mask}`);
  }
  const overhead = 2 + fixed.reduce((sum, ids) => sum + (ids?.length ?? 0), 0);
  const room = limit - overhead;
  if (room < 1)
    throw new UserError('usage', `maxTokens: ${limit} leaves no room for a text; "${prompt}" alone takes ${overhead}`);
  return (text) => {
    const ids = [cls, ...fixed.flatMap((part) => part ?? plain(text).slice(0, room)), sep];
    return { ids, positions: [ids.indexOf(mask)] };
  };
}

/** Throws a UserError where the folder holds no tokenizer. */
export function openTokenizer(folder: string): Tokenizer {
  const read = (name: string): object => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  try {
    return new Tokenizer(read('tokenizer.json'), read('tokenizer_config.json'));
  } catch (error) {
    throw new UserError(
      'usage',
      `${folder}: no tokenizer can be read (${messageOf(error)}); wanted tokenizer.json and tokenizer_config.json`,
    );
  }
}
