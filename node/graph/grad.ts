/**
 * @file Reverse-mode gradients as more graph: one table of rules and one sweep, which undoes broadcasting once.
 * After Griewank and Walther, "Evaluating Derivatives", 2008, chapter 3.
 */
import { emit, type Graph, GraphError, type Node, scalar, type Value } from './graph.ts';
import * as op from './ops.ts';
import { INT8_PRODUCT, int8Gradient } from './quantised.ts';
import { recomputing } from './recompute.ts';
import { product, sameShape } from './shape.ts';

/** Gradients with respect to a node's inputs (null: none), given those of its outputs (null: none arrived). */
type Rule = (g: Graph, node: Node, grads: readonly (Value | null)[]) => readonly (Value | null)[];

/**
 * d loss / d each of `wrt`, of their shapes; zeros where the loss does not depend on one. `loss` is a scalar. With `recompute`
 * what lies between two checkpoints is computed again when the sweep reaches it, from the first of them.
 */
export function gradients(g: Graph, loss: Value, wrt: readonly Value[], { recompute = false } = {}): Value[] {
  if (loss.shape.length !== 0)
    throw new GraphError('gradients', `the loss must be a scalar, is [${loss.shape}]`, [loss]);
  const active = dependents(g, wrt);
  const grads = new Map<Value, Value>([[loss, scalar(g, 1, loss.dtype)]]);
  const twinOf = recompute ? recomputing(g) : null;
  for (const node of g.nodes.slice().reverse()) {
    if (!active.has(node)) continue;
    const arrived = node.outputs.map((v) => grads.get(v) ?? null);
    if (arrived.every((v) => v === null)) continue;
    const rule = RULES[node.op];
    if (!rule) throw new GraphError(node.op, 'has no gradient rule; add one to the table in grad.ts', node.outputs);
    const twin = twinOf?.(node, () => [...arrived, ...wrt.map((v) => grads.get(v) ?? null)]) ?? node;
    rule(g, twin, arrived).forEach((grad, i) => {
      const target = node.inputs[i]!;
      if (!grad || !(wrt.includes(target) || (target.producer && active.has(target.producer)))) return;
      const fitted = unbroadcast(g, grad, target);
      const sum = grads.get(target);
      grads.set(target, sum ? accumulate(g, sum, fitted) : fitted);
    });
  }
  return wrt.map((v) => grads.get(v) ?? op.Expand(g, scalar(g, 0, v.dtype), v));
}

/** The nodes through which a change of `wrt` reaches anything. */
function dependents(g: Graph, wrt: readonly Value[]): Set<Node> {
  const active = new Set<Node>();
  const values = new Set<Value>(wrt);
  for (const node of g.nodes) {
    if (!node.inputs.some((v) => values.has(v))) continue;
    active.add(node);
    for (const v of node.outputs) values.add(v);
  }
  return active;
}

/** sum + term; a matrix product adds itself to the sum on its way out. */
function accumulate(g: Graph, sum: Value, term: Value): Value {
  const product = [term, sum].find((v) => v.producer?.op === 'Gemm' && v.producer.inputs.length === 2);
  if (!product) return op.Add(g, sum, term);
  const { inputs, attributes } = product.producer!;
  const other = product === term ? sum : term;
  return emit(g, 'Gemm', [...inputs, other], attributes, [{ dtype: product.dtype, shape: product.shape }])[0]!;
}

/** Sums a gradient over the axes along which the operand was repeated. */
function unbroadcast(g: Graph, grad: Value, target: Value): Value {
  if (sameShape(grad.shape, target.shape)) return grad;
  const extra = grad.shape.length - target.shape.length;
  const axes = grad.shape.flatMap((dim, i) => (i < extra || (target.shape[i - extra] === 1 && dim !== 1) ? [i] : []));
  const leading = axes.filter((axis) => axis < extra);
  const summed = op.ReduceSum(g, grad, axes, true);
  return leading.length === 0 ? summed : op.Squeeze(g, summed, leading);
}

