/** @file Every gradient rule against central differences: float64 where onnxruntime has a kernel, else float32 along random directions. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openSession, type Session } from '../../node/engine/session.ts';
import { gradients, ruleNames } from '../../node/graph/grad.ts';
import {
  createGraph,
  type DType,
  type Graph,
  input,
  output,
  prune,
  scalar,
  type Value,
} from '../../node/graph/graph.ts';
import { encodeOnnx } from '../../node/graph/onnx.ts';
import * as op from '../../node/graph/ops.ts';
import { INT8_PRODUCT } from '../../node/graph/quantised.ts';
import { createPrng, type Prng } from '../../protocol/prng.ts';

const SEED = process.env.SEED ?? '1';
const REPLAY = `replay with SEED=${SEED} npm test -- grad`;

interface Check {
  /** The op whose rule is checked. */
  readonly op: string;
  /** Operand shapes, drawn for each check. */
  readonly shapes: (prng: Prng) => number[][];
  readonly build: (g: Graph, operands: readonly Value[]) => Value;
  /** Draws an operand's numbers; normal by default. */
  readonly draw?: (prng: Prng) => number;
  /** float32 where onnxruntime has no double kernel. */
  readonly dtype?: DType;
}

const size = (prng: Prng): number => 1 + prng.below(4);
const positive = (prng: Prng): number => 0.5 + prng.random() * 2;
const same = (prng: Prng): number[][] => [[size(prng), size(prng)]];

/** Two shapes that broadcast: some axes of either are 1 or missing. */
function broadcasting(prng: Prng): number[][] {
  const full = [size(prng), size(prng), size(prng)];
  const thin = (): number[] => full.map((n) => (prng.random() < 0.4 ? 1 : n)).slice(prng.below(3));
  return prng.random() < 0.5 ? [full, thin()] : [thin(), full];
}

const unary = (name: string, f: (g: Graph, x: Value) => Value, more: Partial<Check> = {}): Check => ({
  op: name,
  shapes: same,
  build: (g, [x]) => f(g, x!),
  ...more,
});
const binary = (name: string, f: (g: Graph, a: Value, b: Value) => Value, more: Partial<Check> = {}): Check => ({
  op: name,
  shapes: broadcasting,
  build: (g, [a, b]) => f(g, a!, b!),
  ...more,
});

