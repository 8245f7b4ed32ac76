/** @file Asks a Hub over HTTP: redirects followed by hand, so that a token stays with its host; retries; refusals in one line. */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, UserError } from '../errors.ts';
import { packageVersion } from '../package.ts';
import type { HubEnvironment } from './environment.ts';

/** How long is waited for what, in ms, and how often something is tried that brings nothing new. */
export interface Patience {
  readonly tries: number;
  /** Before the second try; doubled before each after it. */
  readonly firstMs: number;
  /** A server may ask for more patience, up to this. */
  readonly mostMs: number;
  /** Without a byte. */
  readonly silenceMs: number;
}

export const PATIENCE: Patience = { tries: 5, firstMs: 500, mostMs: 60_000, silenceMs: 30_000 };

/** To whom, for which model, for how long. */
export interface Asker {
  readonly hub: HubEnvironment;
  /** ORG/NAME@REVISION. */
  readonly model: string;
  readonly patience: Patience;
  readonly signal: AbortSignal;
}

/** What may go better the next time. */
export class Hitch extends Error {
  /** What the server asks to wait, or null. */
  readonly afterMs: number | null;

  constructor(message: string, afterMs: number | null = null) {
    super(message);
    this.afterMs = afterMs;
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Of the Hub's own answer, where it led on to another host. */
  readonly told: Headers;
  /** The body, a piece at a time. Throws a Hitch where it is cut off or nothing comes any more. */
  readonly pieces: () => AsyncGenerator<Uint8Array>;
}

const MAX_REDIRECTS = 5;
const MAX_JSON_BYTES = 64 * 1024 * 1024;

/**
 * Tries until it works. Throws a UserError once as many tries as patience allows brought nothing new; `progress` tells what was
 * brought, growing.
 */
export async function persist<T>(asker: Asker, attempt: () => Promise<T>, progress = (): number => 0): Promise<T> {
  const { patience, signal } = asker;
  let [best, failed] = [progress(), 0];
  for (;;) {
    try {
      signal.throwIfAborted();
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Hitch)) throw error;
      if (progress() > best) [best, failed] = [progress(), 0];
      failed += 1;
      const waitMs = error.afterMs ?? Math.min(patience.mostMs, patience.firstMs * 2 ** (failed - 1));
      if (failed >= patience.tries || waitMs > patience.mostMs)
        throw unreachable(asker, `${error.message}; ${nextStep(error.afterMs, failed)}`);
      await sleep(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

function nextStep(afterMs: number | null, tries: number): string {
  if (afterMs !== null)
    return `try again in ${Math.ceil(afterMs / 1000)} s, or set HF_TOKEN, for which more is allowed`;
  return `tried ${tries} times; check the network and run the command again, which goes on from here`;
}

/** A UserError about the Hub and a model on it. */
export function unreachable({ hub, model }: Asker, problem: string): UserError {
  return new UserError('unreachable', `${model} at ${hub.endpoint}: ${problem}`);
}

/** JSON from an address, and the address of the page after it, or null. Throws a UserError or, for another try, a Hitch. */
export async function askJson(asker: Asker, url: URL): Promise<{ value: unknown; next: URL | null }> {
  return withAnswer(asker, url, {}, async ({ headers, pieces }) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const piece of pieces()) {
      size += piece.length;
      if (size > MAX_JSON_BYTES) throw unreachable(asker, `its answer is longer than ${MAX_JSON_BYTES} bytes`);
      chunks.push(piece);
    }
    try {
      const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
      return { value, next: nextPage(headers.get('link'), url) };
    } catch {
      throw notTheHub(asker, headers);
    }
  });
}

/** What stands where the Hub should: the page of a hotel's network, a proxy, or another server. */
export function notTheHub(asker: Asker, headers: Headers): UserError {
  const type = headers.get('content-type')?.split(';')[0] ?? 'nothing known';
  const what = type === 'text/html' ? 'a web page' : type;
  return unreachable(
    asker,
    `got ${what} where the Hub gives JSON or a file; sign in to the network if it asks for that, or check HF_ENDPOINT`,
  );
}

/** The page after this one, at the host that was asked. */
function nextPage(link: string | null, url: URL): URL | null {
  const target = /<([^>]*)>\s*;\s*rel="?next"?/.exec(link ?? '')?.[1];
  if (target === undefined || !URL.canParse(target, url)) return null;
  const { pathname, search } = new URL(target, url);
  return new URL(pathname + search, url.origin);
}

/** Asks once and hands the answer over; 200, 206 and 416 are answers. Throws a UserError or, for another try, a Hitch. */
export async function withAnswer<T>(
  asker: Asker,
  url: URL,
  headers: Readonly<Record<string, string>>,
  use: (answer: Answer) => Promise<T>,
): Promise<T> {
  const { signal, patience } = asker;
  const silence = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const heard = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), patience.silenceMs);
  };
  /** What the network throws is a hitch, but for a host that is not who it says. */
  const hitch = (error: unknown): Error => {
    if (silence.signal.aborted) return new Hitch(`nothing was heard for ${patience.silenceMs / 1000} s`);
    const cause = causeOf(error);
    if (/CERT|SIGNATURE|SELF_SIGNED|ALTNAME/.test(cause.code))
      return unreachable(
        asker,
        `its certificate is not trusted (${cause.text}); check the clock and what stands between`,
      );
    return new Hitch(cause.text);
  };
  const both = AbortSignal.any([signal, silence.signal]);
  const end = new AbortController();
  heard();
  try {
    const { response, told } = await follow(asker, url, headers, AbortSignal.any([both, end.signal])).catch((error) => {
      throw error instanceof UserError || error instanceof Hitch ? error : hitch(error);
    });
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      const body = response.body?.getReader();
      for (;;) {
        heard();
        const next = await body?.read().catch((error: unknown) => {
          throw hitch(error);
        });
        if (!next || next.done) return;
        yield next.value;
      }
    };
    return await use({ status: response.status, headers: response.headers, told, pieces });
  } finally {
    clearTimeout(timer);
    // Whatever is left of the body is not waited for.
    end.abort();
  }
}

