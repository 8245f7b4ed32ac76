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

/** Pieces one Split or Concat may have: a GPU shader binds eight buffers for certain, and one holds the whole. */
const MAX_PIECES = 6;

/** Cuts the vector [P] into one flat piece per tensor. */
export function splitVector(g: Graph, vector: Value, tensors: readonly ModelTensor[]): readonly Value[] {
  return splitPieces(
    g,
    vector,
    tensors.map((t) => t.rows * t.cols),
  );
}

/** Cuts a vector into pieces, in as many steps as the bound on pieces asks for. */
function splitPieces(g: Graph, vector: Value, sizes: readonly number[]): readonly Value[] {
  if (sizes.length <= MAX_PIECES) return op.Split(g, vector, sizes, 0);
  const groups = grouped(sizes);
  const totals = groups.map((group) => group.reduce((a, b) => a + b, 0));
  return op.Split(g, vector, totals, 0).flatMap((piece, i) => splitPieces(g, piece, groups[i]!));
}

/** Joins flat pieces into one vector. */
export function joinPieces(g: Graph, pieces: readonly Value[]): Value {
  if (pieces.length <= MAX_PIECES) return op.Concat(g, pieces, 0);
  return op.Concat(
    g,
    grouped(pieces).map((group) => joinPieces(g, group)),
    0,
  );
}

/** At most MAX_PIECES runs of neighbours, as even as can be. */
function grouped<T>(items: readonly T[]): T[][] {
  const size = Math.ceil(items.length / MAX_PIECES);
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
