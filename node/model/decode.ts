/**
 * @file The graph that writes text: tokens attend to themselves and to keys and values kept from before, and it gives logits of
 * the next word and the keys and values of its own tokens alone, which whoever runs it appends.
 */
import { createGraph, type Graph, input, output, prune, type Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import { type KeysAndValues, type Product, SIZES } from './architecture.ts';
import type { PlacedModel } from './base.ts';
import type { LoraSpec } from './lora.ts';
import { type PackedWeights, packedProduct } from './packed.ts';
import { baseWeights, openWeights } from './program.ts';
import { allLogits } from './words.ts';

export interface DecodeGraph {
  readonly graph: Graph;
  /** Heads of keys of each layer, and their width. */
  readonly layers: readonly { readonly heads: number; readonly width: number }[];
}

/**
 * Inputs: `input_ids`, `position_ids` [B, T]; `attention_mask` [B, S] of the kept and the new; `query_index` [T] and
 * `key_index` [S], the places of both in their sequence; `rows` [R], whose next word is asked for among the B*T tokens;
 * `past_keys.i` and `past_values.i` [B, P, heads, width] of each layer, S = P + T, P may be 0; with an adapter its `vector` [P].
 * With packed weights products are made of them, on the CPU alone. Outputs: `logits` [R, V]; `keys.i` and `values.i` [B, T, heads, width], turned to their positions.
 */
export function decodeGraph(
  base: PlacedModel,
  lora: LoraSpec | null,
  packed: PackedWeights | null = null,
): DecodeGraph {
  const g = createGraph();
  const { batch, tokens, keys, scored } = SIZES;
  const own: KeysAndValues[] = [];
  const inputs = {
    inputIds: input(g, 'input_ids', 'int64', [batch, tokens]),
    positionIds: input(g, 'position_ids', 'int64', [batch, tokens]),
    attentionMask: input(g, 'attention_mask', 'float32', [batch, keys]),
    queryIndex: input(g, 'query_index', 'float32', [tokens]),
    keyIndex: input(g, 'key_index', 'float32', [keys]),
    segmentIds: null,
    scored: { type: 'list' as const, rows: input(g, 'rows', 'int64', [scored]) },
    extend: (layer: number, made: KeysAndValues): KeysAndValues => {
      own.push(made);
      return {
        keys: afterPast(g, `past_keys.${layer}`, made.keys),
        values: afterPast(g, `past_values.${layer}`, made.values),
      };
    },
  };
  const product: Product = (_g, x, name) => packed && packedProduct(g, packed, x, name);
  const weights = lora ? openWeights(g, base, { type: 'lora', lora }, product).weights : baseWeights(g, base, product);
  const { trunk, head } = base.architecture;
  output(g, 'logits', allLogits(weights, head, trunk(weights, inputs), product));
  own.forEach(({ keys: k, values: v }, layer) => {
    output(g, `keys.${layer}`, k);
    output(g, `values.${layer}`, v);
  });
  const layers = own.map(({ keys: k }) => ({ heads: k.shape[2] as number, width: k.shape[3] as number }));
  return { graph: prune(g), layers };
}

/** Keys or values [B, T, heads, width] behind those of an input [B, P, heads, width]: [B, S, heads, width]. */
function afterPast(g: Graph, name: string, own: Value): Value {
  const [batch, , heads, width] = own.shape as [string, string, number, number];
  const past = input(g, name, 'float32', [batch, SIZES.past, heads, width]);
  return op.Concat(g, [past, own], 1, SIZES.keys);
}
