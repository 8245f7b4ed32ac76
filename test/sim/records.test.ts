/** @file Simulated runs are recorded, found again, replayed to the event, and brought together from many machines. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT, temporaryFolder } from '../support.ts';

const MAIN = join(ROOT, 'dist', 'node', 'main.js');
const FILE = `
name: small
peers: 5
size: 6
seeds: [1, 2, 3]
settings: { rounds: 4 }
vary: { loss: [0, 0.2], schedule: [ring, full] }
`;

function lorikeet(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

const file = join(temporaryFolder(), 'small.yaml');
writeFileSync(file, FILE);

let done = '';
/** A folder, and in it what one machine has recorded of all runs; it runs them once. */
function recorded(): { folder: string; out: string } {
  const folder = temporaryFolder();
  const out = join(folder, 'results');
  if (done) cpSync(done, out, { recursive: true });
  else {
    const { code, err } = lorikeet('sim', file, '--out', out);
    assert.is(code, 0, err);
    done = join(temporaryFolder(), 'results');
    cpSync(out, done, { recursive: true });
  }
  return { folder, out };
}

const linesOf = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '');

test('what is recorded is not run again, and a torn last line is', () => {
  const { out } = recorded();
  assert.is(linesOf(join(out, 'small.jsonl')).length, 12);
  const report = readFileSync(join(out, 'small.md'), 'utf8');
  const lines = linesOf(join(out, 'small.jsonl'));
  writeFileSync(join(out, 'small.jsonl'), `${lines.slice(0, -1).join('\n')}\n${lines.at(-1)!.slice(0, 90)}\n`);
  const second = lorikeet('sim', file, '--out', out);
  assert.is(second.code, 0, second.err);
  assert.match(second.err, /small: 11 of 12/);
  assert.is(readFileSync(join(out, 'small.md'), 'utf8'), report);
});

test('shards of three machines, merged, give the report of one', () => {
  const { folder, out: whole } = recorded();
  const parts = [1, 2, 3].map((i) => join(folder, `machine-${i}`));
  const early = lorikeet('sim', file, '--report', '--out', join(folder, 'early'));
  assert.equal([early.code, /early: holds no run of .*; run it without --report/.test(early.err)], [2, true]);
  for (const [i, part] of parts.entries())
    assert.is(lorikeet('sim', file, '--shard', `${i + 1}/3`, '--out', part).code, 0);
  const merged = join(folder, 'merged');
  assert.match(lorikeet('merge', ...parts, '--out', merged).out, /small\.jsonl: 12 records/);
  assert.match(lorikeet('merge', ...parts, '--out', merged).out, /small\.jsonl: 12 records/, 'merging again adds none');
  assert.is(lorikeet('sim', file, '--report', '--out', merged).code, 0);
  assert.is(readFileSync(join(merged, 'small.md'), 'utf8'), readFileSync(join(whole, 'small.md'), 'utf8'));
});

test("an experiment's records merge too, and what is no folder of results is named", () => {
  const folder = temporaryFolder();
  for (const part of ['a', 'b']) {
    mkdirSync(join(folder, part));
    appendFileSync(join(folder, part, 'runs.jsonl'), `{"key":"both"}\n{"key":"${part}"}\n{"torn`);
  }
  const out = join(folder, 'out');
  assert.is(lorikeet('merge', join(folder, 'a'), join(folder, 'b'), '--out', out).code, 0);
  assert.equal(linesOf(join(out, 'runs.jsonl')), ['{"key":"both"}', '{"key":"a"}', '{"key":"b"}']);
  const missing = lorikeet('merge', join(folder, 'c'), '--out', join(folder, 'none'));
  assert.equal([missing.code, /no such folder/.test(missing.err)], [2, true]);
  mkdirSync(join(folder, 'empty'));
  assert.match(lorikeet('merge', join(folder, 'empty'), '--out', join(folder, 'none')).err, /no records/);
  assert.equal(
    readdirSync(folder).filter((name) => name === 'none'),
    [],
  );
});

test('what another version has recorded is refused in one line, by the run and by its replay', () => {
  const { out } = recorded();
  const path = join(out, 'small.jsonl');
  const [first, ...rest] = linesOf(path);
  for (const [version, told, args] of [
    ['"version":"0.0.0"', 'version 0.0.0', ['sim', file, '--out', out]],
    ['"version":"0.0.0"', 'version 0.0.0', ['sim', 'replay', path, '--run', '1']],
    ['"versio":""', 'no version', ['sim', file, '--report', '--out', out]],
  ] as const) {
    writeFileSync(path, [...rest, first!.replace(/"version":"[^"]*"/, version), ''].join('\n'));
    const { code, err } = lorikeet(...args);
    assert.is(code, 3, err);
    assert.match(
      err,
      new RegExp(`small\\.jsonl:12: a record of ${told}; this is .*: choose another folder with --out`),
    );
    assert.is(err.trim().split('\n').length, 1);
  }
});

test('a replay is the same event for event, stops at any time, takes another seed, and tells where code has changed', () => {
  const { folder, out } = recorded();
  const records = join(out, 'small.jsonl');
  const replayed = lorikeet('sim', 'replay', records, '--run', '7', '--trace', join(folder, 'trace.tsv'));
  assert.is(replayed.code, 0, replayed.err);
  assert.match(replayed.out, /the same as recorded, event for event/);
  const trace = linesOf(join(folder, 'trace.tsv'));
  assert.is(trace[0], 'ms\tpeer\tevent\tabout\tphase\tround\topen\teffects');
  assert.ok(trace.length > 100 && trace.every((line) => line.split('\t').length === 8));
  const state = (...more: string[]): string => lorikeet('sim', 'replay', records, '--run', '7', ...more).out;
  const early = state('--until', '400');
  assert.match(early, /at 400 ms, trace/);
  assert.is(state('--until', '400'), early);
  assert.is.not(state('--until', '400', '--seed', '9'), early);
  const other = linesOf(records)[6]!.replace(/"trace":"\w+"/, '"trace":"00000000"');
  writeFileSync(records, `${other}\n`);
  const changed = lorikeet('sim', 'replay', records);
  assert.equal([changed.code, /the code has changed since/.test(changed.err)], [3, true], changed.err);
  assert.is(lorikeet('sim', 'replay', records, '--run', '5').code, 2);
  const { key } = JSON.parse(other) as { key: string };
  assert.is(lorikeet('sim', 'replay', records, '--run', key, '--until', '100').code, 0);
  writeFileSync(records, other.replaceAll('"loss":0.2', '"loss":2').replace('"joiners":', '"joinerz":'));
  const altered = lorikeet('sim', 'replay', records);
  assert.equal([altered.code, altered.out], [2, '']);
  assert.match(
    altered.err,
    /small\.jsonl, run [0-9a-f]{16}: loss: got 2; wanted a share from 0 to 0\.95 \(and 2 more\)/,
  );
});

test.run();
