/** @file Tables of accuracies: plain where classes are even, class by class where they are not, and - where nothing was scored. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hasPrior, majorityRow, scoreLines } from '../../node/commands/scores.ts';
import { accuracyOf, tokenLossOf } from '../../node/train/score.ts';

const CLASSES = ['negative', 'positive'];
const rows = (confusion: number[][]) => [{ name: 'swarm', score: accuracyOf(confusion) }];
const even = [
  [40, 10],
  [20, 30],
];
const uneven = [
  [1, 9],
  [0, 90],
];

test('of even classes the accuracy alone is told', () => {
  assert.equal(scoreLines('100 texts', rows(even), CLASSES), [
    'accuracy on 100 texts',
    'swarm                  70.0 %',
  ]);
});

test('of uneven classes also balanced accuracy, the majority class and what the texts of each class were called', () => {
  const lines = scoreLines('100 texts', rows(uneven), CLASSES).map((line) => line.split(/ {2,}/));
  assert.equal(lines, [
    ['100 texts', 'accuracy', 'balanced'],
    ['swarm', '91.0 %', '55.0 %'],
    ['always "positive", the majority class', '90.0 %', '50.0 %'],
    [''],
    ['swarm: texts of class', 'called negative', 'called positive'],
    ['negative (10)', '1', '9'],
    ['positive (90)', '0', '90'],
  ]);
});

test('a class without texts is named, not scored', () => {
  const one = [
    [0, 0],
    [1, 3],
  ];
  const lines = scoreLines('4 texts', rows(one), CLASSES);
  assert.match(lines.join('\n'), /swarm +75\.0 % +75\.0 %/);
  assert.is(lines.at(-1), 'no text is of class negative: nothing is said of it');
  assert.equal(majorityRow([0, 4], CLASSES), ['always "positive", the majority class', '100.0 %', '100.0 %']);
});

test('what was not trained has no figure', () => {
  const lines = scoreLines('100 texts', [{ name: 'alone', score: null }, ...rows(even)], CLASSES);
  assert.match(lines[1]!, /^alone +-$/);
});

test('of writing the loss and the perplexity are told', () => {
  const rows = [
    { name: 'base', score: tokenLossOf([[-2, -2], [-2]]) },
    { name: 'alone', score: null },
    { name: 'swarm', score: tokenLossOf([Float32Array.of(-1, -0.5), [0]]) },
  ];
  const lines = scoreLines('2 texts', rows, []).map((line) => line.split(/ {2,}/));
  assert.equal(lines, [
    ['next tokens of 2 texts', 'loss a token', 'perplexity'],
    ['base', '2.0000', '7.39'],
    ['alone', '-', '-'],
    ['swarm', '0.5000', '1.65'],
  ]);
  assert.is(tokenLossOf([]).loss, null);
});

test('a prior is said to be removed only where there is one', () => {
  assert.equal(
    ['', 'off', '1.5,2.5'].map((labelPrior) => hasPrior({ labelPrior })),
    [false, false, true],
  );
});

test.run();
