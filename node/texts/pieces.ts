/**
 * @file Writings as token ids, cut into pieces that a model reads at once, each with the tokens of it that are learned. What a
 * user writes never spells a special token: those come from the model's own marks and its chat template alone.
 */

import type { Passage } from '../engine/batch.ts';
import { UserError } from '../errors.ts';
import { type ChatTemplate, createChatTemplate } from '../formats/chat-template.ts';
import { openTokenizer, type TextTokenizer } from '../formats/tokenizer.ts';
import type { Writing } from './writings.ts';

/** What writings are encoded with, so that another thread can do the same. */
export interface WritingSource {
  readonly type: 'writing';
  /** Of the model: its folder or GGUF file. */
  readonly path: string;
  /** Longest piece, with its special tokens. */
  readonly maxTokens: number;
  /** Of the base. */
  readonly maxPositions: number;
  /** Whether it reads from left to right. */
  readonly isCausal: boolean;
}

/** What the model reads at once. */
export interface Piece {
  readonly ids: Int32Array;
  /** Which of them are learned, from and up to where; each is said by the token before it. */
  readonly learned: readonly (readonly [from: number, to: number])[];
  /** Whether something of the writing stands in no piece. */
  readonly isCut: boolean;
}

export interface WritingTask {
  readonly source: WritingSource;
  readonly padId: number;
  /** Null: every text can be told from any other. */
  readonly unknownId: number | null;
  /** Stands for a word that is asked for; null: the model has none. */
  readonly maskId: number | null;
  readonly vocabularySize: number;
  /** None where nothing of it is left to learn. Throws a UserError on a chat that the model has no template for. */
  encode(writing: Writing): Piece[];
  /** Tokens that end a text. */
  readonly ends: readonly number[];
  decode(ids: readonly number[]): string;
  /** Tokens as a reader expects them, and where each ends. */
  show(ids: ArrayLike<number>): string;
}

/** Opens the tokenizer of a model. Throws a UserError where that cannot be, or where pieces are longer than the base holds. */
export function createWritingTask({
  path,
  maxTokens,
  maxPositions,
  isCausal,
}: Omit<WritingSource, 'type'>): WritingTask {
  if (maxTokens > maxPositions)
    throw new UserError('usage', `maxTokens: got ${maxTokens}; this base holds ${maxPositions} at most`);
  const tokenizer = openTokenizer(path);
  const { chatTemplate, begin, eos } = tokenizer;
  const chat = chatTemplate === null ? null : createChatTemplate(path, chatTemplate, tokenizer);
  const marks = { begin, end: isCausal ? eos.slice(0, 1) : tokenizer.end, chat, maxTokens };
  return {
    source: { type: 'writing', path, maxTokens, maxPositions, isCausal },
    maskId: tokenizer.mask?.id ?? null,
    vocabularySize: tokenizer.vocabulary.length,
    padId: tokenizer.pad,
    unknownId: tokenizer.unknown,
    ends: eos,
    decode: (ids) => tokenizer.decode(ids),
    encode: (writing) =>
      encoders[writing.type](tokenizer, marks, writing as never).filter(({ learned }) => learned.length > 0),
    show: (ids) => JSON.stringify(Array.from(ids, (id) => tokenizer.readable(id)).join('|')).slice(1, -1),
  };
}

interface Marks {
  /** What the model expects before a text. */
  readonly begin: readonly number[];
  /** What ends a text. */
  readonly end: readonly number[];
  readonly chat: ChatTemplate | null;
  readonly maxTokens: number;
}

type Encoder<T extends Writing['type']> = (
  tokenizer: TextTokenizer,
  marks: Marks,
  writing: Extract<Writing, { type: T }>,
) => Piece[];

const encoders: { readonly [T in Writing['type']]: Encoder<T> } = {
  /** All of it is learned: each piece begins with the last token of the one before, so that every token is said once. */
  text: (tokenizer, { begin, end, maxTokens }, { text }) => {
    const ids = [...tokenizer.encode(text), ...end];
    const room = maxTokens - begin.length;
    const pieces: Piece[] = [];
    for (let at = 0; at === 0 || at + 1 < ids.length; at += room - 1) {
      const piece = [...begin, ...ids.slice(at, at + room)];
      // The first token of all is said by what the model expects before a text, where it expects something.
      const from = Math.max(1, begin.length + (at === 0 ? 0 : 1));
      pieces.push(pieceOf(piece, [[from, piece.length]]));
    }
    return pieces;
  },
  /** The prompt is tokenised as it will be when the model is asked to go on from it. */
  completion: (tokenizer, { begin, end, maxTokens }, { prompt, completion }) => {
    const before = tokenizer.encode(prompt);
    const after = [...tokenizer.encode(completion, before.length > 0), ...end];
    const room = maxTokens - begin.length;
    const kept = Math.min(after.length, Math.max(room - before.length, Math.ceil(room / 2)));
    const shown = before.slice(Math.max(0, before.length - (room - kept)));
    const ids = [...begin, ...shown, ...after.slice(0, kept)];
    const isCut = kept < after.length || shown.length < before.length;
    return [pieceOf(ids, [[begin.length + shown.length, ids.length]], isCut)];
  },
  /** Only the turns of the assistant, each with the token that ends it. */
  chat: (_tokenizer, { chat, maxTokens }, { turns }) => {
    if (chat === null)
      throw new UserError('usage', 'messages: this base has no chat template; wanted prompt and completion, or text');
    const { ids, isAssistants } = chat.encode(turns, false);
    const kept = ids.slice(0, maxTokens);
    return [pieceOf(kept, runsOf(isAssistants.slice(0, maxTokens)), kept.length < ids.length)];
  },
};

/** Where a list says yes, from and up to where. */
function runsOf(flags: readonly boolean[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const [i, flag] of flags.entries()) {
    if (!flag) continue;
    if (i > 0 && flags[i - 1]) runs.at(-1)![1] = i + 1;
    else runs.push([i, i + 1]);
  }
  return runs;
}

function pieceOf(ids: readonly number[], learned: Piece['learned'], isCut = false): Piece {
  // Nothing stands before the very first token that could say it.
  const runs = learned.map(([from, to]) => [Math.max(1, from), to] as const).filter(([from, to]) => from < to);
  return { ids: Int32Array.from(ids), learned: runs, isCut };
}

/** How many tokens of a piece are learned. */
export function learnedCount({ learned }: Piece): number {
  return learned.reduce((sum, [from, to]) => sum + to - from, 0);
}

/** Pieces as passages whose learned tokens weigh the same, one in all. */
export function passagesOf(pieces: readonly Piece[]): Passage[] {
  const weight = 1 / pieces.reduce((sum, piece) => sum + learnedCount(piece), 0);
  return pieces.map(({ ids, learned }) => ({
    ids: Array.from(ids),
    scored: learned.flatMap(([from, to]) =>
      Array.from({ length: to - from }, (_, i) => ({ position: from + i - 1, id: ids[from + i]!, weight })),
    ),
  }));
}
