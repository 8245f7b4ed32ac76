/** @file The words that stand for classes: whether a base can say them and tell them apart. */
import { UserError } from '../errors.ts';
import type { TextTokenizer } from '../formats/tokenizer.ts';
import { nearestWords } from './suggest.ts';

export interface LabelWord {
  /** Of the class. */
  readonly name: string;
  readonly word: string;
  readonly ids: readonly number[];
}

interface Vocabulary {
  readonly path: string;
  readonly tokenizer: TextTokenizer;
}

/** Throws a UserError that names every word that the base's vocabulary cannot spell, or one that stands twice. */
export function checkWords(labels: readonly LabelWord[], vocabulary: Vocabulary): void {
  const twice = (name: string): never => {
    throw new UserError('usage', `labels: "${name}" stands twice; wanted classes and words that differ`);
  };
  const classTwice = labels.map(({ name }) => name).find((name, i, all) => all.indexOf(name) !== i);
  if (classTwice !== undefined) twice(classTwice);
  const { tokenizer } = vocabulary;
  const unknown = labels.filter(({ ids }) => ids.length === 0 || ids.some((id) => id === tokenizer.unknown));
  if (unknown.length > 0) throw new UserError('usage', `labels: ${unknownWords(unknown, vocabulary)}`);
  const spelled = labels.map(({ ids }) => String(ids));
  const second = spelled.findIndex((ids, i) => spelled.indexOf(ids) !== i);
  if (second < 0) return;
  const [one, other] = [labels[spelled.indexOf(spelled[second]!)]!, labels[second]!];
  if (one.word === other.word) twice(one.word);
  const tokens = one.ids.map((id) => tokenizer.readable(id).trim()).join('|');
  throw new UserError(
    'usage',
    `labels: "${one.word}" and "${other.word}" are the same token${one.ids.length > 1 ? 's' : ''} of this base, "${tokens}"; wanted words that the base can tell apart`,
  );
}

function unknownWords(labels: readonly LabelWord[], vocabulary: Vocabulary): string {
  const near = nearWords(labels, vocabulary);
  const named = labels.map(({ word }, i) => `"${word}" is unknown to this base's vocabulary${near[i]}`);
  return `${named.join('; ')}; wanted a word that it can spell`;
}

/** A line for each word of several tokens, with some near it that are one. */
export function wordHints(labels: readonly LabelWord[], vocabulary: Vocabulary): string[] {
  const several = labels.filter(({ ids }) => ids.length > 1);
  if (several.length === 0) return [];
  const near = nearWords(several, vocabulary);
  return several.map(({ word, ids }, i) => `"${word}" is ${ids.length} tokens of this base's vocabulary${near[i]}`);
}

function nearWords(labels: readonly LabelWord[], { path, tokenizer }: Vocabulary): string[] {
  const known = labels.map(({ ids }) => ids.filter((id) => id !== tokenizer.unknown));
  const near = nearestWords(path, tokenizer, known);
  return near.map((words) => (words.length > 0 ? ` (near it: ${words.join(', ')})` : ''));
}
