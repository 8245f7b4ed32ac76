/** @file A task: a cloze prompt and a word for each class. Schick and Schuetze 2021, arXiv:2001.07676 (PET). */
import { UserError } from '../errors.ts';
import type { Sequence } from './batch.ts';
import { nearestWords } from './suggest.ts';
import { openTokenizer, type TextTokenizer } from './tokenizer.ts';

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

/** What a task is made of, so that another thread can make the same. */
export interface TaskSource {
  readonly folder: string;
  readonly spec: TaskSpec;
  /** Of the base. */
  readonly maxPositions: number;
}

export interface Task {
  readonly source: TaskSource;
  readonly classes: readonly string[];
  readonly words: readonly string[];
  /** Token ids of the words. */
  readonly labelIds: readonly number[];
  readonly padId: number;
  readonly unknownId: number;
  /** The prompt and the patterns after it. */
  readonly prompts: readonly string[];
  /** A prompt (by number; 0: the first) around a text, the text cut so that everything fits. */
  encode(text: string, prompt?: number): Sequence;
  /** Tokens as the vocabulary writes them, with spaces between. */
  show(ids: readonly number[]): string;
}

/** Opens the tokenizer of a model folder. Throws a UserError naming the words that are no single token, or a bad prompt. */
export function createTask(folder: string, spec: TaskSpec, maxPositions: number): Task {
  const tokenizer = openTokenizer(folder);
  const special = (name: string): number => {
    const id = tokenizer.idOf(name);
    if (id === undefined)
      throw new UserError('usage', `${folder}: the tokenizer has no ${name} token; wanted one of a BERT`);
    return id;
  };
  const [cls, sep, mask, padId] = [special('[CLS]'), special('[SEP]'), special('[MASK]'), special('[PAD]')];
  const unknownId = special('[UNK]');
  const labels = spec.labels.split(',').map((pair) => pair.split('=').map((part) => part.trim()) as [string, string]);
  const labelIds = readLabelWords(folder, tokenizer, labels, unknownId);
  if (spec.maxTokens > maxPositions)
    throw new UserError('usage', `maxTokens: got ${spec.maxTokens}; this base holds ${maxPositions} at most`);
  const prompts = [spec.prompt, ...spec.patterns.split('|')].map((p) => p.trim()).filter((p) => p !== '');
  const encoders = prompts.map((prompt) => promptEncoder(prompt, { tokenizer, cls, sep, mask, limit: spec.maxTokens }));
  const { prompt, patterns, labels: pairs, maxTokens } = spec;
  return {
    source: { folder, spec: { prompt, patterns, labels: pairs, maxTokens }, maxPositions },
    classes: labels.map(([name]) => name),
    words: labels.map(([, word]) => word),
    labelIds,
    padId,
    unknownId,
    prompts,
    encode: (text, which = 0) => encoders[which]!(text),
    show: (ids) => ids.map((id) => tokenizer.tokenOf(id)).join(' '),
  };
}

/** The id of each label word. Throws a UserError that names every word that is no single token, or one token twice. */
function readLabelWords(
  folder: string,
  tokenizer: TextTokenizer,
  labels: readonly (readonly [name: string, word: string])[],
  unknownId: number,
): number[] {
  const classTwice = labels.map(([name]) => name).find((name, i, all) => all.indexOf(name) !== i);
  if (classTwice !== undefined)
    throw new UserError('usage', `labels: "${classTwice}" stands twice; wanted classes and words that differ`);
  const pieces = labels.map(([, word]) => tokenizer.encode(word));
  const bad = labels.flatMap(([, word], i) =>
    pieces[i]!.length === 1 && pieces[i]![0] !== unknownId ? [] : [{ word, pieces: pieces[i]! }],
  );
  if (bad.length > 0) throw new UserError('usage', `labels: ${badWords(folder, tokenizer, bad, unknownId)}`);
  const ids = pieces.map((piece) => piece[0]!);
  const second = ids.findIndex((id, i) => ids.indexOf(id) !== i);
  if (second >= 0) {
    const [one, other] = [labels[ids.indexOf(ids[second]!)]![1], labels[second]![1]];
    throw new UserError(
      'usage',
      one === other
        ? `labels: "${one}" stands twice; wanted classes and words that differ`
        : `labels: "${one}" and "${other}" are the same token of this base, "${tokenizer.tokenOf(ids[second]!)}"; wanted words that the base can tell apart`,
    );
  }
  return ids;
}

function badWords(
  folder: string,
  tokenizer: TextTokenizer,
  bad: readonly { word: string; pieces: readonly number[] }[],
  unknownId: number,
): string {
  const near = nearestWords(
    folder,
    tokenizer,
    bad.map(({ pieces }) => pieces.filter((id) => id !== unknownId)),
  );
  const named = bad.map(({ word, pieces }, i) => {
    const what = pieces.includes(unknownId)
      ? "is unknown to this base's vocabulary"
      : `is ${pieces.length} tokens of this base's vocabulary`;
    return `"${word}" ${what}${near[i]!.length > 0 ? ` (near it: ${near[i]!.join(', ')})` : ''}`;
  });
  return `${named.join('; ')}; wanted a word that is one token`;
}

interface PromptTokens {
  readonly tokenizer: TextTokenizer;
  readonly cls: number;
  readonly sep: number;
  readonly mask: number;
  readonly limit: number;
}

/** Encodes texts into one prompt. Throws a UserError on a prompt without its {text} and {mask}, or with no room for a text. */
function promptEncoder(prompt: string, { tokenizer, cls, sep, mask, limit }: PromptTokens): (text: string) => Sequence {
  const parts = prompt.split(/(\{text\}|\{mask\})/);
  const [texts, masks] = ['{text}', '{mask}'].map((place) => parts.filter((part) => part === place).length);
  const fixed = parts.map((part) =>
    part === '{text}' ? [] : part === '{mask}' ? [mask] : tokenizer.encodePrompt(part.trim()),
  );
  if (texts !== 1 || masks !== 1 || fixed.flat().filter((id) => id === mask).length !== 1)
    throw new UserError('usage', `prompt: got "${prompt}"; wanted one {text} and one {mask}`);
  const overhead = 2 + fixed.flat().length;
  const room = limit - overhead;
  if (room < 1)
    throw new UserError('usage', `maxTokens: ${limit} leaves no room for a text; "${prompt}" alone takes ${overhead}`);
  const [textAt, maskAt] = [parts.indexOf('{text}'), parts.indexOf('{mask}')];
  const [before, after] = [
    [cls, ...fixed.slice(0, textAt).flat()],
    [...fixed.slice(textAt).flat(), sep],
  ];
  const maskIndex = 1 + fixed.slice(0, maskAt).flat().length;
  return (text) => {
    const all = tokenizer.encodeHead(text, room + 1);
    const own = all.slice(0, room);
    return {
      ids: [...before, ...own, ...after],
      positions: [maskAt < textAt ? maskIndex : maskIndex + own.length],
      cut: all.length > room,
    };
  };
}
