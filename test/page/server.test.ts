/** @file The page's server: who may use it, what it tells as it happens, and that it cannot be made to stop its peer. */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Chronicle } from '../../node/chronicle/chronicle.ts';
import type { Patch, Whole } from '../../node/chronicle/record.ts';
import { UserError } from '../../node/errors.ts';
import { wholeDocument } from '../../node/ui/document.ts';
import { createPageServer, type PageServer } from '../../node/ui/server.ts';
import { openPage, pagePlace } from '../../node/ui/start.ts';
import { buildPage } from '../../scripts/page.ts';
import { MACHINE, said, startIn, writeTexts } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const listeners = new Set<(patch: Patch) => void>();
const chronicle: Chronicle = {
  whole: () => ({ version: 1 }) as Whole,
  subscribe: (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  note: () => {},
  compared: () => {},
};
const files = { script: 'script', style: 'style' };

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** With every header as given, which fetch would not let one forge. */
function get(
  server: PageServer,
  path: string,
  headers: Record<string, string> = {},
  { method = 'GET', body = '' } = {},
): Promise<Answer> {
  const { port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: text }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

async function serving(run: (server: PageServer, cookie: string, origin: string) => Promise<void>): Promise<void> {
  const server = await createPageServer({ host: '127.0.0.1', port: 0, files, onError: () => {} });
  const { port, searchParams, origin } = new URL(server.url);
  server.add({
    chronicle,
    actions: {
      echo: async (given) => given,
      fail: async () => {
        throw new UserError('usage', 'not like this');
      },
      crash: async () => {
        throw new Error('a secret path');
      },
    },
  });
  try {
    await run(server, `lorikeet-${port}=${searchParams.get('token')}`, origin);
  } finally {
    await server.stop();
  }
}

const post = { method: 'POST', body: '{"a":1}' };
const json = { 'content-type': 'application/json' };

test('the link lets in and leaves a cookie that no script and no other site gets; without it nothing is told', () =>
  serving(async (server, cookie) => {
    const { pathname, search } = new URL(server.url);
    const page = await get(server, pathname + search);
    assert.is(page.status, 200);
    assert.match(String(page.headers['set-cookie']), /HttpOnly; SameSite=Strict/);
    assert.match(String(page.headers['content-security-policy']), /default-src 'none'; script-src 'self';/);
    assert.not.match(page.body, new RegExp(search.slice(7)), 'the token stands in no page');
    for (const path of ['/', '/page.js', '/api/record', '/api/events', '/?token=', `${pathname}${search}x`])
      assert.is((await get(server, path)).status, 401, path);
    assert.is((await get(server, '/api/record', { cookie: `${cookie}x` })).status, 401);
    assert.is((await get(server, `/api/record${search}`)).status, 401, 'only the page itself takes it from its link');
    assert.equal(JSON.parse((await get(server, '/api/record', { cookie })).body), [{ version: 1 }]);
    assert.is((await get(server, '/nothing', { cookie })).status, 404);
  }));

test('a name that leads here is refused, whoever holds the cookie: DNS rebinding', () =>
  serving(async (server, cookie) => {
    for (const host of ['evil.example', 'evil.example:80', 'localhost.evil.example', '127.0.0.1.evil.example'])
      assert.is((await get(server, '/api/record', { cookie, host })).status, 403, host);
    for (const host of ['localhost:1', '127.0.0.1', '[::1]:80'])
      assert.is((await get(server, '/api/record', { cookie, host })).status, 200, host);
  }));

test('another site cannot have a browser act here: Origin and Sec-Fetch-Site', () =>
  serving(async (server, cookie, origin) => {
    const ask = (headers: Record<string, string>, path = '/api/0/echo'): Promise<Answer> =>
      get(server, path, { cookie, ...json, ...headers }, post);
    for (const from of ['http://evil.example', 'null', 'http://127.0.0.1:1', origin.replace('http', 'https')])
      assert.is((await ask({ origin: from })).status, 403, from);
    assert.is((await get(server, '/api/0/echo', { cookie, ...json }, post)).status, 403, 'no Origin');
    assert.is((await ask({ origin, 'sec-fetch-site': 'cross-site' })).status, 403);
    assert.is((await get(server, '/api/record', { cookie, 'sec-fetch-site': 'same-site' })).status, 403);
    const answer = await ask({ origin, 'sec-fetch-site': 'same-origin' });
    assert.equal([answer.status, JSON.parse(answer.body)], [200, { a: 1 }]);
  }));

test('what cannot be done is said in a line, what fails is not shown, and bodies are bounded', () =>
  serving(async (server, cookie, origin) => {
    const ask = (path: string, body = '{}'): Promise<Answer> =>
      get(server, path, { cookie, origin, ...json }, { method: 'POST', body });
    assert.equal(JSON.parse((await ask('/api/0/fail')).body), { problem: 'not like this' });
    for (const path of ['/api/0/nothing', '/api/1/echo', '/api/0/constructor', '/api/x/echo'])
      assert.is((await ask(path)).status, 400, path);
    const crash = await ask('/api/0/crash');
    assert.is(crash.status, 500);
    assert.not.match(crash.body, /secret/);
    assert.is((await ask('/api/0/echo', '[')).status, 400);
    assert.is((await ask('/api/0/echo', 'null')).status, 400);
    assert.is((await ask('/api/0/echo', JSON.stringify('x'.repeat(300_000)))).status, 413);
  }));

/** Reads events until one is of the name. */
async function untilEvent(stream: ReadableStreamDefaultReader<Uint8Array>, name: string): Promise<unknown> {
  let text = '';
  for (;;) {
    const { value, done } = await stream.read();
    if (done) throw new Error(`ended without ${name}`);
    text += new TextDecoder().decode(value);
    const found = new RegExp(`event: ${name}\ndata: (.*)\n\n`).exec(text);
    if (found) return JSON.parse(found[1]!);
  }
}

test('a page hears all there is, then what changes; who leaves is forgotten, and no more than sixteen listen', () =>
  serving(async (_server, cookie, origin) => {
    const open = async () => fetch(`${origin}/api/events`, { headers: { cookie } });
    const streams = await Promise.all(Array.from({ length: 16 }, open));
    assert.is((await open()).status, 503);
    const reader = streams[0]!.body!.getReader();
    assert.equal(await untilEvent(reader, 'whole'), { peer: 0, whole: { version: 1 }, can: ['echo', 'fail', 'crash'] });
    assert.is(listeners.size, 16);
    for (const tell of listeners) tell({ head: { round: 7 } } as Patch);
    assert.equal(await untilEvent(reader, 'patch'), { peer: 0, patch: { head: { round: 7 } } });
    await Promise.all([reader.cancel(), ...streams.slice(1).map(({ body }) => body!.cancel())]);
    while (listeners.size > 0) await new Promise((resolve) => setImmediate(resolve));
  }));

test('where the port is taken a line says so and there is no page', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as AddressInfo;
  const lines: string[] = [];
  assert.is(await openPage({ host: '127.0.0.1', port }, { note: (line) => lines.push(line) }), null);
  assert.match(lines.join('\n'), /^no page \(--ui\): .*EADDRINUSE.*; going on without$/);
  other.close();
});

test('--ui takes a port, or an address and a port, and refuses what is neither', () => {
  assert.equal(pagePlace(undefined), { host: '127.0.0.1', port: 0 });
  assert.equal([pagePlace(false), pagePlace('8090')], [null, { host: '127.0.0.1', port: 8090 }]);
  assert.equal(pagePlace('0.0.0.0:80'), { host: '0.0.0.0', port: 80 });
  assert.equal(pagePlace('[::1]:0'), { host: '::1', port: 0 });
  for (const bad of ['here', 'localhost:80', '70000', ':80', '1.2.3.4', '1.2.3.4:', ''])
    assert.throws(() => pagePlace(bad), /--ui: got .*; wanted a port, or ADDRESS:PORT/, bad);
});

test('one file holds its data whatever stands in it, and lets nothing be loaded', () => {
  const text = '</script><script>alert(1)</script><!--';
  const html = wholeDocument(text, { text }, { script: 'const end = "</script>";', style: '' });
  const [, data] = /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(html)!;
  assert.equal(JSON.parse(data!), { text });
  assert.is(html.match(/<\/script>/g)!.length, 2);
  assert.match(html, /content="default-src 'none'; script-src 'unsafe-inline'/);
  assert.match(html, /<title>&lt;\/script>/);
});

test('up tells where its page is, as a line and as an event, keeps its token out of the log, and opens none with --no-ui', async () => {
  const folder = temporaryFolder();
  writeTexts(folder, 'mine.tsv', ['a fine film', 'an awful film']);
  await buildPage();
  const up = ['up', '--data', 'mine.tsv', '--json', '--follow', ...MACHINE];
  const shown = startIn(folder, up);
  const [, url] = await said(shown, /\{"event":"page","url":"(http:[^"]+)"\}/);
  await said(shown, /the page of this peer: http:/);
  assert.is((await fetch(url!)).status, 200);
  shown.child.kill('SIGINT');
  await shown.done;
  const state = join(folder, 'mine.tsv.lorikeet');
  const kept = readdirSync(state).filter((file) =>
    readFileSync(join(state, file), 'latin1').includes(url!.split('token=')[1]!),
  );
  assert.equal(kept, []);
  const bare = startIn(folder, [...up, '--no-ui']);
  await said(bare, /"event":"waiting"/);
  bare.child.kill('SIGINT');
  assert.not.match((await bare.done).err, /the page of this peer/);
});

test.run();
