/** @file The scripts' command lines: every one shows its help, and refuses what it does not know in one line. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseArguments, type Usage, wholeNumber } from '../../scripts/arguments.ts';
import { ROOT } from '../support.ts';

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function run(script: string, ...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [join(ROOT, 'dist', 'scripts', `${script}.js`), ...args]);
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

/** The scripts that package.json runs by name. */
const SCRIPTS = [
  ...new Set(
    [...readFileSync(join(ROOT, 'package.json'), 'utf8').matchAll(/node dist\/scripts\/(\w+)\.js/g)].map((m) => m[1]!),
  ),
];

const ofEach = (flag: string): Promise<[string, Ended][]> =>
  Promise.all(SCRIPTS.map(async (script) => [script, await run(script, flag)]));

test('every script of the package answers --help within 110 columns and does nothing else', async () => {
  assert.ok(SCRIPTS.length >= 7, SCRIPTS.join());
  for (const [script, { code, out, err }] of await ofEach('--help')) {
    assert.equal([code, err], [0, ''], script);
    assert.ok(out.startsWith(`npm run ${script} --`), out);
    assert.equal(
      out.split('\n').filter((line) => line.length > 110),
      [],
    );
  }
});

test('every script refuses an option it does not know in one line, exit code 2', async () => {
  for (const [script, { code, out, err }] of await ofEach('--nonsense')) {
    assert.equal([code, out], [2, ''], script);
    assert.is(err, `${script}: unknown option --nonsense; see npm run ${script} -- --help\n`);
  }
});

test('values out of bounds, and names no bench or case has, are refused in one line', async () => {
  const mistakes: readonly [args: [string, ...string[]], message: RegExp][] = [
    [['fuzz', '--seeds', 'x'], /--seeds/],
    [['chaos', '--times', '0'], /--times/],
    [['bench', 'stpe'], /got stpe; wanted one of step, /],
    [['bench', 'swarm', '--peers', 'two'], /--peers: got "two"; wanted a whole number/],
    [['bench', 'step', '--peers', '3'], /--peers belongs to swarm/],
    [['bench', 'constructor'], /got constructor; wanted/],
    [['conformance', 'nowhere'], /nowhere: holds no case\.json/],
    [['pretrain', '--out', 'x'], /--text is missing/],
  ];
  for (const [args, message] of mistakes) {
    const { code, out, err } = await run(...args);
    assert.equal([code, out], [2, ''], err);
    assert.match(err, message);
    assert.is(err.trim().split('\n').length, 1, err);
  }
});

const USAGE: Usage = {
  name: 'toy',
  about: 'A toy.',
  options: { seeds: { value: 'N', about: 'how many' }, text: { value: 'FILE', about: 'texts', multiple: true } },
  examples: [''],
};

test('an option that is nearly right is suggested', () => {
  assert.throws(() => parseArguments(USAGE, ['--sedes', '1']), /unknown option --sedes; did you mean --seeds\?/);
  assert.throws(() => parseArguments(USAGE, ['--seeds']), /seeds/);
  assert.throws(() => parseArguments(USAGE, ['more']), /unknown argument "more"/);
});

test('options are read by name, and those that may be given again as a list', () => {
  const given = parseArguments(USAGE, ['--seeds=4', '--text', 'a', '--text', 'b']);
  assert.equal([given.values.seeds, given.values.text], ['4', ['a', 'b']]);
  assert.is(wholeNumber(given, 'seeds', 1, 1, 5), 4);
  assert.throws(() => wholeNumber(given, 'seeds', 1, 1, 3), /wanted a whole number from 1 to 3/);
});

test.run();
