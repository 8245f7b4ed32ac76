/** @file OpenAI's requests and replies for completions, chats and (as vLLM has it) classes, as plain data. */
import type { Message } from '../formats/chat-template.ts';
import type { Answer } from './model.ts';
import type { Sampling } from './sampling.ts';

/** What is told to who asked, with the status of the reply. */
export class ApiError extends Error {
  readonly status: number;
  readonly param: string | null;
  readonly code: string | null;

  constructor(status: number, message: string, { param = null as string | null, code = null as string | null } = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.param = param;
    this.code = code;
  }

  toJSON(): unknown {
    const type = this.status >= 500 ? 'server_error' : this.status === 429 ? 'requests' : 'invalid_request_error';
    return { error: { message: this.message, type, param: this.param, code: this.code } };
  }
}

/** What both kinds of request say of the answer. */
export interface Wish {
  readonly sampling: Sampling;
  readonly maxTokens: number;
  readonly stops: readonly string[];
  readonly isStreamed: boolean;
  /** Whether a stream ends with the count of tokens. */
  readonly wantsUsage: boolean;
}

type Body = Readonly<Record<string, unknown>>;

const MAX_STOPS = 4;
const MAX_MESSAGES = 1024;
const MAX_TEXTS = 256;
const MAX_TEMPERATURE = 10;
/** Of completions, as OpenAI has it. */
const USUAL_TOKENS = 16;

/** Fields that would change the answer and are not done here, with what they may be set to all the same. */
const REFUSED: Readonly<Record<string, readonly unknown[]>> = {
  n: [1],
  best_of: [1],
  echo: [false],
  suffix: [''],
  logprobs: [false],
  top_logprobs: [0],
  presence_penalty: [0],
  frequency_penalty: [0],
  logit_bias: [],
  tools: [],
  functions: [],
};

/** The body of a request. Throws an ApiError on what is no JSON object. */
export function readBody(text: string): Body {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new ApiError(400, 'the body is no JSON');
  }
  if (body === null || typeof body !== 'object' || Array.isArray(body))
    throw new ApiError(400, 'the body is no JSON object');
  return body as Body;
}

/** The prompt of a completion: text, or tokens. */
export function readPrompt({ prompt }: Body): string | readonly number[] {
  const only = Array.isArray(prompt) && prompt.length === 1 && typeof prompt[0] !== 'number' ? prompt[0] : prompt;
  if (typeof only === 'string') return only;
  if (Array.isArray(only) && only.length > 0 && only.every((id) => Number.isInteger(id) && id >= 0)) return only;
  throw bad('prompt', 'wanted one text, or one list of tokens');
}

/** The messages of a chat. */
export function readMessages({ messages }: Body): Message[] {
  if (!Array.isArray(messages) || messages.length === 0 || messages.length > MAX_MESSAGES)
    throw bad('messages', `wanted 1 to ${MAX_MESSAGES} messages`);
  return messages.map((message: { role?: unknown; content?: unknown } | null, i) => {
    const { role, content } = message ?? {};
    const text = textOf(content);
    if (typeof role !== 'string' || text === null)
      throw bad(`messages[${i}]`, 'wanted a role and a content of text alone');
    // A newer name of the same.
    return { role: role === 'developer' ? 'system' : role, content: text };
  });
}

/** A content is a text, or parts that are texts; null where it is anything else. */
function textOf(content: unknown): string | null {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return null;
  const parts = content.map((part) => (part?.type === 'text' && typeof part.text === 'string' ? part.text : null));
  return parts.includes(null) ? null : parts.join('');
}

/** The texts that are to be classified. */
export function readInputs({ input }: Body): string[] {
  const texts = Array.isArray(input) ? input : [input];
  if (texts.length === 0 || texts.length > MAX_TEXTS || !texts.every((text) => typeof text === 'string'))
    throw bad('input', `wanted a text, or a list of 1 to ${MAX_TEXTS}`);
  return texts;
}

