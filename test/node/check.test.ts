/** @file `lorikeet check`: what it says of texts, what it refuses; and samples that do not hang on the order of rows. */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { labelData, openData } from '../../node/texts/data.ts';
import { priorTexts } from '../../node/texts/sample.ts';
import { leftOutLine } from '../../node/train/inspect.ts';
import { ROOT, temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
function file(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}
function check(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'dist/node/main.js'), 'check', ...args], {
    encoding: 'utf8',
    cwd: folder,
  });
  return { status, stdout, stderr };
}

test('a check says what was read, what repeats, what is cut, and what the model sees', () => {
  const long = 'a slow film '.repeat(60);
  const path = file('a.csv', `Review;Sentiment\na fine film;1.0\na fine film;0.0\n${long};1.0\nopen;\n`);
  const { status, stdout } = check('--data', path, '--json');
  assert.is(status, 0);
  const found = JSON.parse(stdout);
  assert.is(found.rows, 4);
  assert.equal(
    found.classes.map((c: { name: string; count: number }) => [c.name, c.count]),
    [
      ['negative', 1],
      ['positive', 2],
    ],
  );
  assert.is(found.unlabelled, 1);
  assert.is(found.cut, 1);
  assert.is(found.duplicates, 1);
  assert.is(found.contradictions, 1);
  assert.equal(found.columns, { text: 'Review', label: 'Sentiment', others: [] });
  assert.is(found.sample, '[CLS] a fine film it was [MASK] . [SEP]');
  const words = check('--data', path);
  assert.match(words.stdout, /"1\.0" means positive \(2\)/);
  assert.match(words.stdout, /1 text repeated, 1 of them under several classes/);
  assert.not(existsSync(join(folder, 'a.lorikeet')));
});

test('texts that differ by capitals and spaces only repeat, and all that is not read is counted', () => {
  const others = Array.from({ length: 9 }, (_, i) => `c${i}`).join();
  const path = file('same.csv', `,text,label,${others}\n1,A  film,1${','.repeat(9)}\n2,a film ,0${','.repeat(9)}\n`);
  const { stdout } = check('--data', path);
  assert.match(stdout, /1 text repeated, 1 of them under several classes/);
  assert.match(stdout, /not read: \(no name\), c0, .*c6, \.\.\./);
});

test('what is not scored is said, with the rows that are bad', () => {
  const task = { classes: ['negative', 'positive'] };
  const read = (content: string) => {
    const data = openData(file('score.tsv', `text\tlabel\n${content}`));
    return leftOutLine(data, labelData(data, task, { skipBadRows: true }));
  };
  assert.is(read('a\t1\nb\t0\n'), null);
  assert.match(
    String(read('a\t1\nb\t\nc\tmaybe\n')),
    /score\.tsv: 1 text to score; left out: 1 without a label, 1 bad row \(line 4: label "maybe" is no class\)/,
  );
});

test('in a folder that is gone one line says so', () => {
  const gone = join(folder, 'gone');
  const main = join(ROOT, 'dist/node/main.js');
  const line = 'mkdir "$1" && cd "$1" && rmdir "$1" && exec "$2" "$3" check --data "$4"';
  const args = ['-c', line, '-', gone, process.execPath, main, file('here.tsv', 'text\na\n')];
  const { status, stderr } = spawnSync('sh', args, { encoding: 'utf8' });
  assert.is(status, 5, stderr);
  assert.match(stderr, /^lorikeet: the current folder is gone .*\n$/);
});

test('one class only is said', () => {
  const { stdout } = check('--data', file('one.tsv', 'text\tlabel\na good one\tpositive\nanother\tpositive\n'));
  assert.match(stdout, /every label is positive/);
});

test('texts the base hardly knows need to be meant', () => {
  const path = file('far.tsv', 'text\nЗдравствуйте дорогие друзья\n');
  const refused = check('--data', path);
  assert.is(refused.status, 2);
  assert.match(refused.stderr, /100 % of the tokens are unknown to this base.*--anyway/);
  assert.is(check('--data', path, '--anyway').status, 0);
});

test('words of several tokens are named, with near ones of the vocabulary', () => {
  const path = file('w.tsv', 'text\tlabel\na good one\ta\n');
  const { status, stdout } = check('--data', path, '--labels', 'a=wonderfulness,b=horribleness');
  assert.is(status, 0);
  assert.match(stdout, /"wonderfulness" is 2 tokens of this base's vocabulary \(near it: wonderful/);
  assert.match(stdout, /words: a=wonderfulness \(tokens \d+ \d+\), b=/);
  assert.match(stdout, /"horribleness" is 2 tokens of this base's vocabulary \(near it: horrible/);
});

test('the sample for the label prior is the same in any order, drawn from all rows, as many of each class', () => {
  const items = Array.from({ length: 900 }, (_, i) => ({ text: `text ${i}`, y: i < 600 ? 1 : 0 }));
  const drawn = priorTexts(items, 2, '1');
  assert.is(drawn.length, 200);
  assert.equal(priorTexts([...items].reverse(), 2, '1'), drawn);
  const place = (text: string): number => Number(text.split(' ')[1]);
  assert.is(drawn.filter((text) => place(text) < 600).length, 100);
  assert.ok(drawn.some((text) => place(text) > 850) && drawn.some((text) => place(text) > 500 && place(text) < 600));
  assert.not.equal(priorTexts(items, 2, '2'), drawn);
});

test('of many more texts than are drawn the same are drawn in any order', () => {
  const items = Array.from({ length: 30_000 }, (_, i) => ({ text: `text ${i}`, y: null }));
  const drawn = priorTexts(items, 2, '1');
  assert.equal([drawn.length, new Set(drawn).size], [200, 200]);
  assert.equal(priorTexts([...items].reverse(), 2, '1'), drawn);
});

test('few labels among many texts do not make the sample', () => {
  const items = Array.from({ length: 1000 }, (_, i) => ({ text: `text ${i}`, y: i < 40 ? i % 2 : null }));
  const drawn = priorTexts(items, 2, '1');
  assert.is(drawn.length, 200);
  assert.ok(drawn.filter((text) => Number(text.split(' ')[1]) < 40).length < 40);
});

test.run();
