/**
 * @file What lies between checkpoints, computed a second time when the gradients get there, so that of a layer only what comes
 * into it is held. Chen et al. 2016, arXiv:1604.06174, with a segment a layer.
 */
import { emit, type Graph, type Node, type Value } from './graph.ts';
import * as op from './ops.ts';

/** A node's twin, whose inputs and outputs are computed again; `before` gives the gradients it has to wait for. */
type TwinOf = (node: Node, before: () => readonly (Value | null)[]) => Node;

/**
 * Twins for a sweep that goes backwards through the graph as it is now. What depends on no checkpoint (weights, what layers
 * share) or on the last one (the head) has none and is its own.
 */
export function recomputing(g: Graph): TwinOf {
  const segments = segmentsOf(g);
  const twins = new Map<Node, Node>();
  let waited: ReadonlySet<Value | null> = new Set();
  return (node, before) => {
    const segment = segments.of.get(node);
    if (segment === undefined || segment === g.checkpoints.length - 1) return node;
    if (!twins.has(node)) {
      const gradients = before();
      const fresh = gradients.filter((v): v is Value => v !== null && !waited.has(v));
      waited = new Set(gradients);
      repeat(g, g.checkpoints[segment]!, { nodes: segments.nodes[segment]!, before: fresh, twins });
    }
    return twins.get(node)!;
  };
}

/** Of each node the last checkpoint it depends on, and of each checkpoint those nodes in order. */
function segmentsOf(g: Graph): { of: Map<Node, number>; nodes: Node[][] } {
  const starts = new Map(g.checkpoints.map((value, i) => [value, i]));
  const of = new Map<Node, number>();
  const nodes: Node[][] = g.checkpoints.map(() => []);
  for (const node of g.nodes) {
    const before = node.inputs.map((v) => starts.get(v) ?? (v.producer ? (of.get(v.producer) ?? -1) : -1));
    const segment = Math.max(-1, ...before);
    if (segment === -1) continue;
    of.set(node, segment);
    nodes[segment]!.push(node);
  }
  return { of, nodes };
}

/** Emits a segment's nodes again, on a copy of the checkpoint that is there only after the gradients `before`. */
function repeat(
  g: Graph,
  start: Value,
  { nodes, before, twins }: { nodes: readonly Node[]; before: readonly Value[]; twins: Map<Node, Node> },
): void {
  const values = new Map<Value, Value>([[start, after(g, start, before)]]);
  for (const node of nodes) {
    const inputs = node.inputs.map((v) => values.get(v) ?? v);
    const results = node.outputs.map(({ dtype, shape }) => ({ dtype, shape }));
    const outputs = emit(g, node.op, inputs, node.attributes, results);
    node.outputs.forEach((v, i) => {
      values.set(v, outputs[i]!);
    });
    twins.set(node, outputs[0]!.producer!);
  }
}

/**
 * x, as a value of its own that cannot be had before `others`: plus zero, which is made of them as (s > s), false for every s,
 * infinite or no number too. Equal nodes on one x would be merged, here and by onnxruntime.
 */
function after(g: Graph, x: Value, others: readonly Value[]): Value {
  const all = others.map((v) => op.ReduceSum(g, v, [...v.shape.keys()], false)).reduce((a, b) => op.Add(g, a, b));
  return op.Add(g, x, op.Cast(g, op.Greater(g, all, all), x.dtype));
}
