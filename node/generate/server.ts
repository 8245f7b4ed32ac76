/** @file Answers OpenAI's requests over HTTP on this machine alone: one text at a time, a bounded number wait. */
import { randomBytes, randomInt } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { codeOf, messageOf, UserError } from '../errors.ts';
import type { Classifier } from './classifier.ts';
import type { LanguageModel } from './model.ts';
import {
  ApiError,
  type Heading,
  openingPiece,
  readBody,
  readInputs,
  readMessages,
  readPrompt,
  readWish,
  replyPiece,
  usagePiece,
  type Wish,
  wholeReply,
} from './openai.ts';

export interface ServerOptions {
  /** As replies name it. */
  readonly name: string;
  /** Writes; null: the model fills blanks. */
  readonly model: LanguageModel | null;
  /** Opened when it is first asked. */
  readonly classifier: () => Promise<Classifier>;
  /** 0: a free one. */
  readonly port: number;
  /** Tokens of an answer at most. */
  readonly maxTokens: number;
  /** Requests that may wait while one is answered. */
  readonly maxWaiting?: number;
  /** Bytes of a request at most. */
  readonly maxBytes?: number;
  /** Of requests that fail through no fault of who asked. */
  readonly onError?: (error: unknown) => void;
}

export interface ModelServer {
  readonly port: number;
  /** Ends what is at work and closes. */
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
/** Other names of it would let a page of the web, whose name leads here, ask. */
const HOSTS = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/;
const MAX_CONNECTIONS = 64;
const MAX_WAITING = 16;
const MAX_BYTES = 1 << 20;

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Aborts where who asked has gone, or the server stops. */
  readonly signal: AbortSignal;
}

/** Starts to listen. Throws a UserError where the port is taken. */
export async function createModelServer(options: ServerOptions): Promise<ModelServer> {
  const closing = new AbortController();
  const began = Math.floor(Date.now() / 1000);
  const serially = createQueue(options.maxWaiting ?? MAX_WAITING);
  const routes: Readonly<Record<string, (exchange: Exchange) => Promise<void>>> = {
    'GET /v1/models': async ({ response }) => {
      const model = { id: options.name, object: 'model', created: began, owned_by: 'lorikeet' };
      sendJson(response, 200, { object: 'list', data: [model] });
    },
    'POST /v1/completions': (exchange) => answer(options, exchange, serially, false),
    'POST /v1/chat/completions': (exchange) => answer(options, exchange, serially, true),
    'POST /classify': (exchange) => classify(options, exchange, serially),
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    try {
      const path = (request.url ?? '').split('?')[0]!;
      const route = routes[`${request.method} ${path}`];
      if (!HOSTS.test(request.headers.host ?? '')) throw new ApiError(403, 'wanted the host 127.0.0.1 or localhost');
      if (!route) throw unknownRoute(path, Object.keys(routes));
      await route({ request, response, signal: AbortSignal.any([gone.signal, closing.signal]) });
    } catch (error) {
      if (gone.signal.aborted || closing.signal.aborted) return;
      const told = apiError(error);
      if (told.status >= 500) options.onError?.(error);
      if (response.headersSent) response.end(event(told));
      else sendJson(response, told.status, told);
    }
  };
  const server = createServer((request, response) => void handle(request, response));
  server.maxConnections = MAX_CONNECTIONS;
  const port = await listen(server, options.port);
  return {
    port,
    stop: async () => {
      closing.abort();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const reason = codeOf(error) === 'EADDRINUSE' ? 'something listens there already' : messageOf(error);
      reject(new UserError('usage', `--port ${port}: ${reason}; choose another, or 0 for a free one`));
    });
    server.listen(port, HOST, () => resolve((server.address() as AddressInfo).port));
  });
}

type Serially = <T>(signal: AbortSignal, run: () => Promise<T>) => Promise<T>;

/** Runs one after the other; refuses where too many wait. */
function createQueue(maxWaiting: number): Serially {
  let [count, last] = [0, Promise.resolve() as Promise<unknown>];
  return async (signal, run) => {
    if (count > maxWaiting)
      throw new ApiError(429, `${maxWaiting} requests are waiting; try again later`, { code: 'rate_limit_exceeded' });
    count += 1;
    let isIn = true;
    const leave = (): void => {
      if (isIn) count -= 1;
      isIn = false;
    };
    // Who has gone takes no place from who waits.
    signal.addEventListener('abort', leave);
    const mine = last.then(() => {
      signal.throwIfAborted();
      return run();
    });
    last = mine.catch(() => {});
    return mine.finally(() => {
      signal.removeEventListener('abort', leave);
      leave();
    });
  };
}

