/**
 * @file Mixed precision as a rewrite of a finished graph, gradients and all: matrix products and what is done element by element
 * with what they give in float16; sums, norms, softmax, losses and all that is added up over layers in float32.
 * Micikevicius et al. 2018, arXiv:1710.03740, sections 3.1 and 3.3.
 */
import { createGraph, emit, type Graph, type Node, output, prune, type Value } from './graph.ts';
import * as op from './ops.ts';

const PRODUCTS = new Set(['MatMul', 'Gemm']);
/** Of float16 what they are given so; with anything in float32 among it, of float32. */
const FOLLOWERS = new Set([
  ...['Abs', 'Add', 'Erf', 'Gelu', 'Identity', 'Mul', 'Neg', 'Sigmoid', 'Sub', 'Tanh', 'Where'],
  ...['Concat', 'Expand', 'Gather', 'Reshape', 'Split', 'Squeeze', 'Transpose', 'Unsqueeze'],
]);
/** Numbers of other sizes are no longer themselves in float16, or hold fewer digits of it. */
const [LEAST, MOST] = [2 ** -14, 65504];

/** The graph in mixed precision. Inputs and outputs keep their types; `trained` are the inputs that hold weights. */
export function inHalves(graph: Graph, trained: readonly Value[]): Graph {
  const g = { ...createGraph(), inputs: graph.inputs, initializers: new Map(graph.initializers) };
  const of = new Map<Value, Value>();
  const now = (v: Value): Value => of.get(v) ?? v;
  const isOfWeights = weighty(graph, trained);
  /** As float16: what was stored so is not widened before. */
  const halved = (v: Value): Value => {
    const stored = op.storedAs(v);
    if (stored.dtype === 'float16') return stored;
    const narrow = v.producer?.op === 'Cast' && v.producer.inputs[0]!.dtype === 'float16' ? v.producer.inputs[0]! : v;
    return op.Cast(g, now(narrow), 'float16');
  };
  const wide = (v: Value): Value => (v.dtype === 'float32' ? op.Cast(g, now(v), 'float32') : now(v));
  const isHalved = (node: Node): boolean => {
    if (!node.outputs.every(({ dtype }) => dtype === 'float32')) return false;
    if (PRODUCTS.has(node.op)) return node.inputs.slice(0, 2).every(isOfWeights);
    // Squares leave the range of float16 where what is squared does not.
    if (!FOLLOWERS.has(node.op) || (node.op === 'Mul' && node.inputs[0] === node.inputs[1])) return false;
    const numbers = node.inputs.filter(({ dtype }) => dtype === 'float32');
    return (
      numbers.some((v) => now(v).dtype === 'float16') &&
      numbers.every((v) => now(v).dtype === 'float16' || isPlain(graph, v))
    );
  };
  const repeat = (node: Node, as: 'float16' | 'float32'): void => {
    const inputs = node.inputs.map((v) => (as === 'float16' && v.dtype === 'float32' ? halved(v) : wide(v)));
    const results = node.outputs.map(({ dtype, shape }) => ({ dtype: dtype === 'float32' ? as : dtype, shape }));
    const outputs = emit(g, node.op, inputs, node.attributes, results);
    node.outputs.forEach((v, i) => {
      of.set(v, outputs[i]!);
    });
  };
  for (const node of graph.nodes) {
    const isNarrow = isHalved(node);
    const apart = isNarrow ? addedApart(node, now) : null;
    if (apart) {
      const { a, b, added } = apart;
      const product = emit(g, 'Gemm', [halved(a), halved(b)], node.attributes, [
        { dtype: 'float16', shape: node.outputs[0]!.shape },
      ])[0]!;
      of.set(node.outputs[0]!, op.Add(g, op.Cast(g, product, 'float32'), wide(added)));
    } else repeat(node, isNarrow ? 'float16' : 'float32');
  }
  for (const { name, value } of graph.outputs) output(g, name, wide(value));
  return prune(g);
}

/** What a product is added to on its way out, where that is a sum in float32 of its own: a gradient, or what layers carry on. */
function addedApart(node: Node, now: (v: Value) => Value): { a: Value; b: Value; added: Value } | null {
  const [a, b, added] = node.inputs;
  const isPlainSum = node.op === 'Gemm' && node.attributes.beta === undefined;
  return isPlainSum && a && b && added?.producer && now(added).dtype === 'float32' ? { a, b, added } : null;
}

/** Tells what weights have a part in; positions, masks and what is picked by them stay exact. */
function weighty(graph: Graph, trained: readonly Value[]): (v: Value) => boolean {
  const found = new Set<Value>(trained);
  for (const [value, data] of graph.initializers) if (data.type === 'external') found.add(value);
  for (const { inputs, outputs } of graph.nodes)
    if (inputs.some((v) => found.has(v))) for (const v of outputs) found.add(v);
  return (v) => found.has(v);
}

/** Whether a value is one constant number that float16 holds well. */
function isPlain(graph: Graph, value: Value): boolean {
  const constant = graph.initializers.get(value);
  if (value.shape.length > 0 || constant?.type !== 'inline') return false;
  const size = Math.abs(Number(constant.data[0]));
  return size === 0 || (size >= LEAST && size <= MOST);
}
