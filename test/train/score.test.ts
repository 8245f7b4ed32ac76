/** @file What a model gets right, class by class: by hand-made counts, and nothing made of nothing. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  accuracyOf,
  averageOf,
  classCounts,
  confusionOf,
  isUneven,
  majorityShare,
  sumConfusions,
} from '../../node/train/score.ts';

test('accuracy and balanced accuracy are those of the counts', () => {
  // Nine of one class, all met; one of the other, missed.
  const truth = [...new Array(9).fill(0), 1].map((y) => ({ y }));
  const { confusion, correct, count, share, balanced } = accuracyOf(confusionOf(truth, new Array(10).fill(0), 2));
  assert.equal(confusion, [
    [9, 0],
    [1, 0],
  ]);
  assert.equal([correct, count, share, balanced], [9, 10, 0.9, 0.5]);
});

test('a class that does not occur takes no part in balanced accuracy', () => {
  const { share, balanced } = accuracyOf(confusionOf([{ y: 0 }, { y: 2 }], [0, 1], 3));
  assert.equal([share, balanced], [0.5, 0.5]);
});

test('nothing scored is no number', () => {
  const { share, balanced, count } = accuracyOf(confusionOf([], [], 2));
  assert.equal([share, balanced, count], [null, null, 0]);
  assert.equal([averageOf([]), majorityShare([0, 0]), averageOf([1, 3]), majorityShare([1, 3])], [null, null, 2, 0.75]);
});

test('classes are uneven where one is far more frequent than another, or missing', () => {
  assert.equal(
    [
      [50, 50],
      [52, 48],
      [60, 40],
      [10, 0],
      [0, 0],
    ].map(isUneven),
    [false, false, true, true, false],
  );
});

test('tables add up cell by cell', () => {
  const sum = sumConfusions([
    [
      [1, 2],
      [3, 4],
    ],
    [
      [10, 0],
      [0, 10],
    ],
  ]);
  assert.equal(sum, [
    [11, 2],
    [3, 14],
  ]);
  assert.equal(classCounts(sum), [13, 17]);
});

test.run();
