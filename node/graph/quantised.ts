/** @file Products with weights of a few bits, operators of onnxruntime's own (com.microsoft) for the CPU. */
import { emit, external, type Graph, GraphError, type Node, scalar, type Value } from './graph.ts';
import * as op from './ops.ts';

/** Elements of a row that share a scale. */
export const BLOCK = 32;

export interface QuantisedWeight {
  readonly bits: 4 | 8;
  readonly outputs: number;
  readonly inputs: number;
  /** [outputs, blocks, bytes] uint8: numbers from 0, of 4 bits the first of two in the lower half. */
  readonly blocks: Value;
  /** [outputs * blocks] float32 */
  readonly scales: Value;
}

/** uint8 kept outside the model file. */
export function externalBytes(
  g: Graph,
  name: string,
  shape: readonly number[],
  place: { offset: number; byteLength: number; file?: string },
): Value {
  return external(g, name, shape, place, 'uint8');
}

/**
 * x W^T for x [N, inputs]: the numbers of W are (q - 8) scale of 4 bits, (q - 128) scale of 8. Activations are rounded to 8 bits
 * a block, for which processors have instructions.
 */
export function MatMulNBits(g: Graph, x: Value, { bits, outputs, inputs, blocks, scales }: QuantisedWeight): Value {
  if (x.shape.length !== 2 || x.shape[1] !== inputs || x.dtype !== 'float32')
    throw new GraphError('MatMulNBits', `[${x.shape}] with [${outputs}, ${inputs}]`, [x]);
  const attributes = { K: inputs, N: outputs, bits, block_size: BLOCK, accuracy_level: 4 };
  const results = [{ dtype: x.dtype, shape: [x.shape[0]!, outputs] }];
  return emit(g, 'com.microsoft.MatMulNBits', [x, blocks, scales], attributes, results)[0]!;
}

/** A matrix of whole numbers from -63 to 63, each column with its scale. */
export interface Int8Matrix {
  /** [K, N] int8 */
  readonly values: Value;
  /** [N] float32 */
  readonly scales: Value;
}

export const INT8_PRODUCT = 'com.microsoft.DynamicQuantizeMatMul';

/** Of each matrix the values of which are multiplied with, its transpose, for gradients: rounded along its own columns. */
const transposes = new WeakMap<Value, Int8Matrix>();

/**
 * x W for x [N, K], which is rounded to 8 bits as a whole, and W [K, M]. Seven bits of W: two products of eight overflow 16
 * bits on processors without VNNI.
 */
export function int8MatMul(g: Graph, x: Value, matrix: Int8Matrix, transpose: Int8Matrix): Value {
  transposes.set(matrix.values, transpose);
  return multiply(g, x, matrix);
}

/** The gradient with respect to x: d W^T, the rows of d scaled to one size, since gradients of rows differ by magnitudes. */
export function int8Gradient(g: Graph, node: Node, d: Value): Value {
  const largest = op.ReduceMax(g, op.Abs(g, d), [1], true);
  const size = op.Max(g, largest, scalar(g, 1e-30, 'float32'));
  return op.Mul(g, multiply(g, op.Div(g, d, size), transposes.get(node.inputs[1]!)!), size);
}

function multiply(g: Graph, x: Value, { values, scales }: Int8Matrix): Value {
  const [inputs, outputs] = values.shape as [number, number];
  if (x.shape.length !== 2 || x.shape[1] !== inputs || x.dtype !== 'float32')
    throw new GraphError('DynamicQuantizeMatMul', `[${x.shape}] with [${values.shape}]`, [x]);
  const results = [{ dtype: x.dtype, shape: [x.shape[0]!, outputs] }];
  return emit(g, INT8_PRODUCT, [x, values, scales], {}, results)[0]!;
}
