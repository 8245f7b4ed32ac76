/** @file Products with packed weights in the graph that writes: a few bits a number, adapters beside them as ever. */
import { external, type Graph, type Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import { BLOCK, externalBytes, MatMulNBits } from '../graph/quantised.ts';
import type { Bits } from './quantise.ts';

interface Place {
  readonly offset: number;
  readonly byteLength: number;
}

/** A matrix [outputs, inputs] in the file of packed weights. */
export interface PackedMatrix {
  readonly bits: Bits;
  readonly outputs: number;
  readonly inputs: number;
  readonly blocks: Place;
  readonly scales: Place;
  /** Null: of 8 bits. */
  readonly offsets: Place | null;
}

/** By the name of the parameter; those that are missing are used as they are. */
export interface PackedWeights {
  /** Beside the other weights. */
  readonly file: string;
  readonly matrices: Readonly<Record<string, PackedMatrix>>;
}

/** x W^T for x [N, inputs]; null: the matrix is not packed. */
export function packedProduct(g: Graph, { file, matrices }: PackedWeights, x: Value, name: string): Value | null {
  const matrix = matrices[name];
  if (!matrix) return null;
  const { bits, outputs, inputs } = matrix;
  const count = inputs / BLOCK;
  const at = (place: Place) => ({ ...place, file });
  const blocks = externalBytes(g, `${name}.blocks`, [outputs, count, (BLOCK * bits) / 8], at(matrix.blocks));
  const scales = external(g, `${name}.scales`, [outputs * count], at(matrix.scales));
  const product = MatMulNBits(g, x, { bits, outputs, inputs, blocks, scales });
  if (!matrix.offsets) return product;
  // Every number of a block has the same added: it meets their sum.
  const sums = op.ReduceSum(g, op.Reshape(g, x, [x.shape[0]!, count, BLOCK]), [2], false);
  const offsets = external(g, `${name}.offsets`, [outputs, count], at(matrix.offsets));
  return op.Gemm(g, sums, offsets, product, { transB: true });
}
