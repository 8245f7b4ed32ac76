/** @file What layers of many architectures share: norms, activations, embeddings of tokens, the rows that are scored. */
import { constant, type Graph, scalar, type Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import { product } from '../graph/shape.ts';
import { type ModelInputs, type Parameter, SIZES, type Weights } from './architecture.ts';

/** LayerNorm over the last axis (Ba et al. 2016); without a bias where the model has none. */
export function layerNorm(w: Weights, module: string, x: Value, epsilon: number, hasBias = true): Value {
  const scale = w.parameter(`${module}.weight`);
  const size = scale.shape[0] as number;
  const bias = hasBias ? w.parameter(`${module}.bias`) : constant(w.graph, new Float32Array(size), [size]);
  return op.LayerNormalization(w.graph, x, scale, bias, epsilon).y;
}

/** x / rms(x) times its weight plus `offset`, over the last axis. Zhang and Sennrich 2019, arXiv:1910.07467. */
export function rmsNorm(
  w: Weights,
  module: string,
  x: Value,
  { epsilon, offset = 0, scale = 1 }: { epsilon: number; offset?: number; scale?: number },
): Value {
  const g = w.graph;
  const number = (n: number): Value => scalar(g, n, 'float32');
  const last = x.shape.length - 1;
  const square = op.ReduceMean(g, op.Mul(g, x, x), [last], true);
  const normal = op.Div(g, x, op.Sqrt(g, op.Add(g, square, number(epsilon))));
  const weight = w.parameter(`${module}.weight`);
  const shifted = offset === 0 ? weight : op.Add(g, weight, number(offset));
  return op.Mul(g, normal, scale === 1 ? shifted : op.Mul(g, shifted, number(scale)));
}

/** Activations by the names that configurations give them. */
export const ACTIVATIONS: Readonly<Record<string, (g: Graph, x: Value) => Value>> = {
  gelu: op.Gelu,
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  silu: (g, x) => op.Mul(g, x, op.Sigmoid(g, x)),
};

/** x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2. Hendrycks and Gimpel 2016. */
function geluTanh(g: Graph, x: Value): Value {
  const number = (n: number): Value => scalar(g, n, 'float32');
  const cubic = op.Mul(g, op.Mul(g, op.Mul(g, x, x), x), number(0.044715));
  const inner = op.Mul(g, op.Add(g, x, cubic), number(Math.sqrt(2 / Math.PI)));
  return op.Mul(g, op.Mul(g, x, number(0.5)), op.Add(g, op.Tanh(g, inner), number(1)));
}

/** The scored rows of x [B*T, width]: [B*M, width], or [R, width]. */
function pickRows(g: Graph, { scored }: ModelInputs, x: Value): Value {
  if (scored.type === 'all') return x;
  if (scored.type === 'list') return op.Gather(g, x, scored.rows);
  const width = x.shape[1]!;
  const picked = op.MatMul(g, scored.select, op.Reshape(g, x, [SIZES.batch, SIZES.tokens, width]));
  return op.Reshape(g, picked, [product([SIZES.batch, SIZES.rows]), width]);
}

/** Of what a layer makes of every token, the rows that are carried on: after the last attention those that are scored. */
export function rowsAfter(g: Graph, inputs: ModelInputs, isLast: boolean): (x: Value) => Value {
  return isLast ? (x) => pickRows(g, inputs, x) : (x) => x;
}

/** How a layer narrows its tokens to the rows that are scored. */
export interface Narrowing {
  /** Of what comes into the layer, those that look at others. */
  queries(x: Value): Value;
  /** Of the queries, and of what attention gives for them, those that are carried on. */
  rows(x: Value): Value;
  /** Queries of a sequence. */
  readonly length: string;
  /** Of a bias [B, 1, 1 or T, S] or of positions [B, T], what belongs to the queries. */
  bias(bias: Value): Value;
  positions(positions: Value): Value;
}

/**
 * Past the last attention only the scored rows matter. Where each sequence has as many, only they are queried; those of a list
 * are picked after.
 */
export function narrowing(g: Graph, inputs: ModelInputs, isLast: boolean): Narrowing {
  const { scored } = inputs;
  const same = (x: Value): Value => x;
  const pick = (x: Value): Value => pickRows(g, inputs, x);
  const all = { queries: same, bias: same, positions: same, length: SIZES.tokens };
  if (!isLast) return { ...all, rows: same };
  if (scored.type !== 'each') return { ...all, rows: pick };
  const { select } = scored;
  return {
    queries: pick,
    rows: same,
    length: SIZES.rows,
    bias: (x) => (x.shape[2] === 1 ? x : op.Unsqueeze(g, op.MatMul(g, select, op.Squeeze(g, x, [1])), [1])),
    positions: (x) => op.Squeeze(g, op.MatMul(g, select, op.Unsqueeze(g, x, [2])), [2]),
  };
}

/** [B, T, H] as [B*T, H]. */
export function flat(g: Graph, x: Value): Value {
  return op.Reshape(g, x, [product(x.shape.slice(0, -1)), x.shape.at(-1)!]);
}

/** Weight and, where there is one, bias of each norm. */
export function normParameters(modules: readonly string[], size: number, hasBias = true): Parameter[] {
  return modules.flatMap((module) => [
    { name: `${module}.weight`, shape: [size] },
    ...(hasBias ? [{ name: `${module}.bias`, shape: [size] }] : []),
  ]);
}