const first = (grads: readonly (Value | null)[]): Value => grads[0]!;

/** A rule for one input and one output: x, y = op(x), dL/dy -> dL/dx. */
function unary(rule: (g: Graph, x: Value, y: Value, grad: Value) => Value): Rule {
  return (g, node, grads) => [rule(g, node.inputs[0]!, node.outputs[0]!, first(grads))];
}

/** A rule for two inputs and one output. */
function binary(rule: (g: Graph, a: Value, b: Value, y: Value, grad: Value) => [Value, Value]): Rule {
  return (g, node, grads) => rule(g, node.inputs[0]!, node.inputs[1]!, node.outputs[0]!, first(grads));
}

const RULES: Readonly<Record<string, Rule>> = {
  Add: binary((_g, _a, _b, _y, d) => [d, d]),
  Sub: binary((g, _a, _b, _y, d) => [d, op.Neg(g, d)]),
  Mul: binary((g, a, b, _y, d) => [op.Mul(g, d, b), op.Mul(g, d, a)]),
  Div: binary((g, _a, b, y, d) => [op.Div(g, d, b), op.Neg(g, op.Div(g, op.Mul(g, d, y), b))]),
  Max: binary((g, a, b, _y, d) => choose(g, op.Greater(g, a, b), d)),
  Min: binary((g, a, b, _y, d) => choose(g, op.Greater(g, b, a), d)),
  Pow: binary((g, a, b, y, d) => [
    op.Mul(g, d, op.Mul(g, b, op.Pow(g, a, op.Sub(g, b, scalar(g, 1, b.dtype))))),
    op.Mul(g, d, op.Mul(g, y, op.Log(g, a))),
  ]),
  Where: (g, node, grads) => [null, ...choose(g, node.inputs[0]!, first(grads))],
  Cast: unary((g, x, _y, d) => op.Cast(g, d, x.dtype)),
  Neg: unary((g, _x, _y, d) => op.Neg(g, d)),
  Abs: unary((g, x, _y, d) => op.Where(g, op.Greater(g, x, scalar(g, 0, x.dtype)), d, op.Neg(g, d))),
  Exp: unary((g, _x, y, d) => op.Mul(g, d, y)),
  Log: unary((g, x, _y, d) => op.Div(g, d, x)),
  Sqrt: unary((g, _x, y, d) => op.Div(g, op.Mul(g, d, scalar(g, 0.5, d.dtype)), y)),
  Reciprocal: unary((g, _x, y, d) => op.Neg(g, op.Mul(g, d, op.Mul(g, y, y)))),
  Erf: unary((g, x, _y, d) => op.Mul(g, d, scaledGaussian(g, x, 2 / Math.sqrt(Math.PI)))),
  Tanh: unary((g, _x, y, d) => op.Mul(g, d, op.Sub(g, scalar(g, 1, y.dtype), op.Mul(g, y, y)))),
  Sigmoid: unary((g, _x, y, d) => op.Mul(g, d, op.Mul(g, y, op.Sub(g, scalar(g, 1, y.dtype), y)))),
  Cos: unary((g, x, _y, d) => op.Neg(g, op.Mul(g, d, op.Sin(g, x)))),
  Sin: unary((g, x, _y, d) => op.Mul(g, d, op.Cos(g, x))),
  Gelu: unary(geluGradient),
  MatMul: (g, node, grads) => matMulGradient(g, node.inputs[0]!, node.inputs[1]!, first(grads)),
  Gemm: (g, node, grads) => gemmGradient(g, node, first(grads)),
  [INT8_PRODUCT]: (g, node, grads) => [int8Gradient(g, node, first(grads)), null, null],
  /** Only `stopGradient` makes one. */
  Identity: () => [null],
  Transpose: unary((g, _x, y, d) => {
    const perm = y.producer!.attributes.perm as readonly number[];
    return op.Transpose(
      g,
      d,
      perm.map((_, i) => perm.indexOf(i)),
    );
  }),
  Reshape: (g, node, grads) => [op.Reshape(g, first(grads), node.inputs[0]!.shape), null],
  Squeeze: (g, node, grads) => [op.Unsqueeze(g, first(grads), axesOf(g, node)), null],
  Unsqueeze: (g, node, grads) => [op.Squeeze(g, first(grads), axesOf(g, node)), null],
  Expand: (_g, _node, grads) => [first(grads), null],
  Concat: (g, node, grads) => {
    const axis = node.attributes.axis as number;
    return op.Split(
      g,
      first(grads),
      node.inputs.map((v) => v.shape[axis] as number),
      axis,
    );
  },
  Split: (g, node, grads) => {
    const pieces = grads.map((d, i) => d ?? op.Expand(g, scalar(g, 0, node.outputs[i]!.dtype), node.outputs[i]!));
    return [op.Concat(g, pieces, node.attributes.axis as number), null];
  },
  Gather: (g, node, grads) => {
    const [data, indices] = node.inputs as [Value, Value];
    const zeros = op.Expand(g, scalar(g, 0, data.dtype), data);
    return [op.ScatterND(g, zeros, op.Unsqueeze(g, indices, [indices.shape.length]), first(grads)), null];
  },
  ReduceSum: (g, node, grads) => [op.Expand(g, keptDims(g, node, first(grads)), node.inputs[0]!), null],
  ReduceMean: (g, node, grads) => {
    const x = node.inputs[0]!;
    const [all, left] = [elementCount(g, x), elementCount(g, node.outputs[0]!)];
    return [op.Expand(g, op.Div(g, op.Mul(g, keptDims(g, node, first(grads)), left), all), x), null];
  },
  ReduceMax: (g, node, grads) => {
    const x = node.inputs[0]!;
    const best = op.Cast(g, op.Equal(g, x, keptDims(g, node, node.outputs[0]!)), x.dtype);
    const ties = op.ReduceSum(g, best, axesOf(g, node), true);
    return [op.Mul(g, best, op.Div(g, keptDims(g, node, first(grads)), ties)), null];
  },
  Softmax: unary((g, x, y, d) => {
    const along = op.ReduceSum(g, op.Mul(g, d, y), [x.shape.length - 1], true);
    return op.Mul(g, y, op.Sub(g, d, along));
  }),
  LayerNormalization: layerNormalizationGradient,
};

