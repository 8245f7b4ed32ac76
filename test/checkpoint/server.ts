/** @file A Hub on 127.0.0.1 for tests: model info, tree in pages, and files, the large ones by a redirect to another host. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly kind: 'info' | 'tree' | 'file' | 'cdn' | 'other';
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** Answers a request in the server's place; false: it answers itself. */
export type Trick = (asked: Asked, response: ServerResponse, bytes: Buffer | undefined) => boolean;

export interface FakeHub {
  readonly endpoint: string;
  readonly asked: Asked[];
  /** What goes wrong; a test sets it. */
  trick: Trick;
  /** What the tree says besides, or in place of, the truth; a test sets it. */
  tree: (entries: Record<string, unknown>[]) => unknown;
  stop(): Promise<void>;
}

export const COMMIT = 'c0ffee'.padEnd(40, '0');
const PAGE = 4;

/** As the Hub names a file's bytes: SHA-256 of large ones, git's SHA-1 of small ones. */
export function hashOfBytes(bytes: Buffer, isLarge: boolean): string {
  if (isLarge) return createHash('sha256').update(bytes).digest('hex');
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

export function isLarge(path: string): boolean {
  return /\.(safetensors|gguf|bin)$/.test(path);
}

/** Serves one model, org/small, at one commit. */
export async function fakeHub(files: Readonly<Record<string, string | Buffer>>): Promise<FakeHub> {
  const bytesOf = new Map(Object.entries(files).map(([path, bytes]) => [path, Buffer.from(bytes)]));
  const byHash = new Map([...bytesOf].map(([path, bytes]) => [hashOfBytes(bytes, isLarge(path)), bytes]));
  const entries = [...bytesOf].map(([path, bytes]): Record<string, unknown> => {
    const entry = { type: 'file', path, size: bytes.length, oid: hashOfBytes(bytes, false) };
    return isLarge(path) ? { ...entry, lfs: { oid: hashOfBytes(bytes, true), size: bytes.length } } : entry;
  });
  const cdn = await listen((request, response) => {
    const asked = note(request, 'cdn');
    const bytes = byHash.get(asked.path.slice(1));
    if (!hub.trick(asked, response, bytes)) sendBytes(asked, response, bytes!);
  });
  const home = await listen((request, response) => {
    const url = new URL(request.url!, 'http://hub');
    const [kind, rest] = readPath(decodeURIComponent(url.pathname));
    const asked = note(request, kind);
    const bytes = kind === 'file' ? bytesOf.get(rest) : undefined;
    if (hub.trick(asked, response, bytes)) return;
    if (kind === 'info') return json(response, { id: 'org/small', sha: COMMIT, private: false });
    if (kind === 'tree') {
      const [all, from] = [hub.tree(entries), Number(url.searchParams.get('cursor') ?? 0)];
      if (!Array.isArray(all)) return json(response, all);
      if (from + PAGE < all.length)
        response.setHeader('link', `<${hub.endpoint}${url.pathname}?recursive=true&cursor=${from + PAGE}>; rel="next"`);
      return json(response, all.slice(from, from + PAGE));
    }
    if (!bytes) return refuse(response, 404, 'EntryNotFound');
    response.setHeader('x-repo-commit', COMMIT);
    if (!isLarge(rest)) {
      response.setHeader('etag', `"${hashOfBytes(bytes, false)}"`);
      return sendBytes(asked, response, bytes);
    }
    const hash = hashOfBytes(bytes, true);
    response.setHeader('x-linked-etag', `"${hash}"`);
    response.setHeader('x-linked-size', bytes.length);
    response.writeHead(302, { location: `http://127.0.0.1:${portOf(cdn)}/${hash}` }).end();
  });
  const note = (request: IncomingMessage, kind: Asked['kind']): Asked => {
    const { range, authorization } = request.headers;
    const asked = { kind, path: request.url!, range, authorization };
    hub.asked.push(asked);
    return asked;
  };
  const hub: FakeHub = {
    endpoint: `http://127.0.0.1:${portOf(home)}`,
    asked: [],
    trick: () => false,
    tree: (all) => all,
    stop: async () => {
      for (const server of [home, cdn]) {
        server.closeAllConnections();
        await new Promise((done) => server.close(done));
      }
    },
  };
  return hub;
}

export function refuse(response: ServerResponse, status: number, code = '', more: Record<string, string> = {}): void {
  response.writeHead(status, { ...(code ? { 'x-error-code': code } : {}), ...more }).end();
}

export function json(response: ServerResponse, value: unknown): void {
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.end(JSON.stringify(value));
}

/** The bytes asked for, all or those of a range; with `cutAt` the answer ends there, as if it were whole. */
export function sendBytes({ range }: Asked, response: ServerResponse, bytes: Buffer, cutAt?: number): void {
  const [, begin, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
  const [from, end] = [Number(begin ?? 0), Math.min(last ? Number(last) + 1 : bytes.length, bytes.length)];
  const rest = bytes.subarray(from, cutAt === undefined ? end : Math.max(from, cutAt));
  const part = { 'content-range': `bytes ${from}-${end - 1}/${bytes.length}` };
  const headers = { 'content-type': 'application/octet-stream', ...(range === undefined ? {} : part) };
  response.writeHead(range === undefined ? 200 : 206, headers).end(rest);
}

function readPath(path: string): [kind: Asked['kind'], rest: string] {
  if (/^\/api\/models\/org\/small\/revision\/./.test(path)) return ['info', ''];
  if (path === `/api/models/org/small/tree/${COMMIT}`) return ['tree', ''];
  const file = /^\/org\/small\/resolve\/([0-9a-f]{40})\/(.+)$/.exec(path);
  return file?.[1] === COMMIT ? ['file', file[2]!] : ['other', path];
}

function listen(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> {
  const server = createServer(answer);
  return new Promise((done) => {
    server.listen(0, '127.0.0.1', () => done(server));
  });
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