function unknownRoute(path: string, routes: readonly string[]): ApiError {
  const others = routes.filter((route) => route.endsWith(` ${path}`));
  const wanted = (others.length > 0 ? others : routes).join(', ');
  return new ApiError(others.length > 0 ? 405 : 404, `${path}: wanted ${wanted}`);
}

/** What is told of an error: who asked hears of their own mistakes, and that there was another. */
function apiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof UserError) return new ApiError(400, error.message);
  return new ApiError(500, 'the answer failed; the server says why');
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const headers = { 'content-type': 'application/json', ...(status === 429 ? { 'retry-after': '1' } : {}) };
  response.writeHead(status, headers).end(`${JSON.stringify(body)}\n`);
}

function event(data: unknown): string {
  return `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
}

/** The JSON of a request. Throws an ApiError on what is larger than it may be, or another kind. */
async function bodyOf({ request }: Exchange, maxBytes: number): Promise<ReturnType<typeof readBody>> {
  // A page of the web may not send this kind unasked.
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
    throw new ApiError(415, 'wanted content-type application/json');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new ApiError(413, `the body is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return readBody(Buffer.concat(chunks).toString('utf8'));
}

async function answer(options: ServerOptions, exchange: Exchange, serially: Serially, isChat: boolean): Promise<void> {
  const { model, name, maxTokens, maxBytes = MAX_BYTES } = options;
  const body = await bodyOf(exchange, maxBytes);
  if (!model) throw new ApiError(400, `${name}: fills blanks, so it cannot write; /classify takes it`);
  const wish = readWish(body, { maxTokens, seed: randomInt(2 ** 31) }, isChat);
  const prompt = isChat ? chatPrompt(model, body) : plainPrompt(model, body);
  if (prompt.length === 0 || prompt.length >= model.maxTokens)
    throw new ApiError(400, `the prompt is ${prompt.length} tokens; wanted 1 to ${model.maxTokens - 1}`, {
      code: 'context_length_exceeded',
    });
  const id = `${isChat ? 'chatcmpl' : 'cmpl'}-${randomBytes(12).toString('hex')}`;
  const heading: Heading = { id, model: name, created: Math.floor(Date.now() / 1000), isChat };
  await serially(exchange.signal, () => reply({ model, heading, prompt, wish, exchange }));
}

function chatPrompt(model: LanguageModel, body: ReturnType<typeof readBody>): readonly number[] {
  if (!model.chat) throw new ApiError(400, `${model.name}: the model has no chat template; wanted /v1/completions`);
  return model.chat.encode(readMessages(body), true).ids;
}

function plainPrompt(model: LanguageModel, body: ReturnType<typeof readBody>): readonly number[] {
  const prompt = readPrompt(body);
  return typeof prompt === 'string' ? model.encode(prompt) : prompt;
}

interface Reply {
  readonly model: LanguageModel;
  readonly heading: Heading;
  readonly prompt: readonly number[];
  readonly wish: Wish;
  readonly exchange: Exchange;
}

async function reply({ model, heading, prompt, wish, exchange }: Reply): Promise<void> {
  const { response, signal } = exchange;
  const { sampling, maxTokens, stops } = wish;
  const common = { sampling, maxTokens, stops, signal };
  if (!wish.isStreamed) {
    const whole = await model.answer(prompt, common);
    sendJson(response, 200, wholeReply(heading, whole));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  const send = (data: unknown): boolean => response.write(event(data));
  if (heading.isChat) send(openingPiece(heading));
  const written = await model.answer(prompt, { ...common, onText: (text) => send(replyPiece(heading, text)) });
  send(replyPiece(heading, null, written.finish));
  if (wish.wantsUsage) send(usagePiece(heading, written));
  response.end(event('[DONE]'));
}

async function classify(
  { classifier, name, maxBytes = MAX_BYTES }: ServerOptions,
  exchange: Exchange,
  serially: Serially,
): Promise<void> {
  const texts = readInputs(await bodyOf(exchange, maxBytes));
  await serially(exchange.signal, async () => {
    const opened = await classifier();
    const { classes, temperature } = opened;
    const predictions = await opened.classify(texts, { signal: exchange.signal });
    const data = predictions.map(({ label, probabilities }, index) => ({
      index,
      label,
      probs: probabilities,
      num_classes: classes.length,
    }));
    const created = Math.floor(Date.now() / 1000);
    sendJson(exchange.response, 200, {
      id: `classify-${randomBytes(12).toString('hex')}`,
      object: 'list',
      created,
      model: name,
      data,
      classes,
      calibrated: temperature !== null,
    });
  });
}
