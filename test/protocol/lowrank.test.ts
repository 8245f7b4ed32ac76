/** @file Averaging products of LoRA factors: QR, singular values, and the mixing built on them, against dense arithmetic. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Columns, productSvd, qr, svd } from '../../protocol/lowrank.ts';
import { type FactorPair, mixAs, sumProducts } from '../../protocol/mixing.ts';
import { createPrng, type Prng } from '../../protocol/prng.ts';
import { distance, mean, norm } from '../../protocol/vector.ts';
import { settingsWith, sourceOf } from '../support.ts';

const SEED = process.env.SEED ?? '1';
const REPLAY = `replay with SEED=${SEED} npm test -- lowrank`;

const draw = (prng: Prng, rows: number, columns: number): Columns => ({
  rows,
  columns: Array.from({ length: columns }, () => Float64Array.from({ length: rows }, prng.normal)),
});
const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, x, i) => sum + x * b[i]!, 0);

test('QR: orthonormal columns, as many as the rank, that give the matrix back', () => {
  for (let trial = 0; trial < 20; trial++) {
    const prng = createPrng(SEED).fork('qr').fork(trial);
    const [rows, count] = [2 + prng.below(12), 1 + prng.below(8)];
    const free = draw(prng, rows, count);
    // Columns again, and one of zeros: the rank stays.
    const x = { rows, columns: [...free.columns, ...free.columns, new Float64Array(rows)] };
    const { q, r } = qr(x);
    assert.is(q.columns.length, Math.min(rows, count), REPLAY);
    q.columns.forEach((a, i) => {
      q.columns.forEach((b, j) => {
        assert.ok(Math.abs(dot(a, b) - (i === j ? 1 : 0)) < 1e-12, REPLAY);
      });
    });
    x.columns.forEach((column, k) => {
      column.forEach((value, i) => {
        const back = q.columns.reduce((sum, direction, j) => sum + direction[i]! * r.columns[k]![j]!, 0);
        assert.ok(Math.abs(back - value) < 1e-12, REPLAY);
      });
    });
  }
});

test('singular values: those a matrix was built from', () => {
  for (let trial = 0; trial < 20; trial++) {
    const prng = createPrng(SEED).fork('svd').fork(trial);
    const n = 2 + prng.below(7);
    const [u, v] = [qr(draw(prng, n + prng.below(4), n)).q, qr(draw(prng, n, n)).q];
    const values = Array.from({ length: n }, (_, i) => (i === n - 1 ? 0 : 3 ** -i * (1 + prng.random())));
    const x = {
      rows: u.rows,
      columns: Array.from({ length: n }, (_, j) =>
        Float64Array.from({ length: u.rows }, (_, i) =>
          values.reduce((sum, value, k) => sum + value * u.columns[k]![i]! * v.columns[k]![j]!, 0),
        ),
      ),
    };
    const found = svd(x);
    [...values]
      .sort((a, b) => b - a)
      .forEach((value, k) => {
        assert.ok(Math.abs(found.values[k]! - value) < 1e-12, `${found.values}; ${REPLAY}`);
      });
  }
});

/** Two layers of rank 3: A [3, 5], B [4, 3]; then A [3, 6], B [7, 3]. */
const RANK = 3;
const factors: FactorPair[] = [
  { rank: RANK, inputs: 5, outputs: 4, a: 0, b: 15 },
  { rank: RANK, inputs: 6, outputs: 7, a: 27, b: 45 },
];
const SIZE = 66;
const drawAdapter = (prng: Prng): Float32Array => Float32Array.from({ length: SIZE }, prng.normal);

/** Every layer's B A, densely, one after the other. */
function dense(vector: Float32Array): Float32Array {
  return Float32Array.from(
    factors.flatMap(({ inputs, outputs, a, b }) =>
      Array.from({ length: inputs * outputs }, (_, k) => {
        const [i, j] = [Math.floor(k / inputs), k % inputs];
        return [0, 1, 2].reduce((sum, r) => sum + vector[b + i * RANK + r]! * vector[a + r * inputs + j]!, 0);
      }),
    ),
  );
}

/** The adapter cut to its first components. */
function cut(vector: Float32Array, rank: number): Float32Array {
  const out = Float32Array.from(vector);
  for (const { inputs, outputs, a, b } of factors) {
    out.fill(0, a + rank * inputs, a + RANK * inputs);
    for (let i = 0; i < outputs; i++) out.fill(0, b + i * RANK + rank, b + (i + 1) * RANK);
  }
  return out;
}

