/** @file What layers of many architectures share: norms, activations, embeddings of tokens, the rows that are scored. */
import { constant, type Graph, scalar, type Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import { product } from '../graph/shape.ts';
import type { ModelInputs, Parameter, Weights } from './architecture.ts';

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

/** The sizes of a batch, as the inputs carry them. */
export function sizesOf({ inputIds, select }: ModelInputs): { batch: string; tokens: string; rows: string } {
  const [batch, tokens] = inputIds.shape as [string, string];
  return { batch, tokens, rows: select.shape[1] as string };
}

/** The scored rows of x [B*T, width]: [B*M, width]. */
export function pickRows(g: Graph, inputs: ModelInputs, x: Value): Value {
  const { batch, tokens, rows } = sizesOf(inputs);
  const width = x.shape[1]!;
  const picked = op.MatMul(g, inputs.select, op.Reshape(g, x, [batch, tokens, width]));
  return op.Reshape(g, picked, [product([batch, rows]), width]);
}

/** [B, T, H] as [B*T, H]. */
export function flat(g: Graph, x: Value): Value {
  return op.Reshape(g, x, [product(x.shape.slice(0, -1)), x.shape.at(-1)!]);
}

/** Logits [N, K] of the label words for hidden states [N, H]: their rows of the output embedding, and bias where there is one. */
export function wordLogits(
  w: Weights,
  hidden: Value,
  labelIds: Value,
  { weight, bias }: { weight: string; bias?: string },
): Value {
  const g = w.graph;
  const words = op.Gather(g, w.parameter(weight), labelIds);
  const added = bias === undefined ? null : op.Gather(g, w.parameter(bias), labelIds);
  return op.Gemm(g, hidden, words, added, { transB: true });
}

/** Weight and, where there is one, bias of each norm. */
export function normParameters(modules: readonly string[], size: number, hasBias = true): Parameter[] {
  return modules.flatMap((module) => [
    { name: `${module}.weight`, shape: [size] },
    ...(hasBias ? [{ name: `${module}.bias`, shape: [size] }] : []),
  ]);
}
