/** @file Products with weights of a few bits, an operator of onnxruntime's own (com.microsoft) for the CPU. */
import { emit, external, type Graph, GraphError, type Value } from './graph.ts';

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
