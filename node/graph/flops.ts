/** @file Counts the floating-point operations of a graph's matrix products: 2 M N K each. */
import type { Graph } from './graph.ts';
import { evaluateDim } from './shape.ts';

/** FLOPs of every MatMul and Gemm with the named sizes bound. */
export function matMulFlops(graph: Graph, bindings: Readonly<Record<string, number>>): number {
  let total = 0;
  for (const node of graph.nodes) {
    if (node.op !== 'MatMul' && node.op !== 'Gemm') continue;
    const [a] = node.inputs;
    const inner = node.attributes.transA === 1 ? a!.shape.at(-2)! : a!.shape.at(-1)!;
    const results = node.outputs[0]!.shape.reduce<number>((n, dim) => n * evaluateDim(dim, bindings), 1);
    total += 2 * results * evaluateDim(inner, bindings);
  }
  return total;
}
