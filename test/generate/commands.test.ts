/** @file generate, chat, serve and predict as a user meets them; and how sure a classifier is. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { calibrate, probabilitiesOf } from '../../node/generate/calibration.ts';
import { openClassifier } from '../../node/generate/classifier.ts';
import { createStopFilter } from '../../node/generate/stops.ts';
import { createPrng } from '../../protocol/prng.ts';
import { said, startIn } from '../processes.ts';
import { ROOT, temporaryFolder } from '../support.ts';
import { writingModel } from './parts/model.ts';

process.env.LORIKEET_CACHE = temporaryFolder();

const folder = temporaryFolder();
const model = writingModel();
const start = (...args: string[]) => startIn(folder, args);
const MODEL = ['--base', model, '--threads', '1'];

test('generate writes on, the same each time, with an adapter something else; --json tells more', async () => {
  const [plain, json, adapted] = await Promise.all([
    start('generate', ...MODEL, '--max-tokens', '20', 'Once upon').done,
    start('generate', ...MODEL, '--max-tokens', '20', '--json', 'Once upon').done,
    start('generate', ...MODEL, '--max-tokens', '20', '--adapter', join(model, 'adapter-trained'), 'Once upon').done,
  ]);
  assert.is(plain.code, 0, plain.err);
  const { text, tokens, prompt } = JSON.parse(json.out);
  assert.is(plain.out, `${text}\n`);
  assert.is(prompt, 'Once upon');
  assert.ok(tokens > 0 && tokens <= 20);
  assert.is(adapted.code, 0, adapted.err);
  assert.is.not(adapted.out, plain.out);
});

const MISTAKES: readonly [args: string[], code: number, message: RegExp][] = [
  [['generate', 'a'], 2, /no model: wanted --base MODEL, or --adapter DIR/],
  [['generate', '--base', 'lorikeet-mini', 'a'], 3, /lorikeet-mini: fills blanks.*wanted a causal model/],
  [['generate', ...MODEL, '--temperature', 'hot', 'a'], 2, /--temperature: got "hot"; wanted a number from 0 to 10/],
  [['generate', ...MODEL, 'a', 'b'], 2, /too many arguments/],
  [['generate', ...MODEL, 'x'.repeat(64)], 2, /prompt: 64 tokens; wanted 1 to 63/],
  [['chat', '--base', writingModel({ hasTemplate: false })], 3, /has no chat template/],
  [['predict'], 2, /predict: wanted texts, or --data FILE/],
];
for (const [args, code, message] of MISTAKES)
  test(`lorikeet ${args.join(' ').slice(0, 60)} says what is wrong in one line and exits ${code}`, async () => {
    const result = await start(...args).done;
    assert.is(result.code, code, result.err);
    assert.match(result.err, message);
    assert.is(result.err.trim().split('\n').length, 1, result.err);
    assert.is(result.out, '');
  });

test('chat answers line by line, forgets the oldest turns where there is no room, and ends with its input', async () => {
  const main = join(ROOT, 'dist', 'node', 'main.js');
  const args = ['chat', ...MODEL, '--temperature', '0', '--max-tokens', '4', '--system', 'S'];
  const child = spawn(process.execPath, [main, ...args], { cwd: folder, stdio: 'pipe' });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  // A turn is about twenty-five tokens, and the model holds 64.
  child.stdin.end('Hi\n\nWhat now\n');
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.is(code, 0, err);
  assert.is(out.split('\n').length - 1, 2, out);
  assert.match(err, /the first turn is forgotten: the model holds 64 tokens/);
});

test('serve answers until Ctrl-C; of a masked model it serves classes alone', async () => {
  const serving = start('serve', '--base', 'lorikeet-mini', '--port', '0', '--threads', '1');
  const [, url] = await said(serving, /(http:\/\/127\.0\.0\.1:\d+) answers at \/classify;/);
  const headers = { 'content-type': 'application/json' };
  const post = (path: string, body: unknown): Promise<Response> =>
    fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const refused = await post('/v1/completions', { prompt: 'a' });
  assert.is(refused.status, 400);
  assert.match(await refused.text(), /lorikeet-mini: fills blanks/);
  const { data } = (await (await post('/classify', { input: 'a great film' })).json()) as { data: { label: string }[] };
  assert.is(data[0]?.label, 'positive');
  serving.child.kill('SIGINT');
  const { code, err } = await serving.done;
  assert.is(code, 0, err);
});

test('predict names label, confidence and runners-up, of texts and of a file', async () => {
  writeFileSync(join(folder, 'new.csv'), 'text\nwhat a great film\nit was terrible and boring\n');
  const labels = 'negative=terrible,positive=great,middling=okay';
  const [one, many] = await Promise.all([
    start('predict', '--labels', labels, 'what a great film').done,
    start('predict', '--labels', labels, '--data', 'new.csv', '--json').done,
  ]);
  assert.is(one.code, 0, one.err);
  assert.match(one.out, /^positive {2}\d+\.\d % {2}\w+ \d+\.\d %, \w+ \d+\.\d % {2}what a great film\n$/);
  assert.match(one.err, /uncalibrated/);
  const lines = many.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(
    lines.map(({ label }) => label),
    ['positive', 'negative'],
  );
  assert.is(lines[0].confidence, lines[0].classes.positive);
  assert.is(lines[0].calibrated, false);
});

test('a temperature makes a model as sure as it is right, and leaves its choices', async () => {
  // Classes drawn as often as the softmax of half the logits says: the temperature is 2.
  const { random, normal } = createPrng('calibration');
  const logits = Array.from({ length: 5000 }, () => [3 * normal(), 3 * normal(), 3 * normal()]);
  const y = logits.map((row) => {
    const [a, b] = probabilitiesOf(row, 2) as [number, number];
    const share = random();
    return share < a ? 0 : share < a + b ? 1 : 2;
  });
  const temperature = calibrate(logits, y);
  assert.ok(Math.abs(temperature - 2) < 0.1, `${temperature}`);
  // All right, or all wrong: an end of what is looked at, no NaN.
  for (const wrong of [0, 1]) assert.ok(Number.isFinite(calibrate([[5, 0]], [wrong])));
});

test('a classifier is calibrated on fifty texts, and refuses fewer', async () => {
  const classifier = await openClassifier({ adapter: null, given: {}, device: 'cpu', threads: 1 });
  const example = (i: number) => ({ text: `a ${i % 2 ? 'great' : 'boring'} film ${i}`, y: i % 4 === 3 ? 0 : i % 2 });
  const examples = Array.from({ length: 50 }, (_, i) => example(i));
  await classifier.calibrate(examples.slice(1)).then(
    () => assert.unreachable(),
    (error) => assert.match(String(error), /49 labelled texts to calibrate with; wanted at least 50/),
  );
  const [before] = await classifier.classify(['a great film']);
  assert.is(classifier.temperature, null);
  await classifier.calibrate(examples);
  const [after] = await classifier.classify(['a great film']);
  assert.is(after!.label, before!.label);
  assert.not.equal(after!.probabilities, before!.probabilities);
  assert.ok(classifier.temperature! > 0);
  await classifier.stop();
});

test('what may be the beginning of a stop is held back until it is not', () => {
  const filter = createStopFilter(['END', 'Ex']);
  assert.equal(
    ['aE', 'N', 'b', 'cE', 'ND', 'more'].map((text) => filter.push(text)),
    ['a', '', 'ENb', 'c', '', ''],
  );
  assert.ok(filter.isStopped);
  const open = createStopFilter(['END']);
  assert.is(open.push('aEN') + open.end(), 'aEN');
  assert.not.ok(open.isStopped);
  assert.is(createStopFilter([]).push('all'), 'all');
});

test.run();