/** Routes a gradient to the first operand where the condition holds, else to the second. */
function choose(g: Graph, condition: Value, d: Value): [Value, Value] {
  const zero = scalar(g, 0, d.dtype);
  return [op.Where(g, condition, d, zero), op.Where(g, condition, zero, d)];
}

/** factor * exp(-x^2). */
function scaledGaussian(g: Graph, x: Value, factor: number): Value {
  const exponent = op.Sub(g, scalar(g, Math.log(factor), x.dtype), op.Mul(g, x, x));
  return op.Exp(g, exponent);
}

/** y = x Phi(x): dy/dx = Phi(x) + x phi(x), with t = x / sqrt 2 and x phi(x) = t exp(-t^2) / sqrt pi. */
function geluGradient(g: Graph, x: Value, _y: Value, d: Value): Value {
  const half = scalar(g, 0.5, x.dtype);
  const t = op.Mul(g, x, scalar(g, Math.SQRT1_2, x.dtype));
  const phi = op.Add(g, op.Mul(g, op.Erf(g, t), half), half);
  const slope = op.Mul(g, t, scaledGaussian(g, t, 1 / Math.sqrt(Math.PI)));
  return op.Mul(g, d, op.Add(g, phi, slope));
}

function matMulGradient(g: Graph, a: Value, b: Value, d: Value): [Value, Value] {
  const da = op.MatMul(g, d, swapLast(g, b));
  if (b.shape.length > 2 || a.shape.length === 2) return [da, op.MatMul(g, swapLast(g, a), d)];
  // A matrix shared by the whole batch: one tall product instead of a batch of products and a sum.
  const tall = (v: Value): Value => op.Reshape(g, v, [product(v.shape.slice(0, -1)), v.shape.at(-1)!]);
  return [da, op.Gemm(g, tall(a), tall(d), null, { transA: true })];
}

