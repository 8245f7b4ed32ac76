/** @file The rules of the house that no compiler keeps: where imports go, what every file begins with, that tests run. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PAGES } from '../scripts/docs.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const rooms = ['protocol', 'node', 'sim', 'scripts', 'test'];
const files = rooms.flatMap((room) =>
  readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => join(room, name)),
);
const source = (file: string): string => readFileSync(join(root, file), 'utf8');

interface Import {
  readonly from: string;
  readonly to: string;
}

/** Every import, static or lazy: a path from the root, or a package name. */
const imports: Import[] = files.flatMap((file) =>
  [...source(file).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g)].map(([, to]) => {
    const path = to!.startsWith('.') ? normalize(join(dirname(file), to!)) : to!;
    return { from: file, to: path };
  }),
);

/** The rooms, the most special first; each with what it may import besides itself. */
const RULES: readonly [room: string, allowed: readonly string[]][] = [
  ['protocol/', []],
  ['node/graph/', []],
  ['node/formats/', ['node/errors.ts', 'node:', '@huggingface/tokenizers', '@huggingface/jinja']],
  ['node/model/', ['node/graph/', 'node/formats/', 'node/errors.ts', 'node/atomic.ts', 'node:']],
  [
    'node/checkpoint/',
    [
      'node/formats/',
      'node/model/',
      'node/errors.ts',
      'node/atomic.ts',
      'node/nearest.ts',
      'node/package.ts',
      'node/lock.ts',
      'node:',
    ],
  ],
  [
    'node/engine/',
    ['node/graph/', 'node/formats/', 'node/model/', 'node/checkpoint/', 'node/errors.ts', 'node:', 'onnxruntime-node'],
  ],
  [
    'node/texts/',
    [
      'node/formats/',
      'node/model/',
      'node/checkpoint/',
      'node/engine/',
      'node/errors.ts',
      'node/nearest.ts',
      'protocol/',
      'node:',
      'csv-parse/sync',
    ],
  ],
  [
    'node/train/',
    [
      'node/formats/',
      'node/model/',
      'node/checkpoint/',
      'node/engine/',
      'node/texts/',
      'node/errors.ts',
      'node/nearest.ts',
      'protocol/',
      'node:',
    ],
  ],
  // What runs in a browser: of the rest only what is pure, and types.
  [
    'node/page/',
    [
      'protocol/frame.ts',
      'node/chronicle/record.ts',
      'node/figures.ts',
      'node/refusals.ts',
      'preact',
      'uplot',
      'd3-force',
      'uqr',
    ],
  ],
  [
    'node/',
    [
      'protocol/',
      'node/',
      'sim/',
      'node:',
      '@',
      'it-',
      'libp2p',
      'commander',
      'prom-client',
      'uqr',
      'multicast-dns',
      'yaml',
      'zod',
      'fastify',
    ],
  ],
  [
    'sim/',
    [
      'protocol/',
      'node/engine/',
      'node/texts/',
      'node/train/',
      'node/atomic.ts',
      'node/errors.ts',
      'node/page/report.ts',
      'node/schema.ts',
      'node/settings.ts',
      'node/source.ts',
      'node:',
      'ml-matrix',
    ],
  ],
];

/** What breaks the direction of imports. */
export function violations(all: readonly Import[]): string[] {
  return all.flatMap(({ from, to }) => {
    const rule = RULES.find(([room]) => from.startsWith(room));
    if (!rule) return [];
    const allowed = to.startsWith(rule[0]) || rule[1].some((prefix) => to.startsWith(prefix));
    return allowed ? [] : [`${from} imports ${to}`];
  });
}

/** Files that import each other in a circle, type imports included: each circle once, sorted. */
export function circles(all: readonly Import[]): string[][] {
  const next = new Map<string, string[]>();
  for (const { from, to } of all) next.set(from, [...(next.get(from) ?? []), to]);
  const reach = (start: string): Set<string> => {
    const seen = new Set<string>();
    for (let open = [...(next.get(start) ?? [])]; open.length > 0; ) {
      const file = open.pop()!;
      if (seen.has(file)) continue;
      seen.add(file);
      open = open.concat(next.get(file) ?? []);
    }
    return seen;
  };
  const reached = new Map([...next.keys()].map((file) => [file, reach(file)]));
  const inCircle = [...reached].filter(([file, seen]) => seen.has(file));
  const found = inCircle.map(([file, seen]) => [...seen].filter((other) => reached.get(other)?.has(file)).sort());
  return [...new Map(found.map((files) => [files.join(' '), files])).values()];
}

