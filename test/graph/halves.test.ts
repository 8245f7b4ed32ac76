/** @file Mixed precision as a rewrite: what goes to float16, and what stays. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createGraph, external, type Graph, input, output, print, scalar, type Value } from '../../node/graph/graph.ts';
import { inHalves } from '../../node/graph/halves.ts';
import * as op from '../../node/graph/ops.ts';

/** What each op of the graph gives, in order. */
const typesOf = ({ nodes }: Graph): string[] => nodes.map(({ op: name, outputs }) => `${name} ${outputs[0]!.dtype}`);

function rewritten(
  build: (g: Graph, x: Value, weight: Value) => Value,
  dtype: 'float32' | 'float16' = 'float32',
): Graph {
  const g = createGraph();
  const x = input(g, 'x', 'float32', ['B', 8]);
  const weight = external(g, 'weight', [8, 8], { offset: 0, byteLength: 256 }, dtype);
  const hidden = op.Gather(g, weight, input(g, 'ids', 'int64', ['B']));
  output(g, 'y', build(g, op.Add(g, x, hidden), weight));
  const half = inHalves(g, []);
  assert.is(half.outputs[0]!.value.dtype, 'float32');
  assert.ok(half.inputs.every((v, i) => v === g.inputs[i]));
  return half;
}

test('a product is of float16, and so is what follows it number by number', () => {
  const half = rewritten((g, h, weight) => {
    const product = op.Gemm(g, h, weight, null);
    return op.Sigmoid(g, op.Mul(g, product, scalar(g, 0.5, 'float32')));
  });
  assert.equal(typesOf(half).slice(2), [
    'Cast float16',
    'Cast float16',
    'Gemm float16',
    'Cast float16',
    'Mul float16',
    'Sigmoid float16',
    'Cast float32',
  ]);
});

test('sums, exponentials, norms and squares are of float32, and so is what meets float32', () => {
  const half = rewritten((g, h, weight) => {
    const product = op.Gemm(g, h, weight, null);
    const square = op.Mul(g, product, product);
    const bias = input(g, 'bias', 'float32', ['B', 8]);
    return op.Softmax(g, op.Add(g, op.Add(g, product, bias), op.ReduceMean(g, square, [1], true)));
  });
  const types = typesOf(half);
  assert.ok(types.includes('Gemm float16'));
  for (const wanted of ['Mul float32', 'ReduceMean float32', 'Softmax float32', 'Add float32'])
    assert.ok(types.includes(wanted), print(half));
  assert.not.ok(types.includes('Add float16'));
});

test('products in which no weight has a part stay exact', () => {
  const half = rewritten((g, h) => {
    const select = input(g, 'select', 'float32', ['M', 'B']);
    const positions = op.MatMul(g, select, op.Mul(g, input(g, 'places', 'float32', ['B', 1]), scalar(g, 3, 'float32')));
    return op.Add(g, op.MatMul(g, select, h), positions);
  });
  assert.not.match(print(half), /float16/);
});

test('a number that float16 cannot hold keeps its operation in float32', () => {
  const half = rewritten((g, h, weight) => op.Add(g, op.Gemm(g, h, weight, null), scalar(g, -1e9, 'float32')));
  assert.ok(typesOf(half).includes('Add float32'));
});

test('a matrix stored in float16 is multiplied with as it is', () => {
  const half = rewritten((g, h, weight) => op.Gemm(g, h, weight, null, { transB: true }), 'float16');
  const [gemm] = half.nodes.filter(({ op: name }) => name === 'Gemm');
  assert.is(gemm!.inputs[1]!.name, 'weight');
  assert.not.ok(
    half.nodes.some(({ op: name }) => name === 'Reshape'),
    print(half),
  );
});

test('what layers carry on is added to in float32', () => {
  const half = rewritten((g, h, weight) => op.Gemm(g, op.Tanh(g, h), weight, h));
  const [gemm] = half.nodes.filter(({ op: name }) => name === 'Gemm');
  assert.is(gemm!.inputs.length, 2);
  assert.equal(typesOf(half).slice(-2), ['Cast float32', 'Add float32']);
});

test.run();
