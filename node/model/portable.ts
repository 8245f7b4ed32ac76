/**
 * @file The graph as other programs run it: inputs and outputs by the names that Optimum and transformers.js know, the adapter
 * merged into the weights it refers to.
 */
import { createGraph, type Graph, input, output, prune, scalar, type Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import { type KeysAndValues, type ModelInputs, SIZES } from './architecture.ts';
import type { PlacedModel } from './base.ts';
import { baseWeights } from './program.ts';
import { allLogits } from './words.ts';

const { batch, tokens, keys, past } = SIZES;

/**
 * Of a masked model: `input_ids`, `attention_mask` and, where it has types, `token_type_ids` [B, T] int64; `logits` [B, T, V].
 * Of a causal one: `input_ids`, `position_ids` [B, T], `attention_mask` [B, S] int64, `past_key_values.i.key` and `.value`
 * [B, heads, P, width]; `logits`, and `present.i.key` and `.value` [B, heads, S, width], S = P + T.
 */
export function portableGraph(base: PlacedModel): Graph {
  const g = createGraph();
  const inputs = base.architecture.isCausal ? causalInputs(g) : maskedInputs(g, base);
  const weights = baseWeights(g, base);
  const { trunk, head, vocabulary } = base.architecture;
  const logits = allLogits(weights, head, trunk(weights, inputs));
  output(g, 'logits', op.Reshape(g, logits, [batch, tokens, vocabulary]));
  // Those of keys and values were declared as they were made; the logits come first.
  g.outputs.unshift(g.outputs.pop()!);
  return prune(g);
}

function maskedInputs(g: Graph, base: PlacedModel): ModelInputs {
  const ids = input(g, 'input_ids', 'int64', [batch, tokens]);
  const mask = input(g, 'attention_mask', 'int64', [batch, tokens]);
  const places = op.Range(g, scalar(g, 0, 'int64'), sizeOf(g, ids, 1), tokens);
  const index = op.Cast(g, places, 'float32');
  // RoBERTa has a table of types, but its tokenizer tells of none.
  const hasTypes = base.architecture.parameters.some(({ name }) => name.startsWith('bert.embeddings.token_type'));
  return {
    inputIds: ids,
    positionIds: op.Unsqueeze(g, places, [0]),
    attentionMask: op.Cast(g, mask, 'float32'),
    queryIndex: index,
    keyIndex: index,
    segmentIds: null,
    scored: { type: 'all' },
    ...(hasTypes ? { typeIds: input(g, 'token_type_ids', 'int64', [batch, tokens]) } : {}),
  };
}

function causalInputs(g: Graph): ModelInputs {
  const ids = input(g, 'input_ids', 'int64', [batch, tokens]);
  const mask = input(g, 'attention_mask', 'int64', [batch, keys]);
  const positionIds = input(g, 'position_ids', 'int64', [batch, tokens]);
  const all = sizeOf(g, mask, 1);
  const index = (from: Value, size: string): Value => op.Cast(g, op.Range(g, from, all, size), 'float32');
  return {
    inputIds: ids,
    positionIds,
    attentionMask: op.Cast(g, mask, 'float32'),
    queryIndex: index(op.Sub(g, all, sizeOf(g, ids, 1)), tokens),
    keyIndex: index(scalar(g, 0, 'int64'), keys),
    segmentIds: null,
    scored: { type: 'all' },
    extend: (layer, own) => ({
      keys: extended(g, `${layer}.key`, own.keys),
      values: extended(g, `${layer}.value`, own.values),
    }),
  };
}

/** Keys or values [B, T, heads, width] behind those of before, which come and go as [B, heads, P or S, width]. */
function extended(g: Graph, name: string, own: KeysAndValues['keys']): Value {
  const [, , heads, width] = own.shape as [string, string, number, number];
  const before = input(g, `past_key_values.${name}`, 'float32', [batch, heads, past, width]);
  const present = op.Concat(g, [before, op.Transpose(g, own, [0, 2, 1, 3])], 2, keys);
  output(g, `present.${name}`, present);
  return op.Transpose(g, present, [0, 2, 1, 3]);
}

/** A size of an input, as an int64 scalar. */
function sizeOf(g: Graph, x: Value, axis: number): Value {
  return op.Squeeze(g, op.Shape(g, x, axis, axis + 1), [0]);
}