function causeOf(error: unknown): { code: string; text: string } {
  const cause = (error as { cause?: unknown } | null)?.cause ?? error;
  const code = String((cause as { code?: unknown } | null)?.code ?? '');
  return { code, text: (messageOf(cause) || code || 'no answer').split('\n')[0]! };
}

async function follow(
  asker: Asker,
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<{ response: Response; told: Headers }> {
  const home = new URL(asker.hub.endpoint);
  let [at, told] = [url, new Headers()];
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const isHome = at.origin === home.origin;
    const authorization = isHome && asker.hub.token ? { authorization: `Bearer ${asker.hub.token}` } : {};
    const response = await fetch(at, {
      redirect: 'manual',
      // As it is: a compressed body has other ranges.
      headers: { ...headers, ...authorization, 'accept-encoding': 'identity', 'user-agent': AGENT },
      signal,
    });
    if (isHome) told = response.headers;
    const location = response.headers.get('location');
    if (response.status < 300 || response.status > 399 || location === null) {
      if (![200, 206, 416].includes(response.status)) throw await refusal(asker, response, isHome);
      return { response, told };
    }
    await response.body?.cancel();
    if (!URL.canParse(location, at)) throw unreachable(asker, `leads to ${JSON.stringify(location.slice(0, 100))}`);
    const next = new URL(location, at);
    if (next.protocol !== at.protocol && next.protocol !== 'https:')
      throw unreachable(
        asker,
        `leads from ${at.protocol}// to ${next.protocol}//, where anybody could change the bytes`,
      );
    at = next;
  }
  throw unreachable(asker, `leads on and on, more than ${MAX_REDIRECTS} times`);
}

const AGENT = `lorikeet/${packageVersion()}`;

/** Why a request was refused: a UserError with the next step, or a Hitch where waiting may help. */
async function refusal(asker: Asker, response: Response, isHome: boolean): Promise<UserError | Hitch> {
  const { hub, model } = asker;
  const { status, headers } = response;
  await response.body?.cancel();
  const [name, revision] = model.split('@');
  const page = `${hub.endpoint}/${name}`;
  const code = headers.get('x-error-code') ?? '';
  const said = headers.get('x-error-message')?.replace(/\s+/g, ' ').slice(0, 200);
  const got = said ? `${status}, ${said}` : `${status}`;
  if (status === 429) return new Hitch('asked too often (429)', retryAfterMs(headers) ?? null);
  if (status === 408 || status >= 500) return new Hitch(`answered ${got}`, retryAfterMs(headers));
  // The address of a file at another host holds for a while only.
  if (!isHome) return new Hitch(`${new URL(response.url).host} answered ${got}`);
  if (code === 'GatedRepo')
    return new UserError(
      'usage',
      `${model}: its terms are to be accepted first (${status}); do so at ${page}, then set HF_TOKEN to a token of that account`,
    );
  if (code === 'RevisionNotFound')
    return new UserError('usage', `${model}: has no revision ${revision}; wanted a branch, tag or commit of ${page}`);
  if (code === 'EntryNotFound')
    return unreachable(asker, `a file that it lists is not there (${got}); try again later`);
  if (code === 'RepoNotFound' || status === 404 || (status === 401 && !hub.token))
    return new UserError(
      'usage',
      `${model}: not found at ${hub.endpoint} (${got}); check the name, and set HF_TOKEN if it is private`,
    );
  if (status === 401 || status === 403)
    return new UserError('usage', `${model}: access refused (${got}); check HF_TOKEN, and the model's page ${page}`);
  return unreachable(asker, `answered ${got}; wanted 200`);
}

/** Seconds or a date. */
function retryAfterMs(headers: Headers): number | null {
  const text = headers.get('retry-after')?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - Date.now());
}