const CHECKS: readonly Check[] = [
  binary('Add', op.Add),
  binary('Sub', op.Sub),
  binary('Mul', op.Mul),
  binary('Div', op.Div, { draw: positive }),
  binary('Max', op.Max),
  binary('Min', op.Min),
  binary('Pow', op.Pow, { draw: positive }),
  {
    op: 'Where',
    shapes: broadcasting,
    build: (g, [a, b]) => op.Where(g, op.Greater(g, a!, b!), op.Mul(g, a!, a!), b!),
  },
  unary('Cast', (g, x) => op.Mul(g, op.Cast(g, op.Cast(g, x, 'float32'), 'float64'), x), {
    dtype: 'float32',
    build: (g, [x]) => op.Mul(g, op.Cast(g, op.Cast(g, x!, 'float64'), 'float32'), x!),
  }),
  unary('Neg', op.Neg),
  unary('Abs', op.Abs),
  unary('Exp', op.Exp),
  unary('Log', op.Log, { draw: positive }),
  unary('Sqrt', op.Sqrt, { draw: positive }),
  unary('Reciprocal', op.Reciprocal, { draw: positive }),
  unary('Erf', op.Erf, { dtype: 'float32' }),
  unary('Tanh', op.Tanh),
  unary('Sigmoid', op.Sigmoid),
  unary('Cos', op.Cos),
  unary('Sin', op.Sin),
  unary('Gelu', op.Gelu, { dtype: 'float32' }),
  unary('Softmax', op.Softmax),
  unary('ReduceSum', (g, x) => op.ReduceSum(g, op.Mul(g, x, x), [1], false)),
  unary('ReduceSum', (g, x) => op.ReduceSum(g, op.Mul(g, x, x), [0], true)),
  unary('ReduceMean', (g, x) => op.ReduceMean(g, op.Mul(g, x, x), [0], false)),
  unary('ReduceMax', (g, x) => op.ReduceMax(g, x, [1], true)),
  unary('Identity', (g, x) => {
    const max = op.stopGradient(g, op.ReduceMax(g, x, [1], true));
    return op.Add(g, max, op.Log(g, op.ReduceSum(g, op.Exp(g, op.Sub(g, x, max)), [1], true)));
  }),
  unary('Transpose', (g, x) => op.Mul(g, op.Transpose(g, x, [1, 0]), op.Transpose(g, op.Exp(g, x), [1, 0]))),
  unary('Reshape', (g, x) =>
    op.Mul(g, op.Reshape(g, x, [x.shape.reduce<number>((a, b) => a * (b as number), 1)]), scalar(g, 3, x.dtype)),
  ),
  unary('Unsqueeze', (g, x) => op.Mul(g, op.Unsqueeze(g, x, [0, 2]), op.Unsqueeze(g, x, [0, 2]))),
  unary('Squeeze', (g, x) => op.Mul(g, op.Squeeze(g, op.Exp(g, op.Unsqueeze(g, x, [1])), [1]), x)),
  {
    op: 'Expand',
    shapes: (p) => {
      const n = size(p);
      return [
        [1, n],
        [size(p), n],
      ];
    },
    build: (g, [a, b]) => op.Mul(g, op.Expand(g, a!, b!), b!),
  },
  {
    op: 'Concat',
    shapes: (p) => {
      const n = size(p);
      return [
        [size(p), n],
        [size(p), n],
      ];
    },
    build: (g, [a, b]) => op.Exp(g, op.Concat(g, [a!, b!], 0)),
  },
  unary(
    'Split',
    (g, x) => {
      const [a, b] = op.Split(g, x, [1, 2], 0);
      return op.Add(g, op.Exp(g, a!), op.ReduceSum(g, b!, [0], true));
    },
    { shapes: (p) => [[3, size(p)]] },
  ),
  unary('Split', (g, x) => op.Exp(g, op.Split(g, x, [1, 2], 0)[1]!), { shapes: (p) => [[3, size(p)]] }),
  {
    op: 'Gather',
    shapes: (p) => [[4, size(p)]],
    build: (g, [x]) => op.Exp(g, op.Gather(g, x!, input(g, 'ids', 'int64', [2, 3]))),
  },
  {
    op: 'MatMul',
    shapes: (p) => {
      const k = size(p);
      return [
        [size(p), k],
        [k, size(p)],
      ];
    },
    build: (g, [a, b]) => op.MatMul(g, a!, b!),
  },
  {
    op: 'MatMul',
    shapes: (p) => {
      const [n, k] = [size(p), size(p)];
      return [
        [n, size(p), k],
        [p.random() < 0.5 ? n : 1, k, size(p)],
      ];
    },
    build: (g, [a, b]) => op.MatMul(g, a!, b!),
  },
  {
    op: 'MatMul',
    shapes: (p) => {
      const k = size(p);
      return [
        [size(p), size(p), k],
        [k, size(p)],
      ];
    },
    build: (g, [a, b]) => op.MatMul(g, a!, b!),
  },
  ...[
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ].map(
    ([transA, transB]): Check => ({
      op: 'Gemm',
      shapes: (p) => {
        const [m, k, n] = [size(p), size(p), size(p)];
        return [transA ? [k, m] : [m, k], transB ? [n, k] : [k, n], p.random() < 0.5 ? [n] : [m, n]];
      },
      build: (g, [a, b, c]) => op.Gemm(g, a!, b!, c!, { alpha: 0.7, beta: 1.3, transA: transA!, transB: transB! }),
    }),
  ),
  {
    op: 'LayerNormalization',
    dtype: 'float32',
    shapes: (p) => {
      const n = 3 + size(p);
      return [[size(p), n], [n], [n]];
    },
    build: (g, [x, s, b]) => op.LayerNormalization(g, x!, s!, b!, 1e-5).y,
  },
  // The same normalisation from primitives, in float64.
  unary('ReduceMean', (g, x) => {
    const c = op.Sub(g, x, op.ReduceMean(g, x, [1], true));
    return op.Div(g, c, op.Sqrt(g, op.Add(g, op.ReduceMean(g, op.Mul(g, c, c), [1], true), scalar(g, 1e-2, x.dtype))));
  }),
];

/** A graph of sum(weights * f(operands)) with its gradients, and a way to run it. */
async function compile(
  check: Check,
  dtype: DType,
  shapes: readonly number[][],
): Promise<{ session: Session; count: number }> {
  const g = createGraph();
  const operands = shapes.map((shape, i) => input(g, `x${i}`, dtype, shape));
  const y = check.build(g, operands);
  const weights = input(g, 'weights', dtype, y.shape);
  const loss = op.ReduceSum(
    g,
    op.Mul(g, y, weights),
    y.shape.map((_, i) => i),
    false,
  );
  output(g, 'loss', loss);
  for (const [i, d] of gradients(g, loss, operands).entries()) output(g, `d${i}`, d);
  const count = y.shape.reduce<number>((a, b) => a * (b as number), 1);
  const declared = prune(g);
  assert.equal(declared.inputs.length, g.inputs.length);
  return { session: await openSession(encodeOnnx(declared), 'cpu', { threads: 1 }), count };
}

