/** @file What a Hub says, and what a user asks of it, that is not to be believed: each refused in one line. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fetchModel } from '../../node/checkpoint/hub.ts';
import { FILES, HASH, on, onBench, page, refused, root } from './bench.ts';
import { json, refuse, type Trick } from './server.ts';

const REFUSALS: readonly [claim: string, trick: Trick, mistake: string, message: RegExp][] = [
  [
    'gated',
    on('info', (r) => refuse(r, 403, 'GatedRepo')),
    'usage',
    /org\/small@main: its terms.*\/org\/small, then set/,
  ],
  ['no such model', on('info', (r) => refuse(r, 401, 'RepoNotFound')), 'usage', /not found at http.*check the name/],
  ['not found', on('info', (r) => refuse(r, 404)), 'usage', /not found/],
  ['no revision', on('info', (r) => refuse(r, 404, 'RevisionNotFound')), 'usage', /has no revision main/],
  ['bad token', on('info', (r) => refuse(r, 401)), 'usage', /access refused \(401\); check HF_TOKEN/],
  ['forbidden file', on('file', (r) => refuse(r, 403)), 'usage', /access refused \(403\)/],
  ['a captive portal', on('info', page), 'unreachable', /got a web page where the Hub gives JSON.*sign in/],
  ['a portal later', on('file', page), 'unreachable', /got a web page/],
  ['cut JSON', on('tree', (r) => r.setHeader('content-type', 'application/json').end('[{')), 'unreachable', /got appl/],
  ['no commit', on('info', (r) => json(r, { id: 'x' })), 'unreachable', /names no commit \(sha: undefined\)/],
  ['down', on('info', (r) => refuse(r, 503)), 'unreachable', /answered 503; tried 3 times/],
  ['gone at the other host', on('cdn', (r) => refuse(r, 403)), 'unreachable', /127\.0\.0\.1:\d+ answered 403; tried 3/],
  ['hung up', on('info', (r) => r.destroy()), 'unreachable', /tried 3 times/],
  ['always cut', on('cdn', (r) => r.writeHead(200).end('x')), 'unreachable', /ended after 1 bytes; wanted 200000/],
  [
    'other bytes',
    on('cdn', (r, bytes) => r.end(Buffer.from(bytes).fill(0, 0, 9))),
    'unreachable',
    /model\.safetensors came twice with other bytes than listed/,
  ],
  ['more bytes', on('cdn', (r, bytes) => r.end(Buffer.concat([bytes, bytes]))), 'unreachable', /more than the 200000/],
  [
    'another hash',
    on('file', (r) => r.writeHead(200, { etag: `"${'0123'.repeat(10)}"` }).end('')),
    'unreachable',
    /given as hash 012301230123;/,
  ],
  [
    'another size',
    on('file', (r) => r.writeHead(200, { 'x-linked-size': '3' }).end('abc')),
    'unreachable',
    /given as 3 bytes; listed with/,
  ],
  [
    'another commit',
    on('file', (r) => r.writeHead(200, { 'x-repo-commit': 'd'.repeat(40) }).end('')),
    'unreachable',
    /commit dddddddddddd/,
  ],
  [
    'round and round',
    on('info', (r) => r.writeHead(302, { location: '/x/../api/models/org/small/revision/main' }).end()),
    'unreachable',
    /leads on and on/,
  ],
  [
    'out of the web',
    on('file', (r) => r.writeHead(302, { location: 'file:///etc/passwd' }).end()),
    'unreachable',
    /leads from http:\/\/ to file:/,
  ],
];

for (const [claim, trick, mistake, message] of REFUSALS)
  test(`${claim}: one line that says so, and no weights that look whole`, () =>
    onBench(FILES, async ({ hub, repository, fetch }) => {
      hub.trick = trick;
      const error = await refused(fetch());
      assert.match(error.message, message);
      assert.is(error.mistake, mistake);
      assert.not(existsSync(join(repository, 'blobs', HASH)));
      assert.not(existsSync(join(repository, 'refs')));
    }));

test('a file that would leave its folder is refused, whatever else is listed', async () => {
  for (const path of ['../x', '/etc/x', 'a/../../x', 'a\\..\\x', 'c:x', 'a//b', 'a/./b', 'x\n', '', 'a/..', 'x.'])
    await onBench(FILES, async ({ hub, repository, fetch }) => {
      hub.tree = (all) => [...all, { type: 'file', path, size: 1, oid: '1'.repeat(40) }];
      const error = await refused(fetch());
      assert.equal([error.mistake, existsSync(repository)], ['incompatible', false], path);
      assert.match(error.message, /lists a file named/);
    });
});

test('a tree whose entries are not what they should be is refused', async () => {
  const file = { type: 'file', path: 'model.safetensors', size: 5, oid: '1'.repeat(40) };
  for (const entry of [
    { ...file, oid: '../../x' },
    { ...file, size: -1 },
    { ...file, size: '5' },
    { ...file, lfs: { oid: '1'.repeat(40), size: 5 } },
    { ...file, lfs: { oid: '1'.repeat(64), size: 1e30 } },
  ])
    await onBench(FILES, async ({ hub, fetch }) => {
      hub.tree = () => [entry];
      assert.match((await refused(fetch())).message, /lists model\.safetensors with hash .* and size/);
    });
  await onBench(FILES, async ({ hub, fetch }) => {
    hub.tree = () => ({ error: 'no' });
    assert.match((await refused(fetch())).message, /gives no list of files/);
  });
});

test('an index that names what is not there, or elsewhere, is refused', async () => {
  for (const [shard, message] of [
    ['"gone.safetensors"', /names "gone\.safetensors", which is not there/],
    ['"../m.safetensors"', /names "\.\.\/m\.safetensors"; wanted/],
    ['7', /names 7; wanted/],
  ] as const)
    await onBench(
      { 'config.json': '{}', 'tokenizer.json': '{}', 'model.safetensors.index.json': `{"weight_map":{"a":${shard}}}` },
      async ({ fetch }) => assert.match((await refused(fetch())).message, message),
    );
});

test('of several GGUF files one is asked for by name; of one, nobody needs to', async () => {
  const files = { 'a-q4.gguf': 'four', 'a-q8.gguf': 'eight', 'mmproj-a.gguf': 'pictures' };
  await onBench(files, async ({ fetch }) => {
    assert.match((await refused(fetch())).message, /has 2 GGUF files; choose one of a-q4\.gguf, a-q8\.gguf/);
    assert.match((await refused(fetch({ gguf: 'a-q5.gguf' }))).message, /has no a-q5\.gguf; did you mean/);
    assert.equal((await fetch({ gguf: 'a-q8.gguf' })).weights, ['a-q8.gguf']);
  });
  const parts = { 'a-00001-of-00002.gguf': 'one', 'a-00002-of-00002.gguf': 'two' };
  await onBench(parts, async ({ fetch }) => assert.equal((await fetch()).weights, Object.keys(parts)));
  await onBench({ 'a-00001-of-00002.gguf': 'one' }, async ({ fetch }) =>
    assert.match((await refused(fetch())).message, /a-00002-of-00002\.gguf is one of 2 parts that are not all there/),
  );
});

test('pickled weights are not taken, nor safetensors that nothing explains', async () => {
  await onBench({ 'config.json': '{}', 'pytorch_model.bin': 'x' }, async ({ fetch }) => {
    const error = await refused(fetch());
    assert.equal(
      [error.mistake, /only pytorch_model\.bin, which may run code/.test(error.message)],
      ['incompatible', true],
    );
  });
  await onBench({ 'model.safetensors': 'x' }, async ({ fetch }) =>
    assert.match((await refused(fetch())).message, /has no config\.json and no tokenizer\.json/),
  );
});

test('a name is org/name, with a revision or without; all else is refused', async () => {
  const hub = { cache: root, endpoint: 'http://127.0.0.1:1', token: null, isOffline: true };
  for (const name of [
    'bert',
    '../x',
    'a/..',
    'a/b/c',
    'a/b@',
    'a/b@..',
    'a/b@x/../y',
    '/a/b',
    'a\\b',
    'a/b@-x',
    'a--b/c',
    'a/b c',
    'a/b?x',
    '',
  ])
    assert.match((await refused(fetchModel(name, { hub }))).message, /model: got .*; wanted org\/name/, name);
  for (const name of ['a/b', 'Qwen/Qwen2.5-0.5B', 'a_b/c.d-e', 'a/b@refs/pr/1', 'a/b@v1.0+x'])
    assert.is((await refused(fetchModel(name, { hub }))).mistake, 'unreachable', name);
});

test.run();