/** How the answer is wished. `usualTokens` is what it may have where the request does not say; `seed` likewise. */
export function readWish(body: Body, { maxTokens, seed }: { maxTokens: number; seed: number }, isChat: boolean): Wish {
  for (const [name, allowed] of Object.entries(REFUSED)) {
    const value = body[name];
    const isEmpty = typeof value === 'object' && value !== null && Object.keys(value).length === 0;
    if (value !== undefined && value !== null && !isEmpty && !allowed.includes(value))
      throw bad(name, 'is not supported');
  }
  const format = (body.response_format as { type?: unknown } | null | undefined)?.type ?? 'text';
  if (format !== 'text') throw bad('response_format', 'only text is supported');
  const number = (name: string, usual: number, wanted: string, isGood: (x: number) => boolean): number => {
    const value = body[name] ?? usual;
    if (typeof value === 'number' && Number.isFinite(value) && isGood(value)) return value;
    throw bad(name, wanted);
  };
  const isCount = (x: number): boolean => Number.isInteger(x) && x > 0;
  const field = isChat && body.max_completion_tokens !== undefined ? 'max_completion_tokens' : 'max_tokens';
  const asked = number(field, isChat ? maxTokens : USUAL_TOKENS, 'wanted a positive integer', isCount);
  const stream = body.stream ?? false;
  if (typeof stream !== 'boolean') throw bad('stream', 'wanted true or false');
  return {
    sampling: {
      temperature: number('temperature', 1, `wanted 0 to ${MAX_TEMPERATURE}`, (x) => x >= 0 && x <= MAX_TEMPERATURE),
      topP: number('top_p', 1, 'wanted a share above 0, at most 1', (x) => x > 0 && x <= 1),
      seed: number('seed', seed, 'wanted an integer', Number.isInteger),
    },
    maxTokens: Math.min(asked, maxTokens),
    stops: readStops(body.stop),
    isStreamed: stream,
    wantsUsage: (body.stream_options as { include_usage?: unknown } | null | undefined)?.include_usage === true,
  };
}

function readStops(stop: unknown): string[] {
  if (stop === undefined || stop === null) return [];
  const stops = Array.isArray(stop) ? stop : [stop];
  if (stops.length > MAX_STOPS || !stops.every((text) => typeof text === 'string' && text !== ''))
    throw bad('stop', `wanted a text, or up to ${MAX_STOPS}`);
  return stops;
}

function bad(param: string, problem: string): ApiError {
  return new ApiError(400, `${param}: ${problem}`, { param });
}

/** What is the same in every piece of a reply. */
export interface Heading {
  readonly id: string;
  readonly model: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly isChat: boolean;
}

/** A whole reply. */
export function wholeReply(heading: Heading, answer: Answer): unknown {
  const { isChat } = heading;
  const said = isChat ? { message: { role: 'assistant', content: answer.text } } : { text: answer.text };
  const choice = { index: 0, ...said, logprobs: null, finish_reason: answer.finish };
  return {
    ...headed(heading, isChat ? 'chat.completion' : 'text_completion'),
    choices: [choice],
    usage: usageOf(answer),
  };
}

/** A piece of a streamed reply; `finish` in the last one with text. */
export function replyPiece(heading: Heading, text: string | null, finish: Answer['finish'] | null = null): unknown {
  const { isChat } = heading;
  const said = isChat ? { delta: text === null ? {} : { content: text } } : { text: text ?? '' };
  return pieceOf(heading, [{ index: 0, ...said, logprobs: null, finish_reason: finish }]);
}

/** The first piece of a streamed chat. */
export function openingPiece(heading: Heading): unknown {
  return pieceOf(heading, [
    { index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null },
  ]);
}

/** The last piece of a stream whose reader wants the count. */
export function usagePiece(heading: Heading, answer: Answer): unknown {
  return { ...(pieceOf(heading, []) as object), usage: usageOf(answer) };
}

function pieceOf(heading: Heading, choices: readonly unknown[]): unknown {
  return { ...headed(heading, heading.isChat ? 'chat.completion.chunk' : 'text_completion'), choices };
}

function headed({ id, model, created }: Heading, object: string): Record<string, unknown> {
  return { id, object, created, model };
}

function usageOf({ promptTokens, reusedTokens, tokens }: Answer): unknown {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: tokens,
    total_tokens: promptTokens + tokens,
    prompt_tokens_details: { cached_tokens: reusedTokens },
  };
}
