/** @file Options from flags, LORIKEET_*, files and defaults: which one holds, where each comes from, and what is refused where. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MACHINE, startIn, writeTexts } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const all = temporaryFolder();

/** A folder with texts, and the files of a project and of a user. */
function place(files: { project?: string; user?: string; config?: string }): {
  run: (args: readonly string[], env?: NodeJS.ProcessEnv) => ReturnType<typeof startIn>['done'];
  userFile: string;
} {
  const folder = mkdtempSync(join(all, 'x'));
  const userFile = join(folder, 'home', 'lorikeet', 'config.yaml');
  mkdirSync(join(folder, 'home', 'lorikeet'), { recursive: true });
  writeTexts(folder, 'a.tsv', ['a great film', 'what a bad meal', 'a fine song', 'an awful book']);
  if (files.user !== undefined) writeFileSync(userFile, files.user);
  if (files.project !== undefined) writeFileSync(join(folder, 'lorikeet.yaml'), files.project);
  if (files.config !== undefined) writeFileSync(join(folder, 'run.yaml'), files.config);
  const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
    startIn(folder, args, { XDG_CONFIG_HOME: join(folder, 'home'), ...env }).done;
  return { run, userFile };
}

interface Option {
  readonly name: string;
  readonly value: unknown;
  readonly origin: string;
}
const optionsOf = (out: string): Map<string, Option> =>
  new Map((JSON.parse(out).options as Option[]).map((option) => [option.name, option]));

test('LORIKEET_* wins over --config, that over the project, that over the user, that over defaults; each says its place', async () => {
  const layers = ['rounds: 1', 'degree: 2', 'localSteps: 3', 'batchSize: 4'];
  const { run, userFile } = place({
    user: layers.map((line) => line.replace(/\d/, '40')).join('\n'),
    project: layers
      .slice(0, 3)
      .map((line) => line.replace(/\d/, '30'))
      .join('\n'),
    config: `open: true\n${layers.slice(0, 2).join('\n')}\n`,
  });
  const { code, out, err } = await run(['config', 'show', '--json', '--config', 'run.yaml'], { LORIKEET_ROUNDS: '7' });
  assert.is(code, 0, err);
  const options = optionsOf(out);
  for (const [name, value, origin] of [
    ['rounds', '7', 'LORIKEET_ROUNDS'],
    ['degree', '2', 'run.yaml:3'],
    ['open', true, 'run.yaml:1'],
    ['localSteps', '30', 'lorikeet.yaml:3'],
    ['batchSize', '40', `${userFile}:4`],
    ['codec', 'int8', 'default'],
    ['device', 'auto', 'default'],
  ] as const)
    assert.equal(options.get(name), { name, value, origin });
  const human = (await run(['config', 'show', '--origins'])).out;
  assert.match(human, /^localSteps: 30 +lorikeet\.yaml:3$/m);
  assert.match(human, /^codec: int8 +default$/m);
});

test('a run goes by all of them, and a flag wins', async () => {
  const { run } = place({
    user: 'minPeers: 1\nrounds: 50\nlocalSteps: 1',
    project: 'data: a.tsv\ndevice: cpu\nthreads: 1\nclosingRounds: 50',
  });
  const { code, out, err } = await run(['up', '--rounds', '2', '--json'], { LORIKEET_CLOSING_ROUNDS: '1' });
  assert.is(code, 0, err);
  assert.is(JSON.parse(out).rounds, 3);
});

test('a run that has begun keeps its settings, whatever files say by now; a flag that asks for others is refused', async () => {
  const { run } = place({ user: 'rounds: 50\nbase: nowhere\nserve: false' });
  const up = ['up', '--data', 'a.tsv', '--min-peers', '1', '--local-steps', '1', ...MACHINE];
  const begun = await run([...up, '--rounds', '1'], { XDG_CONFIG_HOME: '/nowhere' });
  assert.is(begun.code, 0, begun.err);
  const again = await run(up);
  assert.is(again.code, 3);
  assert.match(again.err, /run \w+ is over/);
  const other = await run([...up, '--rank', '4']);
  assert.match(other.err, /is over|settings are others/);
});

test('join takes of files what is its own, and never the base', async () => {
  const { run } = place({ user: 'rounds: 50\nbase: nowhere\nwait: 7\nlocalRank: 4' });
  const { out, err } = await run(['config', 'show', 'join', '--json'], { LORIKEET_BASE: 'elsewhere' });
  const options = optionsOf(out);
  assert.is(options.get('wait')?.value, '7', err);
  assert.is(options.get('localRank')?.value, '4');
  assert.is(options.get('base')?.origin, 'default');
  assert.is(options.get('rounds'), undefined, 'the run decides');
});

test('what is wrong in a file or a variable is refused in one line that says where', async () => {
  for (const [files, env, wanted] of [
    [{ project: 'rounds: 3\nseeds: [1]' }, {}, /lorikeet\.yaml:2: seeds: no such setting; did you mean seed\?$/],
    [{ project: 'min-peers: 3' }, {}, /lorikeet\.yaml:1: min-peers: no such setting; did you mean minPeers\?$/],
    [{ user: 'config: x.yaml' }, {}, /config\.yaml:1: config: no such setting/],
    [{ config: 'rounds: 3\n\ndegree: 5' }, {}, /run\.yaml:3: degree: got 5; wanted an even number/],
    [{ config: 'rounds: many' }, {}, /run\.yaml:1: rounds: got "many"; wanted an integer from 1/],
    [{ project: 'open: maybe' }, {}, /lorikeet\.yaml:1: open: got "maybe"; wanted true or false/],
    [{ project: 'port: high' }, {}, /lorikeet\.yaml:1: port: got "high"; wanted an integer from 0 to 65535/],
    [{ project: 'open: [' }, {}, /lorikeet\.yaml:1: got .*which is no YAML/],
    [{}, { LORIKEET_CODEC: 'f8' }, /LORIKEET_CODEC: codec: got "f8"; wanted f32/],
    [{}, { LORIKEET_OPEN: 'maybe' }, /LORIKEET_OPEN: got "maybe"; wanted true or false/],
    [{}, { LORIKEET_HOST: 'localhost' }, /LORIKEET_HOST: host: got "localhost"; wanted an IP address/],
    [{}, { LORIKEET_CONFIG: 'missing.yaml' }, /missing\.yaml: cannot be read/],
  ] as const) {
    const config = 'config' in files ? ['--config', 'run.yaml'] : [];
    const { code, out, err } = await place(files).run(['up', '--data', 'a.tsv', ...config, ...MACHINE], env);
    assert.equal([code, out], [2, ''], err);
    const lines = err.trim().split('\n');
    if (/^lorikeet\.yaml says \w+$/.test(lines[0]!)) lines.shift(); // what it says is told before it is tried
    assert.is(lines.length, 1, err);
    assert.match(lines[0]!, wanted);
  }
});

test('a file that is broken does not keep help from being read', async () => {
  const { code } = await place({ project: 'open: [' }).run(['up', '--help']);
  assert.is(code, 0);
});

test('config show names what it can show', async () => {
  const { code, err } = await place({}).run(['config', 'show', 'jion']);
  assert.is(code, 2);
  assert.match(err, /config show: got "jion"; wanted up, join, demo; did you mean join\?/);
});

test.run();
