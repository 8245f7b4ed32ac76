/** @file Files that say a run: `init` writes one and overwrites nothing, `up --config` takes it, also with several peers in it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MACHINE, said, startIn, writeTexts } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
const HERE = { XDG_CONFIG_HOME: folder };
const start = (...args: string[]) => startIn(folder, args, HERE);
for (const [name, word] of Object.entries({ 'a.tsv': 'great', 'b.tsv': 'good', 'c.tsv': 'fine' }))
  writeTexts(folder, name, [`an awful film`, `a ${word} meal`, `a bad song`, `a ${word} book`]);

test('init takes flags, writes what up can take, and leaves a file that is there as it is', async () => {
  const args = ['init', '--yes', '--data', 'a.tsv', '--rounds', '1', '--min-peers', '1'];
  const { code, out } = await start(...args).done;
  assert.equal([code, out], [0, 'lorikeet up --config run.yaml\n']);
  const written = readFileSync(join(folder, 'run.yaml'), 'utf8');
  const again = await start(...args, '--rounds', '2').done;
  assert.is(again.code, 2);
  assert.match(again.err, /run\.yaml: is there already, and is left as it is; --out names another/);
  assert.is(readFileSync(join(folder, 'run.yaml'), 'utf8'), written);
  const run = await start('up', '--config', 'run.yaml', '--no-ui', '--json', ...MACHINE).done;
  assert.is(run.code, 0, run.err);
  assert.is(JSON.parse(run.out).rounds, 3);
});

test('init refuses what no run accepts', async () => {
  for (const [args, wanted] of [
    [['--rounds', 'x'], /init: rounds: got "x"; wanted an integer from 1/],
    [['--data', 'missing.tsv'], /init: data: got "missing\.tsv"; wanted a file that is there/],
    [['--host', 'localhost'], /init: host: got "localhost"; wanted an IP address/],
  ] as const) {
    const { code, err } = await start('init', '--yes', '--out', 'other.yaml', ...args).done;
    assert.is(code, 2);
    assert.match(err, wanted);
    assert.not.ok(existsSync(join(folder, 'other.yaml')));
  }
});

test('up takes several peers of one file: each has its own state, all learn together, one object tells of all', async () => {
  writeFileSync(
    join(folder, 'swarm.yaml'),
    [
      ...['rounds: 2', 'localSteps: 1', 'device: cpu', 'threads: 1', 'peers:'],
      ...['  - data: a.tsv', '    state: first.lorikeet', '    test: c.tsv'],
      ...['  - { data: b.tsv, name: berta }', '  - data: c.tsv'],
    ].join('\n'),
  );
  const { code, out, err } = await start('up', '--config', 'swarm.yaml', '--json').done;
  assert.is(code, 0, err);
  const { peers } = JSON.parse(out);
  assert.equal(
    peers.map(({ name, rounds, adapter }: { name: string; rounds: number; adapter: string }) => [
      name,
      rounds,
      adapter,
    ]),
    [
      ['a.tsv', 4, 'first.lorikeet/adapter'],
      ['berta', 4, 'b.tsv.lorikeet/adapter'],
      ['c.tsv', 4, 'c.tsv.lorikeet/adapter'],
    ],
  );
  assert.is(new Set(peers.map((peer: { runId: string }) => peer.runId)).size, 1);
  for (const peer of peers) assert.is(Object.keys(peer.mixedWith).length, 2, JSON.stringify(peer));
  assert.type(peers[0].accuracy.swarm, 'number');
  assert.match(err, /^berta: peer 12D3KooW/m);
});

test('one SIGINT stops all peers of a file, with their states kept and their locks given back', async () => {
  const lines = ['rounds: 100000', 'localSteps: 1', 'device: cpu', 'threads: 1', 'peers:'];
  const peers = ['a.tsv', 'b.tsv'].map((data) => `  - { data: ${data}, state: long-${data}, name: ${data[0]} }`);
  writeFileSync(join(folder, 'long.yaml'), [...lines, ...peers].join('\n'));
  const swarm = start('up', '--config', 'long.yaml');
  await said(swarm, /a: round \d+ of 100002: 2 members/);
  swarm.child.kill('SIGINT');
  const { code, err } = await swarm.done;
  assert.is(code, 130, err);
  for (const name of ['a', 'b']) {
    assert.match(err, new RegExp(`^${name}: stopped at round \\d+; the same command goes on from there`, 'm'));
    assert.not.ok(existsSync(join(folder, `long-${name}.tsv`, 'lock')));
  }
});

test('what is wrong in a list of peers is refused by its line', async () => {
  for (const [lines, wanted] of [
    [['peers:', '  - name: berta'], /x\.yaml:2: peers\[0\]\.data: missing; wanted a text/],
    [['peers:', '  - data: a.tsv', '    prot: 3'], /x\.yaml:3: peers\[0\]\.prot: no such field; did you mean port\?/],
    [['peers:', '  - data: a.tsv', '    rounds: 3'], /x\.yaml:3: peers\[0\]\.rounds: no such field/],
    [['peers: []'], /x\.yaml:1: peers: got \[\]; wanted a list of 1 to 64 peers/],
    [['peers: [{ data: a.tsv }, { data: a.tsv }]'], /x\.yaml: two peers are called a\.tsv; wanted a name: for each/],
  ] as const) {
    writeFileSync(join(folder, 'x.yaml'), lines.join('\n'));
    const { code, err } = await start('up', '--config', 'x.yaml').done;
    assert.is(code, 2, err);
    assert.match(err, wanted);
  }
});

test.run();