test('a sum of products that has the rank is met exactly; peers of rank 1 and 2 fit into 3', () => {
  for (let trial = 0; trial < 10; trial++) {
    const prng = createPrng(SEED).fork('sum').fork(trial);
    const [x, y] = [cut(drawAdapter(prng), 1), cut(drawAdapter(prng), 2)];
    const terms = [
      { vector: x, weight: 0.25 },
      { vector: y, weight: 0.75 },
    ];
    const sum = dense(sumProducts(terms, factors, { rank: RANK, like: x }));
    const wanted = dense(x).map((value, i) => 0.25 * value + 0.75 * dense(y)[i]!);
    assert.ok(distance(sum, wanted) < 1e-5 * norm(wanted), REPLAY);
  }
});

test('a sum of a higher rank is met as well as that rank can: what is missing is the smaller singular values', () => {
  const prng = createPrng(SEED).fork('cut');
  const vectors = Array.from({ length: 4 }, () => drawAdapter(prng));
  const terms = vectors.map((vector) => ({ vector, weight: 0.25 }));
  const wanted = mean(vectors.map(dense));
  for (const rank of [1, 2, 3]) {
    const cutBack = dense(sumProducts(terms, factors, { rank, like: vectors[0]! }));
    let missing = 0;
    let at = 0;
    for (const { inputs, outputs } of factors) {
      const columns = Array.from({ length: inputs }, (_, j) =>
        Float64Array.from({ length: outputs }, (_, i) => wanted[at + i * inputs + j]!),
      );
      missing += svd({ rows: outputs, columns })
        .values.slice(rank)
        .reduce((sum, value) => sum + value ** 2, 0);
      at += inputs * outputs;
    }
    assert.ok(Math.abs(distance(cutBack, wanted) - Math.sqrt(missing)) < 1e-5, `rank ${rank}; ${REPLAY}`);
    assert.ok(missing > 0.01, REPLAY);
  }
});

test('two peers that mix products keep the sum of what they stand for, and each keeps its rank', () => {
  const prng = createPrng(SEED).fork('mix');
  const [x, y] = [cut(drawAdapter(prng), 1), cut(drawAdapter(prng), 2)];
  const settings = settingsWith({ averaging: 'product', rank: RANK });
  const mixed = (mine: Float32Array, theirs: Float32Array, localRank = 0): Float32Array =>
    mixAs({ ...settings, localRank }, factors, mine, [
      { weight: 1 / 3, theirs: sourceOf(theirs), mine: sourceOf(mine) },
    ]);
  const [a, b] = [dense(mixed(x, y)), dense(mixed(y, x))];
  const [before, after] = [mean([dense(x), dense(y)]), mean([a, b])];
  assert.ok(distance(before, after) < 1e-5 * norm(before), REPLAY);
  assert.ok(distance(a, dense(x)) > 0.1 && distance(a, b) < distance(dense(x), dense(y)), REPLAY);
  const small = mixed(x, y, 1);
  assert.equal(cut(small, 1), small);
  assert.ok(norm(dense(small)) > 0);
  // Anything else mixes number by number.
  assert.equal(mixAs(settingsWith({ rank: RANK }), factors, x, []), x);
});

test('before anybody has trained, B is zero and A must stay, or nothing could ever be learned', () => {
  const prng = createPrng(SEED).fork('zero');
  const fresh = drawAdapter(prng);
  for (const { outputs, b } of factors) fresh.fill(0, b, b + outputs * RANK);
  const settings = settingsWith({ averaging: 'product', rank: RANK });
  assert.equal(
    mixAs(settings, factors, fresh, [{ weight: 0.5, theirs: sourceOf(fresh), mine: sourceOf(fresh) }]),
    fresh,
  );
});

test('rows of A stay as long as they were, so that a step of training means the same before and after', () => {
  const prng = createPrng(SEED).fork('length');
  const [x, y] = [drawAdapter(prng), drawAdapter(prng)];
  const out = sumProducts([{ vector: y, weight: 1e-3 }], factors, { rank: RANK, like: x });
  const length = (v: Float32Array): number => norm(v.subarray(0, 15));
  assert.ok(Math.abs(length(out) - length(x)) < 1e-5 * length(x), REPLAY);
});

test('the thin way and the dense way agree', () => {
  const prng = createPrng(SEED).fork('thin');
  const [left, right] = [draw(prng, 9, 4), draw(prng, 6, 4)];
  const columns = Array.from({ length: 6 }, (_, j) =>
    Float64Array.from({ length: 9 }, (_, i) =>
      left.columns.reduce((sum, column, k) => sum + column[i]! * right.columns[k]![j]!, 0),
    ),
  );
  const [thin, whole] = [productSvd(left, right).values, svd({ rows: 9, columns }).values];
  thin.forEach((value, k) => {
    assert.ok(Math.abs(value - whole[k]!) < 1e-11, REPLAY);
  });
});

test.run();
