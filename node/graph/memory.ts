/** @file How many bytes a graph holds at most while it runs, its nodes in order: an estimate, made before anything runs. */
import type { DType, Graph, Value } from './graph.ts';
import { evaluateDim } from './shape.ts';

const BYTES: Readonly<Record<DType, number>> = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  bool: 1,
  int8: 1,
  uint8: 1,
};
/** What they give lies where their first input does. */
const VIEWS = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Identity']);

/** Gives the most bytes that results of nodes take together, each held until its last use, once the named sizes are bound. */
export function peakBytes(graph: Graph): (bindings: Readonly<Record<string, number>>) => number {
  const released = lastUses(graph);
  return (bindings) => peakOf(graph, released, bindings);
}

/** `released`: of each node the values that are held no longer after it. */
function peakOf(graph: Graph, released: readonly Value[][], bindings: Readonly<Record<string, number>>): number {
  const sizes = new Map<string, number>();
  const sizeOf = ({ dtype, shape }: Value): number => {
    const key = `${dtype} ${shape}`;
    const size = sizes.get(key) ?? shape.reduce<number>((n, dim) => n * evaluateDim(dim, bindings), BYTES[dtype]);
    sizes.set(key, size);
    return size;
  };
  let [held, peak] = [0, 0];
  graph.nodes.forEach((node, i) => {
    const made = VIEWS.has(node.op) ? [] : node.outputs;
    held += made.reduce((sum, v) => sum + sizeOf(v), 0);
    peak = Math.max(peak, held);
    held -= released[i]!.reduce((sum, v) => sum + sizeOf(v), 0);
  });
  return peak;
}

function lastUses(graph: Graph): Value[][] {
  const roots = new Map<Value, Value>();
  const rootOf = (v: Value): Value => roots.get(v) ?? v;
  const last = new Map<Value, number>();
  graph.nodes.forEach((node, i) => {
    for (const v of node.inputs) last.set(rootOf(v), i);
    for (const v of node.outputs) {
      if (VIEWS.has(node.op)) roots.set(v, rootOf(node.inputs[0]!));
      else last.set(v, i);
    }
  });
  for (const { value } of graph.outputs) last.delete(rootOf(value));
  const released: Value[][] = graph.nodes.map(() => []);
  for (const [value, i] of last) if (value.producer) released[i]!.push(value);
  return released;
}