/** The largest relative error of the gradients along random directions, against the global gradient norm where one is zero. */
async function worstError(check: Check, prng: Prng): Promise<number> {
  const dtype = check.dtype ?? 'float64';
  const step = dtype === 'float64' ? 1e-5 : 1e-2;
  const shapes = check.shapes(prng);
  const { session, count } = await compile(check, dtype, shapes);
  const make = (n: number, draw: (p: Prng) => number): Float64Array =>
    Float64Array.from({ length: n }, () => draw(prng));
  const values = shapes.map((shape) =>
    make(
      shape.reduce((a, b) => a * b, 1),
      check.draw ?? ((p) => p.normal()),
    ),
  );
  const typed = (x: Float64Array): Float64Array | Float32Array => (dtype === 'float64' ? x : Float32Array.from(x));
  const weights = make(count, (p) => p.normal());
  const ids = check.op === 'Gather' ? { ids: { data: BigInt64Array.of(0n, 3n, 3n, 1n, 3n, 0n), dims: [2, 3] } } : {};
  const dims = await weightShape(check, dtype, shapes);
  const run = (xs: readonly Float64Array[], names: readonly string[]) =>
    session.run(
      {
        ...Object.fromEntries(xs.map((x, i) => [`x${i}`, { data: typed(x), dims: shapes[i]! }])),
        weights: { data: typed(weights), dims },
        ...ids,
      },
      names,
    );
  const results = await run(
    values,
    shapes.map((_, i) => `d${i}`),
  );
  const grads = shapes.map((_, i) => Array.from(results[`d${i}`] as Float64Array));
  const global = Math.hypot(...grads.flat());
  let worst = 0;
  for (let i = 0; i < shapes.length; i++) {
    const direction = make(values[i]!.length, (p) => p.normal());
    const length = Math.hypot(...direction);
    const moved = (t: number): Float64Array[] =>
      values.map((x, k) => (k === i ? x.map((v, j) => v + (t * direction[j]!) / length) : x));
    const [up, down] = [(await run(moved(step), ['loss'])).loss![0], (await run(moved(-step), ['loss'])).loss![0]];
    const numeric = (Number(up) - Number(down)) / (2 * step);
    const exact = grads[i]!.reduce((sum, d, j) => sum + (d * direction[j]!) / length, 0);
    worst = Math.max(worst, Math.abs(numeric - exact) / Math.max(Math.hypot(...grads[i]!), 1e-6 * global, 1e-12));
  }
  await session.release();
  return worst;
}

async function weightShape(check: Check, dtype: DType, shapes: readonly number[][]): Promise<number[]> {
  const g = createGraph();
  return check.build(
    g,
    shapes.map((shape, i) => input(g, `x${i}`, dtype, shape)),
  ).shape as number[];
}

CHECKS.forEach((check, nth) => {
  const dtype = check.dtype ?? 'float64';
  test(`the gradient of ${check.op} (${nth}) agrees with central differences in ${dtype}`, async () => {
    const prng = createPrng(SEED).fork(`${check.op}/${nth}`);
    for (let trial = 0; trial < 4; trial++) {
      const error = await worstError(check, prng.fork(trial));
      assert.ok(error <= (dtype === 'float64' ? 1e-6 : 1e-3), `relative error ${error} in trial ${trial}; ${REPLAY}`);
    }
  });
});

test('every rule in the table is checked above', () => {
  // What is rounded has steps in place of slopes; test/engine/int8.test.ts.
  const checked = new Set([...CHECKS.map((check) => check.op as string), INT8_PRODUCT]);
  assert.equal(
    ruleNames().filter((name) => !checked.has(name)),
    [],
  );
});

test('a value used twice gathers both gradients', async () => {
  const error = await worstError(
    unary('Mul', (g, x) => op.Mul(g, op.Add(g, x, op.Exp(g, x)), op.Tanh(g, x))),
    createPrng(SEED),
  );
  assert.ok(error <= 1e-6, `relative error ${error}; ${REPLAY}`);
});

test('a missing rule names the op and prints the subgraph', () => {
  const g = createGraph();
  const x = input(g, 'x', 'float64', [3, 1]);
  const y = op.ScatterND(g, op.Exp(g, x), input(g, 'rows', 'int64', [2, 1]), input(g, 'updates', 'float64', [2, 1]));
  const loss = op.ReduceSum(g, y, [0, 1], false);
  assert.throws(
    () => gradients(g, loss, [x]),
    (error: Error) =>
      /ScatterND: has no gradient rule/.test(error.message) && /v0: float64\[3, 1\] = Exp\(x\)/.test(error.message),
  );
});

test('a loss that is no scalar is refused', () => {
  const g = createGraph();
  const x = input(g, 'x', 'float64', [3]);
  assert.throws(() => gradients(g, op.Exp(g, x), [x]), /must be a scalar/);
});

test.run();
