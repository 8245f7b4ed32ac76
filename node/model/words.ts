/**
 * @file From hidden states to words: logits of a few, or the log-probability of one among all, whose logits are made a piece of
 * the vocabulary at a time, twice, so that the whole of them is never held.
 */
import { type Graph, scalar, type Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import type { Head, Weights } from './architecture.ts';

/** Words of a piece of the vocabulary: of 2,048 rows their logits are 64 MB. */
const PIECE = 8192;

/** Logits [N, K] of the words with the given ids [K], for hidden states [N, H]. */
export function wordLogits(w: Weights, head: Head, hidden: Value, ids: Value): Value {
  const g = w.graph;
  const words = op.Gather(g, w.parameter(head.weight), ids);
  const added = head.bias === undefined ? null : op.Gather(g, w.parameter(head.bias), ids);
  return capped(g, op.Gemm(g, head.transform(w, hidden), words, added, { transB: true }), head.cap);
}

/** Logits [N, V] of every word, for hidden states [N, H]; `product` multiplies with the output embedding where it can. */
export function allLogits(
  w: Weights,
  head: Head,
  hidden: Value,
  product: (g: Graph, x: Value, name: string) => Value | null = () => null,
): Value {
  const g = w.graph;
  const bias = head.bias === undefined ? null : w.parameter(head.bias);
  const states = head.transform(w, hidden);
  const packed = product(g, states, head.weight);
  const logits = packed
    ? bias
      ? op.Add(g, packed, bias)
      : packed
    : op.Gemm(g, states, w.parameter(head.weight), bias, { transB: true });
  return capped(g, logits, head.cap);
}

/** log softmax(logits)_target: [N, 1], for hidden states [N, H] and target ids [N]. */
export function logProbabilities(
  w: Weights,
  head: Head,
  { hidden, targetIds, piece: size = PIECE }: { hidden: Value; targetIds: Value; piece?: number },
): Value {
  const g = w.graph;
  const states = head.transform(w, hidden);
  const pieces = vocabularyPieces(w, head, size);
  if (!pieces) return op.Sub(g, ownLogits(w, head, states, targetIds), logSumExp(g, allLogits(w, head, hidden)));
  const weight = op.Gather(g, w.parameter(head.weight), targetIds);
  const own = ownLogits(w, head, op.stopGradient(g, states), targetIds);
  const total = pieces
    .map((piece) => logSumExp(g, pieceLogits(g, head, op.stopGradient(g, states), piece)))
    .reduce((a, b) => logAddExp(g, a, b));
  // Made a second time from what looks like another matrix: else both would be one, and all of it held.
  const again = op.Add(g, op.stopGradient(g, states), op.Mul(g, total, scalar(g, 0, 'float32')));
  const expected = pieces.reduce<Value | null>((sum, piece) => {
    const logits = pieceLogits(g, head, again, piece);
    const probability = op.Mul(g, op.Exp(g, op.Sub(g, logits, total)), slopeOfCap(g, logits, head.cap) ?? one(g));
    return op.Gemm(g, probability, piece.weight, sum);
  }, null)!;
  const slope = slopeOfCap(g, own, head.cap);
  const direction = op.Sub(g, slope ? op.Mul(g, weight, slope) : weight, expected);
  // d log p_t / dh = W_t - sum_v p_v W_v; what is added is zero, and has that gradient.
  const change = op.Mul(g, op.stopGradient(g, direction), op.Sub(g, states, op.stopGradient(g, states)));
  const value = op.stopGradient(g, op.Sub(g, own, total));
  return op.Add(g, value, op.ReduceSum(g, change, [1], true));
}

interface Piece {
  /** [words, H] */
  readonly weight: Value;
  /** [words] */
  readonly bias: Value | null;
}

/** The output embedding cut by words; null where it is trained, or no longer than a piece. */
function vocabularyPieces(w: Weights, head: Head, words: number): Piece[] | null {
  const [size] = w.parameter(head.weight).shape as [number];
  if (size <= words) return null;
  const pieces: Piece[] = [];
  for (let from = 0; from < size; from += words) {
    const to = Math.min(size, from + words);
    const weight = w.rows(head.weight, from, to);
    if (!weight) return null;
    pieces.push({ weight, bias: head.bias === undefined ? null : w.rows(head.bias, from, to) });
  }
  return pieces;
}

function pieceLogits(g: Graph, { cap }: Head, states: Value, { weight, bias }: Piece): Value {
  return capped(g, op.Gemm(g, states, weight, bias, { transB: true }), cap);
}

/** The logit of each row's own word: [N, 1]. */
function ownLogits(w: Weights, head: Head, states: Value, targetIds: Value): Value {
  const g = w.graph;
  const product = op.ReduceSum(g, op.Mul(g, states, op.Gather(g, w.parameter(head.weight), targetIds)), [1], true);
  if (head.bias === undefined) return capped(g, product, head.cap);
  const bias = op.Unsqueeze(g, op.Gather(g, w.parameter(head.bias), targetIds), [1]);
  return capped(g, op.Add(g, product, bias), head.cap);
}

function capped(g: Graph, logits: Value, cap: number | null): Value {
  if (cap === null) return logits;
  const most = scalar(g, cap, 'float32');
  return op.Mul(g, op.Tanh(g, op.Div(g, logits, most)), most);
}

/** What a capped logit changes by where it would change by one uncapped: 1 - (z / cap)^2; null without a cap. */
function slopeOfCap(g: Graph, capped: Value, cap: number | null): Value | null {
  if (cap === null) return null;
  const share = op.Div(g, capped, scalar(g, cap, 'float32'));
  return op.Sub(g, one(g), op.Mul(g, share, share));
}

/** log sum exp over the last axis of [N, K], kept: [N, 1]. The maximum only shifts, so no gradient passes through it. */
export function logSumExp(g: Graph, x: Value): Value {
  const max = op.stopGradient(g, op.ReduceMax(g, x, [1], true));
  return op.Add(g, max, op.Log(g, op.ReduceSum(g, op.Exp(g, op.Sub(g, x, max)), [1], true)));
}

/** log(exp a + exp b), of one shape. */
function logAddExp(g: Graph, a: Value, b: Value): Value {
  const max = op.Max(g, a, b);
  return op.Add(g, max, op.Log(g, op.Add(g, op.Exp(g, op.Sub(g, a, max)), op.Exp(g, op.Sub(g, b, max)))));
}

const one = (g: Graph): Value => scalar(g, 1, 'float32');