test('no files import each other in a circle', () => {
  assert.equal(circles(imports), []);
});

test('the guard sees a circle', () => {
  const through = ['a', 'b', 'c'].map((from, i) => ({ from, to: ['b', 'c', 'a'][i]! }));
  assert.equal(circles([...through, { from: 'd', to: 'a' }]), [['a', 'b', 'c']]);
  assert.equal(circles([{ from: 'a', to: 'a' }]), [['a']]);
});

test('imports run one way', () => {
  assert.ok(imports.length > 100, `only ${imports.length} imports were read`);
  assert.equal(violations(imports), []);
});

test('the guard sees a breach', () => {
  const breach = [
    { from: 'protocol/peer.ts', to: 'node:fs' },
    { from: 'node/graph/ops.ts', to: 'node/model/bert.ts' },
    { from: 'node/model/bert.ts', to: 'protocol/prng.ts' },
    { from: 'sim/world/world.ts', to: 'node/host.ts' },
  ];
  assert.is(violations(breach).length, breach.length);
});

test('each library comes in through one door', () => {
  const importers = (pattern: RegExp): string[] => [
    ...new Set(imports.filter(({ from, to }) => pattern.test(to) && !from.startsWith('test/')).map((i) => i.from)),
  ];
  assert.equal(importers(/^(libp2p|@libp2p\/(?!interface|crypto|peer-id)|@chainsafe|@multiformats)/), [
    'node/network/node.ts',
    'scripts/redteam/caller.ts',
  ]);
  assert.equal(importers(/^@libp2p\/(crypto|peer-id)/), ['node/admission/identity.ts']);
  assert.equal(importers(/^multicast-dns/), ['node/network/lan.ts']);
  assert.equal(importers(/^it-/), ['node/streams.ts']);
  assert.equal(importers(/^onnxruntime/), ['node/engine/session.ts']);
  assert.equal(importers(/^ml-matrix/), ['sim/world/graph.ts']);
  assert.equal(importers(/^zod/), ['node/schema.ts']);
  assert.equal(importers(/^@huggingface\/tokenizers/), ['node/formats/tokenizer.ts']);
  assert.equal(importers(/^fastify/), ['node/ui/server.ts']);
  assert.equal(importers(/^uplot/), ['node/page/parts/plot.ts']);
  assert.equal(importers(/^d3-/), ['node/page/parts/layout.ts']);
  assert.equal(importers(/^uqr/).sort(), ['node/page/parts/qr.tsx', 'node/qr.ts']);
  assert.equal(importers(/^yaml/), ['node/yaml.ts']);
  assert.equal(importers(/jinja$/), ['node/formats/chat-template.ts']);
});

test('only the command line loads the simulator, and lazily', () => {
  const loading = imports.filter(({ from, to }) => from.startsWith('node/') && to.startsWith('sim/'));
  assert.ok(loading.every(({ from }) => from.startsWith('node/commands/')));
  const eager = loading.filter(({ from }) => /^import (?!type).*'(\.\.\/)+sim\//m.test(source(from)));
  assert.equal(eager, []);
});

test('decisions use no clock, no dice and no unsorted keys of the host', () => {
  const pure = files.filter((file) => file.startsWith('protocol/') || file.startsWith('node/graph/'));
  const guilty = pure.filter((file) =>
    /Date\.now|new Date|Math\.random|setTimeout|performance\.now/.test(source(file)),
  );
  assert.equal(guilty, []);
});

test('every file says on its first lines what it is', () => {
  const silent = files.filter((file) => !/^(#!.*\n)?\/\*\*(\n \*)? @file /.test(source(file)));
  assert.equal(silent, []);
});

test('no file grows beyond 400 lines', () => {
  assert.equal(
    files.filter((file) => source(file).split('\n').length > 401),
    [],
  );
});

test('pages and schemas of docs are those of the tables', () => {
  assert.ok(Object.keys(PAGES).length >= 5);
  for (const [name, page] of Object.entries(PAGES))
    assert.is(readFileSync(join(root, name), 'utf8'), page(), `${name}: run npm run docs`);
});

test('every test file runs its tests', () => {
  const tests = files.filter((file) => file.endsWith('.test.ts'));
  assert.equal(
    tests.filter((file) => !/\.run\(\)/.test(source(file))),
    [],
  );
});

test.run();
