/** @file The programs in docs/examples: they are type-checked against the package's own types, and do what they say. */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createSwarm } from '../../node/index.ts';
import { ROOT, temporaryFolder } from '../support.ts';

const run = promisify(execFile);
const EXAMPLES = join(ROOT, 'docs', 'examples');
const BUILT = join(ROOT, 'dist', 'examples');
const folder = temporaryFolder();

/** What each prints, as a whole; joining is tried apart, since somebody has to be there. */
const PRINTED: Readonly<Record<string, RegExp>> = {
  aggregator: /^own-halfway: 4 rounds, 4 mixed$/,
  codec: /^own-bfloat16: 4 mixed, \d{6} bytes sent$/,
  trainer: /^anna 0\.200, bert 0\.200$/,
  transport: /^4 rounds without a socket, 4 mixed$/,
  'two-peers': /^(round \d: mixed with 1\n){5}positive, 0\.\d\d \/ 0\.\d\d\nbase 1\nalone 1\nswarm 1$/,
  watching: /"type":"joined".*"type":"trained","round":0.*"type":"mixed","round":0.*"type":"finished","round":4\}$/s,
};

const example = async (name: string, ...args: string[]): Promise<string> => {
  const { stdout, stderr } = await run(process.execPath, [join(BUILT, `${name}.js`), ...args], { cwd: folder });
  assert.is(stderr, '');
  return stdout.trim();
};

test('every example is type-checked, built and tried here', () => {
  const names = readdirSync(EXAMPLES).filter((name) => name.endsWith('.ts'));
  assert.equal(names.map((name) => name.replace(/\.ts$/, '')).sort(), [...Object.keys(PRINTED), 'joining'].sort());
  mkdirSync(BUILT, { recursive: true });
  execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', EXAMPLES], { cwd: ROOT });
  for (const name of names) assert.ok(existsSync(join(BUILT, name.replace(/\.ts$/, '.js'))), name);
});

for (const [name, printed] of Object.entries(PRINTED))
  test(`the example ${name} prints what it promises`, async () => {
    assert.match(await example(name), printed);
  });

test('the first example leaves an adapter in PEFT format', () => {
  assert.ok(existsSync(join(folder, 'adapter', 'adapter_model.safetensors')));
});

test('the example that joins takes part and leaves its adapter in its state', async () => {
  const rows = [
    { text: 'a warm and funny film', label: 'positive' },
    { text: 'dull from start to end', label: 'negative' },
  ];
  writeFileSync(join(folder, 'mine.csv'), 'text,label\na joy to watch,positive\nboring and far too long,negative\n');
  await using host = await createSwarm({ data: rows, settings: { rounds: 1, localSteps: 1 } });
  const said = await example('joining', host.invite(), 'mine.csv', 'mine');
  assert.match(said, new RegExp(`^peer \\S+ of run ${host.runId}, 2 labelled texts\nover after 3 rounds$`));
  assert.ok(existsSync(join(folder, 'mine', 'adapter', 'adapter_config.json')));
});

test.run();
