/** @file Attention over the tokens of a sequence: which may see which, and softmax(q k^T) v by heads. Vaswani et al. 2017. */
import { type Graph, scalar, type Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import { product } from '../graph/shape.ts';
import { type HeadWeights, type KeysAndValues, type ModelInputs, SIZES } from './architecture.ts';

/** Who may see whom. */
export interface Sight {
  /** Whether a token sees only itself and what stands before it. */
  readonly isCausal: boolean;
  /** Tokens at this distance or further are out of sight; null: none are. */
  readonly window: number | null;
}

/** What is added where a token may not be seen: finite, so that a row of nothing else is no NaN. */
const OUT_OF_SIGHT = -1e9;

/** Added to scores: 0 where a token sees another, else a large negative number. [B, 1, 1, S], or [B, 1, T, S]. */
export function sightBias(g: Graph, inputs: ModelInputs, { isCausal, window }: Sight): Value {
  const { attentionMask, queryIndex, keyIndex, segmentIds } = inputs;
  const far = scalar(g, OUT_OF_SIGHT, 'float32');
  const unlessOne = (seen: Value): Value => op.Mul(g, op.Sub(g, scalar(g, 1, 'float32'), seen), far);
  // How far behind the one who looks: [T, S].
  const behind = op.Sub(g, op.Unsqueeze(g, queryIndex, [1]), op.Unsqueeze(g, keyIndex, [0]));
  const distance = isCausal ? behind : op.Abs(g, behind);
  const hidden = [
    ...(isCausal ? [op.Greater(g, scalar(g, -0.5, 'float32'), behind)] : []),
    ...(window === null ? [] : [op.Greater(g, distance, scalar(g, window - 0.5, 'float32'))]),
  ].map((condition) => op.Mul(g, op.Cast(g, condition, 'float32'), far));
  const terms = [...hidden, ...(segmentIds ? [unlessOne(sameText(g, segmentIds))] : [])];
  const bias = terms.reduce((sum, term) => op.Add(g, sum, term), op.Unsqueeze(g, unlessOne(attentionMask), [1]));
  return op.Unsqueeze(g, bias, [1]);
}

/** 1 where two tokens of a row belong to one text, else 0: [B, T, T]. Whole numbers stay on the CPU where a GPU computes: as few as can be. */
function sameText(g: Graph, segmentIds: Value): Value {
  const ids = op.Cast(g, segmentIds, 'float32');
  return op.Cast(g, op.Equal(g, op.Unsqueeze(g, ids, [2]), op.Unsqueeze(g, ids, [1])), 'float32');
}

/** What a layer's queries look at: keys and values of the tokens at hand, and those kept from before. */
export function extended({ extend }: ModelInputs, layer: number, own: KeysAndValues): KeysAndValues {
  return extend ? extend(layer, own) : own;
}

export interface Heads {
  readonly heads: number;
  /** Heads of keys and values; each serves as many heads of queries (Ainslie et al. 2023, arXiv:2305.13245). */
  readonly keyHeads: number;
  readonly width: number;
}

/** [B*N, heads*width] by heads: [B, N, heads, width]. */
export function byHeads(
  g: Graph,
  x: Value,
  length: readonly [string, number | string],
  heads: number,
  width: number,
): Value {
  return op.Reshape(g, x, [...length, heads, width]);
}

/**
 * Queries [B, Q, heads, width], scaled already, over keys and values [B, T, keyHeads, width]; bias [B, 1, 1 or Q, T].
 * Gives [B*Q, heads*width].
 */
export function attend(g: Graph, q: Value, k: Value, v: Value, bias: Value, { heads, keyHeads, width }: Heads): Value {
  const [batch, queries] = q.shape as [string, string];
  const [, tokens] = k.shape as [string, string];
  const many = product([heads / keyHeads, queries]);
  const grouped = op.Reshape(g, op.Transpose(g, q, [0, 2, 1, 3]), [batch, keyHeads, many, width]);
  const scores = op.MatMul(g, grouped, op.Transpose(g, k, [0, 2, 3, 1]));
  const seen = op.Add(g, op.Reshape(g, scores, [batch, heads, queries, tokens]), bias);
  const weights = op.Reshape(g, op.Softmax(g, seen), [batch, keyHeads, many, tokens]);
  const mixed = op.Reshape(g, op.MatMul(g, weights, op.Transpose(g, v, [0, 2, 1, 3])), [batch, heads, queries, width]);
  return op.Reshape(g, op.Transpose(g, mixed, [0, 2, 1, 3]), [product([batch, queries]), heads * width]);
}

/**
 * The same for few queries [B, Q, heads, width] over hidden states [B*T, H]: the weights of keys act on the queries, those of
 * values on what is mixed, since q (W x) = (q W) x and sum p (W x) = W sum p x, and no key or value of a token is made. A
 * bias of keys adds the same to every score, so that the softmax forgets it.
 */
export function attendFew(
  g: Graph,
  q: Value,
  x: Value,
  { key, value, bias }: { key: HeadWeights; value: HeadWeights; bias: Value },
): Value {
  const [batch, queries, heads, width] = q.shape as [string, string, number, number];
  const hidden = x.shape[1]!;
  const states = op.Reshape(g, x, [batch, SIZES.tokens, hidden]);
  const rows = product([batch, queries]);
  /** [heads, B*Q, n] as [B, heads*Q, n], and back. */
  const byText = (y: Value): Value => {
    const n = y.shape[2]!;
    const apart = op.Transpose(g, op.Reshape(g, y, [heads, batch, queries, n]), [1, 0, 2, 3]);
    return op.Reshape(g, apart, [batch, product([heads, queries]), n]);
  };
  const byHead = (y: Value): Value => {
    const apart = op.Transpose(g, op.Reshape(g, y, [batch, heads, queries, hidden]), [1, 0, 2, 3]);
    return op.Reshape(g, apart, [heads, rows, hidden]);
  };
  const own = op.Reshape(g, op.Transpose(g, q, [2, 0, 1, 3]), [heads, rows, width]);
  const scores = op.MatMul(g, byText(backward(g, own, key)), op.Transpose(g, states, [0, 2, 1]));
  const seen = op.Softmax(g, op.Add(g, op.Reshape(g, scores, [batch, heads, queries, SIZES.tokens]), bias));
  const weights = op.Reshape(g, seen, [batch, product([heads, queries]), SIZES.tokens]);
  const mixed = forward(g, byHead(op.MatMul(g, weights, states)), value);
  const context = op.Transpose(g, op.Reshape(g, mixed, [heads, batch, queries, width]), [1, 2, 0, 3]);
  const flat = op.Reshape(g, context, [rows, heads * width]);
  return value.bias ? op.Add(g, flat, value.bias) : flat;
}

/** y W of each head, [heads, N, width] to [heads, N, inputs]. */
function backward(g: Graph, y: Value, { weight, lora }: HeadWeights): Value {
  const product = op.MatMul(g, y, weight);
  if (!lora) return product;
  const low = op.Mul(g, op.MatMul(g, y, lora.b), scalar(g, lora.scale, 'float32'));
  return op.Add(g, product, op.MatMul(g, low, lora.a));
}

/** x W^T of each head, [heads, N, inputs] to [heads, N, width]. */
function forward(g: Graph, x: Value, { weight, lora }: HeadWeights): Value {
  const product = op.MatMul(g, x, op.Transpose(g, weight, [0, 2, 1]));
  if (!lora) return product;
  const low = op.Mul(g, op.MatMul(g, x, op.Transpose(g, lora.a, [1, 0])), scalar(g, lora.scale, 'float32'));
  return op.Add(g, product, op.MatMul(g, low, op.Transpose(g, lora.b, [0, 2, 1])));
}