/** Y = alpha op(A) op(B) + beta C. */
function gemmGradient(g: Graph, node: Node, d: Value): (Value | null)[] {
  const [a, wide, c] = node.inputs as [Value, Value, Value | undefined];
  // Widened again, rather than held from the forward pass.
  const b = op.storedAs(wide);
  const number = (name: string): number => (node.attributes[name] as { float: number } | undefined)?.float ?? 1;
  const [transA, transB, alpha] = [node.attributes.transA === 1, node.attributes.transB === 1, number('alpha')];
  const da = transA
    ? op.Gemm(g, wide, d, null, { alpha, transA: transB, transB: true })
    : op.Gemm(g, d, b, null, { alpha, transB: !transB });
  const db =
    b !== wide
      ? null
      : transB
        ? op.Gemm(g, d, a, null, { alpha, transA: true, transB: transA })
        : op.Gemm(g, a, d, null, { alpha, transA: !transA });
  if (!c) return [da, db];
  const beta = number('beta');
  return [da, db, beta === 1 ? d : op.Mul(g, d, scalar(g, beta, d.dtype))];
}

function layerNormalizationGradient(g: Graph, node: Node, grads: readonly (Value | null)[]): Value[] {
  const [x, scale, bias] = node.inputs as [Value, Value, Value];
  const [, mean, inverse] = node.outputs as [Value, Value, Value];
  const d = first(grads);
  const last = [x.shape.length - 1];
  const normal = op.Mul(g, op.Sub(g, x, op.Cast(g, mean, x.dtype)), op.Cast(g, inverse, x.dtype));
  const dn = op.Mul(g, d, scale);
  const along = op.ReduceMean(g, op.Mul(g, dn, normal), last, true);
  const centred = op.Sub(g, dn, op.ReduceMean(g, dn, last, true));
  const dx = op.Mul(g, op.Cast(g, inverse, x.dtype), op.Sub(g, centred, op.Mul(g, normal, along)));
  return [dx, unbroadcast(g, op.Mul(g, d, normal), scale), unbroadcast(g, d, bias)];
}

/** The gradient (or result) of a reduction with its reduced axes back as ones. */
function keptDims(g: Graph, node: Node, d: Value): Value {
  return node.attributes.keepdims === 1 ? d : op.Unsqueeze(g, d, axesOf(g, node));
}

/** The axes a node was given as its second, constant input. */
function axesOf(g: Graph, node: Node): number[] {
  const initializer = g.initializers.get(node.inputs[1]!);
  if (initializer?.type !== 'inline') throw new GraphError(node.op, 'axes must be constant', node.inputs);
  return Array.from(initializer.data as BigInt64Array, Number);
}

/** The number of elements of a tensor as a scalar of its dtype. */
function elementCount(g: Graph, x: Value): Value {
  if (x.shape.every((dim) => typeof dim === 'number')) {
    return scalar(
      g,
      (x.shape as number[]).reduce((a, b) => a * b, 1),
      x.dtype,
    );
  }
  const size = emit(g, 'Size', [x], {}, [{ dtype: 'int64', shape: [] }])[0]!;
  return op.Cast(g, size, x.dtype);
}

function swapLast(g: Graph, x: Value): Value {
  const perm = x.shape.map((_, i) => i);
  const n = perm.length;
  [perm[n - 2], perm[n - 1]] = [n - 1, n - 2];
  return op.Transpose(g, x, perm);
}

/** The ops that have a gradient rule. */
export function ruleNames(): string[] {
  return Object.keys(RULES).sort();
}
