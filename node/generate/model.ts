/** @file A model that writes, as commands and the server use it: text in, text out as it is written, with or without an adapter. */
import { openAdapter } from '../adapter.ts';
import { openBase } from '../checkpoint/base.ts';
import { UserError } from '../errors.ts';
import { type ChatTemplate, createChatTemplate } from '../formats/chat-template.ts';
import { openTokenizer, type TextTokenizer } from '../formats/tokenizer.ts';
import { expectCausal } from './causal.ts';
import type { Sampling } from './sampling.ts';
import { createStopFilter } from './stops.ts';
import { createTextStream } from './text-stream.ts';
import { createWriter } from './writer.ts';

export interface ModelOptions {
  /** As `openBase` takes it; null: the adapter's. */
  readonly base: string | null;
  /** A PEFT folder; null: the base alone. */
  readonly adapter: string | null;
  /** 0: one a core. */
  readonly threads: number;
  /** Fewer bits, more words a second. */
  readonly isFast: boolean;
}

export interface AnswerOptions {
  readonly sampling: Sampling;
  /** Words at most. */
  readonly maxTokens: number;
  /** Texts that end the answer and are no part of it. */
  readonly stops?: readonly string[];
  /** Each piece of text once it is certain. */
  readonly onText?: (text: string) => void;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly text: string;
  readonly finish: 'stop' | 'length' | 'cancelled';
  /** Tokens of the prompt, and of those what the text before had already. */
  readonly promptTokens: number;
  readonly reusedTokens: number;
  /** Tokens that were written. */
  readonly tokens: number;
}

export interface LanguageModel {
  /** As who asked for it named it. */
  readonly name: string;
  /** Null: the model has no template for chats. */
  readonly chat: ChatTemplate | null;
  /** Tokens that prompt and answer may have together. */
  readonly maxTokens: number;
  /** Worth saying of where the adapter comes from. */
  readonly notes: readonly string[];
  /** The tokens of a text as the model expects it to begin; special tokens that it names are such. */
  encode(text: string): number[];
  /** Writes on after a prompt. Where the signal aborts, what there is. Throws a UserError on a prompt that does not fit. */
  answer(prompt: readonly number[], options: AnswerOptions): Promise<Answer>;
  stop(): Promise<void>;
}

/** Opens base and adapter. Throws a UserError on what cannot be read, or writes nothing. */
export async function openLanguageModel({
  base: given,
  adapter,
  threads,
  isFast,
}: ModelOptions): Promise<LanguageModel> {
  if (given === null && adapter === null)
    throw new UserError('usage', 'no model: wanted --base MODEL, or --adapter DIR whose base is here');
  const opened = adapter === null ? null : await openAdapter(adapter, given ?? undefined);
  const name = opened?.name ?? given!;
  const base = opened?.base ?? (await openBase(name));
  expectCausal(name, base.architecture);
  const tokenizer = openTokenizer(base.path);
  const chat =
    tokenizer.chatTemplate === null ? null : createChatTemplate(base.path, tokenizer.chatTemplate, tokenizer);
  const own = opened && { lora: opened.lora, vector: opened.vector };
  const writer = await createWriter({ base: name, adapter: own, threads, isFast });
  return {
    name: adapter ?? name,
    chat,
    maxTokens: writer.maxTokens,
    notes: opened?.notes ?? [],
    encode: (text) => promptOf(tokenizer, text),
    answer: async (prompt, { sampling, maxTokens, stops = [], onText = () => {}, signal }) => {
      const stream = createTextStream(readable(tokenizer), prompt);
      const filter = createStopFilter(stops);
      const stopped = new AbortController();
      const signals = signal ? AbortSignal.any([signal, stopped.signal]) : stopped.signal;
      const parts: string[] = [];
      const say = (text: string): void => {
        if (text === '') return;
        parts.push(text);
        onText(text);
      };
      let tokens = 0;
      const onToken = (id: number): void => {
        if (filter.isStopped) return; // the thread hears of it a word later
        tokens += 1;
        say(filter.push(stream.push(id)));
        if (filter.isStopped) stopped.abort();
      };
      const request = { prompt, sampling, maxTokens, ends: tokenizer.eos };
      const written = await writer.write(request, { onToken, signal: signals });
      say(filter.push(stream.end()) + filter.end());
      const finish = filter.isStopped || written.finish === 'end' ? 'stop' : written.finish;
      return { text: parts.join(''), finish, promptTokens: prompt.length, reusedTokens: written.reused, tokens };
    },
    stop: () => writer.stop(),
  };
}

function promptOf(tokenizer: TextTokenizer, text: string): number[] {
  const ids = tokenizer.encodePrompt(text);
  const isBegun = tokenizer.begin.every((id, i) => ids[i] === id);
  return isBegun ? ids : [...tokenizer.begin, ...ids];
}

/** Decodes without the special tokens, which are no text. */
function readable(tokenizer: TextTokenizer): (ids: readonly number[]) => string {
  const isSpecial = new Map<number, boolean>();
  return (ids) => {
    const words = ids.filter((id) => {
      if (!isSpecial.has(id)) isSpecial.set(id, typeof tokenizer.cut(tokenizer.tokenOf(id))[0] === 'object');
      return !isSpecial.get(id);
    });
    return tokenizer.decode(words);
  };
}
