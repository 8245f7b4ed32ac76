/** @file The page's server, the one door to fastify: files, what has happened as it happens, and what a user may ask for. */
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type FastifyInstance, fastify } from 'fastify';
import type { Chronicle } from '../chronicle/chronicle.ts';
import { messageOf, UserError } from '../errors.ts';
import { liveDocument, type PageFiles } from './document.ts';
import { newToken, refusalOf, SAFE_HEADERS } from './pass.ts';

/** What a user may ask of a peer, by name; each takes and gives JSON. Throws a UserError on what it cannot do. */
export type Actions = Readonly<Record<string, (given: Readonly<Record<string, unknown>>) => Promise<unknown>>>;

/** A peer the page shows. */
export interface Shown {
  readonly chronicle: Chronicle;
  readonly actions: Actions;
}

export interface PageServer {
  /** Holds the token. */
  readonly url: string;
  /** Shows another peer. */
  add(shown: Shown): void;
  /** Closes every connection. */
  stop(): Promise<void>;
}

/** Pages that listen at once, connections, and bytes of a request. */
const [MAX_LISTENERS, MAX_CONNECTIONS, MAX_BODY_BYTES] = [16, 64, 1 << 18];
/** Bytes that wait for a page that does not read; more, and it has to come back. */
const MAX_WAITING_BYTES = 8 << 20;
/** Proxies and browsers close what is silent for longer. */
const HEARTBEAT_MS = 15_000;

export interface ServerOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly files: PageFiles;
  /** Hears of requests that failed through no fault of who asked. */
  readonly onError: (line: string) => void;
}

/** Listens. Throws what the system throws where it cannot. */
export async function createPageServer({ host, port, files, onError }: ServerOptions): Promise<PageServer> {
  const shown: Shown[] = [];
  const listeners = new Set<Listener>();
  const token = newToken();
  const app = fastify({ bodyLimit: MAX_BODY_BYTES, forceCloseConnections: true, requestTimeout: 60_000 });
  app.server.maxConnections = MAX_CONNECTIONS;
  const cookie = (): string => `lorikeet-${(app.server.address() as AddressInfo).port}`;
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SAFE_HEADERS);
    const refusal = refusalOf(request.raw as Parameters<typeof refusalOf>[0], { token, cookie: cookie() });
    if (refusal) return reply.code(refusal.status).type('text/plain; charset=utf-8').send(`${refusal.line}\n`);
    return undefined;
  });
  app.setErrorHandler((error, _request, reply) => {
    const { statusCode = 500 } = error as { statusCode?: number };
    const status = error instanceof UserError ? 400 : statusCode;
    if (status >= 500) onError(`the page: ${messageOf(error)}`);
    return reply
      .code(status)
      .send({ problem: status >= 500 ? 'that failed; the terminal says why' : messageOf(error) });
  });
  app.get('/', (_request, reply) => {
    reply.header('set-cookie', `${cookie()}=${token}; HttpOnly; SameSite=Strict; Path=/`);
    return reply.type('text/html; charset=utf-8').send(liveDocument());
  });
  app.get('/page.js', (_request, reply) => reply.type('text/javascript; charset=utf-8').send(files.script));
  app.get('/page.css', (_request, reply) => reply.type('text/css; charset=utf-8').send(files.style));
  app.get('/api/record', async () => shown.map(({ chronicle }) => chronicle.whole()));
  app.get('/api/events', (_request, reply) => {
    if (listeners.size >= MAX_LISTENERS) return reply.code(503).send({ problem: `${MAX_LISTENERS} pages are open` });
    reply.hijack();
    reply.raw.writeHead(200, { ...SAFE_HEADERS, 'content-type': 'text/event-stream', connection: 'keep-alive' });
    const listener = listen(reply.raw, shown, () => listeners.delete(listener));
    listeners.add(listener);
    return reply;
  });
  app.post('/api/:peer/:action', async (request) => {
    const { peer, action } = request.params as { peer: string; action: string };
    const actions = shown[Number(peer)]?.actions ?? {};
    if (!Object.hasOwn(actions, action)) throw new UserError('usage', `${action}: nothing this peer can do`);
    const given = request.body;
    if (typeof given !== 'object' || given === null) throw new UserError('usage', `${action}: wanted an object`);
    return (await actions[action]!(given as Record<string, unknown>)) ?? {};
  });
  await app.listen({ host, port });
  return {
    url: `${originOf(app, host)}/?token=${token}`,
    add: (one) => {
      shown.push(one);
      for (const listener of listeners) listener.add(one, shown.length - 1);
    },
    stop: async () => {
      for (const listener of listeners) listener.end();
      await app.close();
    },
  };
}

/** How the page is opened on this machine. */
function originOf(app: FastifyInstance, host: string): string {
  const { port } = app.server.address() as AddressInfo;
  const own = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${own.includes(':') ? `[${own}]` : own}:${port}`;
}

interface Listener {
  add(shown: Shown, index: number): void;
  end(): void;
}

/** Tells one page all there is, then what changes. */
function listen(response: ServerResponse, shown: readonly Shown[], onEnd: () => void): Listener {
  const forget: (() => void)[] = [];
  const say = (event: string, data: unknown): void => {
    if (response.destroyed) return;
    response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    if (response.writableLength > MAX_WAITING_BYTES) response.destroy(); // it comes back by itself
  };
  const add = ({ chronicle, actions }: Shown, peer: number): void => {
    say('whole', { peer, whole: chronicle.whole(), can: Object.keys(actions) });
    forget.push(chronicle.subscribe((patch) => say('patch', { peer, patch })));
  };
  const heartbeat = setInterval(() => response.write(': alive\n\n'), HEARTBEAT_MS).unref();
  response.on('close', () => {
    clearInterval(heartbeat);
    for (const end of forget) end();
    onEnd();
  });
  for (const [peer, one] of shown.entries()) add(one, peer);
  return {
    add,
    end: () => {
      // What was last: the page goes on showing it.
      for (const [peer, { chronicle }] of shown.entries()) say('whole', { peer, whole: chronicle.whole(), can: [] });
      response.end();
    },
  };
}
