/** @file What an adapter adds to a weight, W + scale B A, a few rows at a time. Hu et al. 2021, arXiv:2106.09685, section 4.1. */
import { scaleOf } from '../model/lora.ts';
import type { ModelTensor } from '../model/tensors.ts';
import type { Subject } from './subject.ts';

/** left right, scaled: what is added to a matrix [rows, columns]. */
export interface Delta {
  /** [rows, rank] */
  readonly left: Float32Array;
  /** [rank, columns] */
  readonly right: Float32Array;
  readonly rank: number;
  readonly scale: number;
}

type Adapter = Pick<Subject, 'lora' | 'tensors' | 'vector'>;

/** The factors of a module: A [rank, inputs], B [outputs, rank]; null where it has none. */
export function factorsOf({ tensors, vector }: Adapter, module: string): { a: Factor; b: Factor } | null {
  const factor = (name: string): Factor | null => {
    const tensor = tensors.find((one) => one.name === `${module}.${name}`);
    if (!tensor) return null;
    return { ...tensor, data: vector.subarray(tensor.offset, tensor.offset + tensor.rows * tensor.cols) };
  };
  const [a, b] = [factor('lora_A'), factor('lora_B')];
  return a && b ? { a, b } : null;
}

export interface Factor extends ModelTensor {
  readonly data: Float32Array;
}

/** What is added to a module's weight, [outputs, inputs] or, transposed, [inputs, outputs]; null: nothing. */
export function deltaOf(adapter: Adapter, module: string, isTransposed = false): Delta | null {
  const factors = factorsOf(adapter, module);
  if (!factors) return null;
  const { a, b } = factors;
  const [left, right] = isTransposed ? [transposed(a), transposed(b)] : [b.data, a.data];
  return { left, right, rank: a.rows, scale: scaleOf(adapter.lora, module) };
}

function transposed({ data, rows, cols }: Factor): Float32Array {
  const out = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) out[j * rows + i] = data[i * cols + j]!;
  return out;
}

/** Adds the rows from `first` on to a piece that holds them, whole rows of `columns`. Sums are in float64. */
export function addDelta(piece: Float32Array, first: number, columns: number, delta: Delta): void {
  const { left, right, rank, scale } = delta;
  const sum = new Float64Array(columns);
  for (let row = 0; row * columns < piece.length; row++) {
    sum.fill(0);
    for (let r = 0; r < rank; r++) {
      const factor = left[(first + row) * rank + r]! * scale;
      for (let c = 0; c < columns; c++) sum[c]! += factor * right[r * columns + c]!;
    }
    for (let c = 0; c < columns; c++) piece[row * columns + c]! += sum[c]!;
  }
}
