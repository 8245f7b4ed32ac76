/** @file YAML files: every field is found by its line, and what is no YAML is refused by its line. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { demo } from '../../node/commands/demo.ts';
import { readSpecFile } from '../../node/commands/specfile.ts';
import { UserError } from '../../node/errors.ts';
import { fieldsOf, listOf, numberFrom, oneOf, wholeFrom } from '../../node/schema.ts';
import { checkSource } from '../../node/source.ts';
import { readYamlText } from '../../node/yaml.ts';
import { readSpec } from '../../sim/learning/spec.ts';
import { readScenario } from '../../sim/world/scenario.ts';
import { temporaryFolder } from '../support.ts';

const read = (lines: readonly string[]) => readYamlText(lines.join('\n'), 'x.yaml', 'a file');
const messageOfCall = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return error instanceof UserError ? error.message : `no mistake of the user's: ${error}`;
  }
  return 'none';
};

test('a field is found by its line, within lists, flows and what an alias stands for', () => {
  const { source } = read([
    '# a remark',
    'name: x',
    'settings:',
    '  rounds: 3',
    'points:',
    '  - { loss: 0 }',
    '  - loss: 1',
    '    peers: &many',
    '      7',
    'base: &base',
    '  deep: 1',
    'again: *base',
    '3: three',
  ]);
  const line = (...path: (string | number)[]): number => source.placeOf(path).line;
  assert.equal(
    [
      line('name'),
      line('settings', 'rounds'),
      line('points', 0, 'loss'),
      line('points', 1),
      line('points', 1, 'peers'),
      line('again', 'deep'),
      line('3'),
    ],
    [2, 4, 6, 7, 8, 11, 13],
  );
  assert.is(line('settings', 'nothing'), 3, 'what is not there stands where it would');
  assert.equal(source.placeOf(['nothing']), { text: 'x.yaml', line: 0 });
});

test('what is no YAML is refused with its line and what stands there', () => {
  for (const [lines, wanted] of [
    [
      ['name: x', 'seeds 1..x'],
      /^x\.yaml:2: got "seeds 1\.\.x", which is no YAML .*is a colon missing\?; wanted a file$/,
    ],
    [['name: x', 'seeds: [1', ''], /^x\.yaml:2: got "seeds: \[1"/],
    [['name: x', 'peers: 3', 'name: y'], /^x\.yaml:3: got "name: y".*unique/],
    [['name: x', '\tpeers: 3'], /^x\.yaml:2: got "peers: 3".*Tabs/],
    [['name: x', 'peers: !many 3'], /^x\.yaml:2: got "peers: !many 3".*tag/],
    [['name: x', 'peers: *many'], /^x\.yaml:2: got \*many, and nothing is named &many/],
    [['name: x', '---', 'name: y'], /^x\.yaml:2: .*multiple documents/],
    [['- name: x'], /^x\.yaml: holds no fields; wanted a file/],
    [[''], /^x\.yaml: holds no fields/],
    [['word'], /^x\.yaml: holds no fields/],
  ] as const)
    assert.match(
      messageOfCall(() => read(lines)),
      wanted,
    );
});

test('the first mistake by line is told, the others by their lines, and names by what is near', () => {
  const schema = fieldsOf(
    {
      kind: oneOf(['ring', 'torus']),
      count: wholeFrom(1, 9, 'a digit'),
      shares: listOf(numberFrom(0, 1, 'a share'), 'shares'),
      inner: fieldsOf({ rounds: wholeFrom(1, 9, 'a digit') }),
    },
    { required: ['kind'] },
  );
  const told = (...lines: string[]): string => {
    const { given, source } = read(lines);
    return messageOfCall(() => checkSource(schema, given, source));
  };
  assert.is(told('kind: ring', 'shares: [0.5, 1]', 'inner: { rounds: 3 }'), 'none');
  assert.is(
    told('kind: rin', 'inner:', '  rouns: 3', 'count: 12'),
    'x.yaml:1: kind: got "rin"; wanted ring, torus; did you mean ring? (and 2 more in lines 3, 4)',
  );
  assert.is(told('inner:', '  rouns: 3', 'kind: ring'), 'x.yaml:2: inner.rouns: no such field; did you mean rounds?');
  assert.is(
    told('kind: ring', 'wholly: 1'),
    'x.yaml:2: wholly: no such field; wanted one of kind, count, shares, inner',
  );
  assert.is(told('kind: ring', 'shares:', '  - 0.5', '  - 2'), 'x.yaml:4: shares[1]: got 2; wanted a share');
  assert.is(told('count: 1'), 'x.yaml: kind: missing; wanted ring, torus');
  assert.is(told('kind: ring', 'constructor: 1').split(';')[0], 'x.yaml:2: constructor: no such field');
  assert.is(told('kind: ring', '__proto__: 1').split(';')[0], 'x.yaml:2: __proto__: no such field');
});

test('a nested name nobody knows is refused by its line, in scenarios, experiments and settings', () => {
  const folder = temporaryFolder();
  const told = (kind: 'sim' | 'experiment', lines: readonly string[], flags = {}): string => {
    const path = join(folder, 'x.yaml');
    writeFileSync(path, lines.join('\n'));
    return messageOfCall(() => {
      const { given, source } = readSpecFile(kind, path, flags);
      return kind === 'sim' ? readScenario(given, source) : readSpec(given, source);
    }).replace(`${folder}/`, '');
  };
  const scenario = ['name: x', 'seeds: [1]'];
  for (const [lines, wanted] of [
    [['settings:', '  round: 3'], /^x\.yaml:4: settings\.round: no such setting; did you mean rounds\?/],
    [['settings: { seeds 1..x }'], /^x\.yaml:3: settings\.seeds 1\.\.x: no such setting/],
    [['points:', '  - {}', '  - { los: 0 }'], /^x\.yaml:5: points\[1\]\.los: no such field.*did you mean loss/],
    [['vary:', '  peers: [4]', '  shedule: [ring]'], /^x\.yaml:5: vary\.shedule: .*did you mean schedule/],
    [
      ['partition:', '  fromMs: 1', '  untilMs: 2', '  share: 0.5', '  oneWays: true'],
      /^x\.yaml:7: partition\.oneWays/,
    ],
    [['devices:', '  - { name: a, share: 1, stepMs: [1, 2], ms: 3 }'], /^x\.yaml:4: devices\[0\]\.ms: no such field/],
    [['latencyMs: { median: 4, sigma: 1, mu: 2 }'], /^x\.yaml:3: latencyMs\.mu: no such field/],
    [['learning:', '  peers: 4'], /^x\.yaml:4: learning\.peers: no such field of an experiment's file here/],
    [['settings:', '  degree: 3'], /^x\.yaml:4: settings\.degree: got 3; wanted an even number/],
    [['points:', '  - { degree: 4 }', '  - { degree: 3 }'], /^x\.yaml:5: points\[1\]\.degree: got 3/],
    [['partition: { fromMs: 9, untilMs: 2, share: 0.5 }'], /^x\.yaml:3: partition: .*not before its fromMs/],
    [['peers: 4', 'joiners: 4'], /^x\.yaml:4: joiners: got 4 of 4 peers/],
  ] as const)
    assert.match(told('sim', [...scenario, ...lines]), wanted);
  const experiment = [...scenario, 'methods: [lp-fl]'];
  for (const [lines, wanted] of [
    [['overrides:', '  lp-fl:', '    learningrate: 1'], /^x\.yaml:6: overrides\.lp-fl\.learningrate: .*learningRate\?/],
    [['points:', '  - goldPerClas: 4'], /^x\.yaml:5: points\[0\]\.goldPerClas: .*goldPerClass\?/],
    [['roster: true'], /^x\.yaml:4: roster: no such field/],
  ] as const)
    assert.match(told('experiment', [...experiment, ...lines]), wanted);
  assert.match(
    told('sim', [...scenario, 'peers: 4'], { set: ['settings.rond=3', 'peers=0'] }),
    /^x\.yaml, --set 'settings\.rond=3': settings\.rond: no such setting.*\(and 1 more\)$|^x\.yaml, --set 'peers=0': peers: got 0/,
  );
  assert.match(told('sim', scenario, { seeds: '1..x' }), /^--seeds: got "1\.\.x"; wanted first\.\.last/);
  assert.match(told('sim', scenario, { seeds: '4,4' }), /^x\.yaml, --seeds 4,4: seeds\[1\]: 4 stands twice/);
});

test('a file that is too long, too deep, or within itself is refused in one short line, at once', () => {
  const path = join(temporaryFolder(), 'x.yaml');
  const told = (text: string, flags = {}): string => {
    writeFileSync(path, text);
    const message = messageOfCall(() => readSpecFile('sim', path, flags)).replace(path, 'x.yaml');
    assert.ok(message.length < 400 && !message.includes('\n'), message);
    return message;
  };
  const deep = /^x\.yaml: is nested deeper than 50 levels, or within itself; wanted a YAML file/;
  assert.match(told(`a: ${'['.repeat(5000)}${']'.repeat(5000)}`), deep);
  assert.match(told(`a:\n  ${'- '.repeat(5000)}1`), deep);
  assert.match(told(`a: ${'['.repeat(50)}${']'.repeat(50)}`), deep);
  assert.is(told(`a: ${'['.repeat(49)}${']'.repeat(49)}`), 'none');
  assert.match(told('a: &a [*a]'), deep);
  assert.match(told('a: &a { b: 1, c: *a }'), deep);
  const laughs = Array.from({ length: 9 }, (_, i) => `x${i + 1}: &x${i + 1} [${`*x${i}, `.repeat(9)}]`);
  assert.match(told(['x0: &x0 [1]', ...laughs].join('\n')), /^x\.yaml: Excessive alias count/);
  assert.match(told(`a: ${'x'.repeat(200_000)}`), /^x\.yaml: cannot be read \(it is longer than 128 kB/);
  assert.match(told(`a: ${'!'.repeat(20_000)}`), /^x\.yaml:1: got "a: !/);
  for (const set of ['a=&a [*a]', `a=${'['.repeat(5000)}`, `a=${'!'.repeat(5000)}`])
    assert.match(told('a: 1', { set: [set] }), /^--set: got "a=.*its value is not YAML/);
});

test('a flag changes a field in one place, also where an alias stands there', () => {
  const path = join(temporaryFolder(), 'x.yaml');
  writeFileSync(path, 'overrides:\n  alone: &same { rank: 4 }\n  pooled: *same\n');
  const { given } = readSpecFile('experiment', path, { set: ['overrides.alone.rank=2'] });
  assert.equal(given.overrides, { alone: { rank: 2 }, pooled: { rank: 4 } });
});

test('a demo over edges refuses those of peers it does not have, before it begins', async () => {
  const flags = { peers: '3', gold: '1', device: 'auto', threads: '1' };
  const told = (edges: string) => demo(flags, { schedule: 'edges', edges }).then(() => 'none', String);
  assert.match(await told('1-2,2-3'), /UserError: --edges: edge 2-3: there is no peer 3.*begin with 1/);
  assert.match(await told('0-1'), /UserError: --edges: the graph is in 2 parts .*in no edge: 2/);
});

test.run();
