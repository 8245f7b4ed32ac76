/** @file Shapes, simplification, the text print and the ONNX file, read back by another decoder. */
import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openSession } from '../../node/engine/session.ts';
import { matMulFlops } from '../../node/graph/flops.ts';
import { constant, createGraph, external, GraphError, input, output, print, prune } from '../../node/graph/graph.ts';
import { encodeOnnx } from '../../node/graph/onnx.ts';
import * as op from '../../node/graph/ops.ts';
import { broadcast, evaluateDim, product } from '../../node/graph/shape.ts';

test('shapes broadcast as in numpy, named sizes included', () => {
  assert.equal(broadcast(['B', 1, 4], [3, 1]), ['B', 3, 4]);
  assert.is(broadcast(['B', 2], ['T', 2]), null);
  assert.is(broadcast([2], [3]), null);
  assert.is(product([2, 'T', 3, 'B']), '6*B*T');
  assert.is(evaluateDim('6*B*T', { B: 2, T: 5 }), 60);
  assert.throws(() => evaluateDim('B', {}), /B.*not bound/);
});

test('a shape mismatch names the op and prints what led to it', () => {
  const g = createGraph();
  const a = op.Exp(g, input(g, 'a', 'float32', [2, 3]));
  const b = input(g, 'b', 'float32', [4, 5]);
  assert.throws(
    () => op.MatMul(g, a, b),
    (error: GraphError) =>
      error instanceof GraphError &&
      /^MatMul: float32\[2, 3\] does not fit float32\[4, 5\]\n/.test(error.message) &&
      error.message.includes('v0: float32[2, 3] = Exp(a)'),
  );
});

test('equal nodes are one, a transpose of a transpose is one, and what no output needs is dropped', () => {
  const g = createGraph();
  const x = input(g, 'x', 'float32', [2, 3, 4]);
  assert.is(op.Add(g, x, x), op.Add(g, x, x));
  assert.is(op.Transpose(g, op.Transpose(g, x, [2, 0, 1]), [1, 2, 0]), x);
  const y = op.Transpose(g, op.Transpose(g, x, [0, 2, 1]), [1, 0, 2]);
  output(g, 'y', y);
  assert.is(prune(g).nodes.length, 1);
  assert.is(
    print(prune(g)),
    'input x: float32[2, 3, 4]\nv1: float32[4, 2, 3] = Transpose(x, perm=[2,0,1])\noutput y = v1\n',
  );
});

test('a reshape between named sizes runs for any of them', async () => {
  const g = createGraph();
  const ids = input(g, 'x', 'float32', ['B', 'T', 6]);
  const flat = op.Exp(g, op.Reshape(g, ids, ['B*T', 6]));
  const heads = op.Transpose(g, op.Reshape(g, flat, ['B', 'T', 2, 3]), [0, 2, 1, 3]);
  output(g, 'y', op.Reshape(g, op.Transpose(g, heads, [0, 2, 1, 3]), ['B', 'T', 6]));
  const session = await openSession(encodeOnnx(prune(g)), 'cpu');
  for (const [b, t] of [
    [1, 1],
    [3, 2],
    [2, 5],
  ] as const) {
    const data = Float32Array.from({ length: b * t * 6 }, (_, i) => i / 100);
    const { y } = await session.run({ x: { data, dims: [b, t, 6] } }, ['y']);
    assert.is(y!.length, data.length);
    assert.ok(Array.from(y as Float32Array).every((value, i) => Math.abs(value - Math.exp(data[i]!)) < 1e-5));
  }
  await session.release();
});

test('the ONNX file decodes to the graph it came from', () => {
  const g = createGraph();
  const x = input(g, 'x', 'float32', ['B', 4]);
  const w = external(g, 'w', [3, 4], { offset: 64, byteLength: 48 });
  output(g, 'y', op.Gemm(g, x, w, constant(g, Float32Array.of(1, 2, 3), [3]), { alpha: 0.5, transB: true }));
  const model = fromBinary(ModelProtoSchema, encodeOnnx(g, 'weights.bin'));
  const graph = model.graph!;
  assert.is(model.opsetImport[0]!.version, 20n);
  assert.equal(
    graph.node.map((n) => n.opType),
    ['Gemm', 'Identity'],
  );
  const attributes = Object.fromEntries(graph.node[0]!.attribute.map((a) => [a.name, a.f || Number(a.i)]));
  assert.equal(attributes, { alpha: 0.5, transB: 1 });
  const [weights, bias] = graph.initializer;
  const places = Object.fromEntries(weights!.externalData.map((e) => [e.key, e.value]));
  assert.equal(places, { location: 'weights.bin', offset: '64', length: '48' });
  assert.equal(new Float32Array(Uint8Array.from(bias!.rawData).buffer), Float32Array.of(1, 2, 3));
  assert.equal(
    graph.input.map((v) => v.name),
    ['x'],
  );
  const type = graph.input[0]!.type!.value;
  assert.is(type.case, 'tensorType');
  const [batch, width] = (type.value as { shape: { dim: { value: { value: unknown } }[] } }).shape.dim;
  assert.equal([batch!.value.value, width!.value.value], ['B', 4n]);
});

test('floating-point operations are those of the products', () => {
  const g = createGraph();
  const x = input(g, 'x', 'float32', ['B', 'T', 4]);
  const y = op.MatMul(g, x, input(g, 'w', 'float32', [4, 5]));
  op.Gemm(g, input(g, 'a', 'float32', [7, 2]), input(g, 'b', 'float32', [7, 3]), null, { transA: true });
  assert.equal(y.shape, ['B', 'T', 5]);
  assert.is(matMulFlops(g, { B: 2, T: 3 }), 2 * 2 * 3 * 4 * 5 + 2 * 2 * 3 * 7);
});

test.run();
