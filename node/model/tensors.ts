/** @file Where each trainable matrix lies in the one vector that is trained, mixed and sent. Same shape as protocol's Layout. */
import type { Graph, Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import type { Parameter } from './architecture.ts';

export interface ModelTensor {
  readonly name: string;
  readonly rows: number;
  readonly cols: number;
  /** In elements. */
  readonly offset: number;
  /** A LoRA factor, or a weight of the base. */
  readonly factor: 'A' | 'B' | 'full';
}

export function elementCount(tensors: readonly ModelTensor[]): number {
  const last = tensors.at(-1);
  return last ? last.offset + last.rows * last.cols : 0;
}

/** Every parameter of the base as trainable tensors; vectors are single rows. */
export function fullTensors(parameters: readonly Parameter[]): ModelTensor[] {
  let offset = 0;
  return parameters.map(({ name, shape }) => {
    const [rows, cols] = shape.length === 1 ? [1, shape[0]!] : [shape[0]!, shape[1]!];
    const tensor: ModelTensor = { name, rows, cols, offset, factor: 'full' };
    offset += rows * cols;
    return tensor;
  });
}

/** Cuts the vector [P] into one flat piece per tensor. */
export function splitVector(g: Graph, vector: Value, tensors: readonly ModelTensor[]): readonly Value[] {
  return op.Split(
    g,
    vector,
    tensors.map((t) => t.rows * t.cols),
    0,
  );
}
