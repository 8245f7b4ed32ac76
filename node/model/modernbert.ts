/**
 * @file ModernBERT: a masked encoder with norms before each part, rotary positions, a gated feed-forward, and windows in most
 * layers. Warner et al. 2024, arXiv:2412.13663.
 */
import { checkpoint, scalar, type Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import {
  type Architecture,
  type Linear,
  linearParameters,
  type ModelInputs,
  SIZES,
  type Weights,
} from './architecture.ts';
import { attend, byHeads, sightBias } from './attention.ts';
import { type ConfigReader, MAX_LAYERS, readLayerTypes } from './fields.ts';
import { fingerprintOf } from './fingerprint.ts';
import { flat, layerNorm, normParameters, rowsAfter } from './layers.ts';
import { type Frequencies, readFrequencies, rotate, turnAt } from './rotary.ts';

interface Layer {
  readonly window: number | null;
  readonly frequencies: Frequencies;
}

interface ModernBert {
  readonly vocabulary: number;
  readonly hidden: number;
  readonly heads: number;
  readonly feedForward: number;
  readonly layers: readonly Layer[];
  readonly epsilon: number;
  readonly hasNormBias: boolean;
  readonly hasAttentionBias: boolean;
  readonly hasFeedForwardBias: boolean;
  readonly hasHeadBias: boolean;
}

/** Fields that change nothing of what is computed here. */
const WITHOUT_EFFECT = [
  ...['attention_dropout', 'embedding_dropout', 'mlp_dropout', 'classifier_dropout', 'classifier_pooling'],
  ...['initializer_range', 'initializer_cutoff_factor', 'pad_token_id', 'bos_token_id', 'eos_token_id', 'cls_token_id'],
  ...['sep_token_id', 'mask_token_id', 'deterministic_flash_attn', 'sparse_prediction', 'sparse_pred_ignore_index'],
  ...[
    'reference_compile',
    'repad_logits_with_grad',
    'gradient_checkpointing',
    'position_embedding_type',
    'layer_norm_eps',
  ],
];

const EMBEDDINGS = 'model.embeddings';
const layerName = (i: number): string => `model.layers.${i}`;

/** Reads the settings of a ModernBERT and describes it. Throws on what the graph does not do. */
export function createModernBert(reader: ConfigReader): Architecture {
  reader.expect('hidden_activation', ['gelu'], 'gelu');
  reader.expect('classifier_activation', ['gelu'], 'gelu');
  reader.expect('tie_word_embeddings', [true], true);
  reader.expect('decoder_bias', [true], true);
  const [hidden, heads] = [reader.integer('hidden_size'), reader.integer('num_attention_heads')];
  if (hidden % heads !== 0) reader.fail(`hidden_size ${hidden} is no multiple of ${heads} heads`);
  const c: ModernBert = {
    vocabulary: reader.integer('vocab_size'),
    hidden,
    heads,
    feedForward: reader.integer('intermediate_size'),
    layers: readLayers(reader, hidden / heads),
    epsilon: reader.positive('norm_eps', 1e-5),
    hasNormBias: reader.flag('norm_bias'),
    hasAttentionBias: reader.flag('attention_bias'),
    hasFeedForwardBias: reader.flag('mlp_bias'),
    hasHeadBias: reader.flag('classifier_bias'),
  };
  const positions = reader.integer('max_position_embeddings');
  reader.known(WITHOUT_EFFECT);
  const linears = linearsOf(c);
  const words = `${EMBEDDINGS}.tok_embeddings.weight`;
  const norms = c.layers.flatMap((_, i) => [
    ...(i === 0 ? [] : [`${layerName(i)}.attn_norm`]),
    `${layerName(i)}.mlp_norm`,
  ]);
  return {
    fingerprint: fingerprintOf(c),
    isCausal: false,
    maxTokens: positions,
    vocabulary: c.vocabulary,
    tied: [['decoder.weight', words]],
    unread: /rotary_emb\.inv_freq$/,
    parameters: [
      { name: words, shape: [c.vocabulary, c.hidden] },
      ...normParameters([`${EMBEDDINGS}.norm`, ...norms, 'model.final_norm', 'head.norm'], c.hidden, c.hasNormBias),
      ...linearParameters(linears),
      { name: 'decoder.bias', shape: [c.vocabulary] },
    ],
    linears,
    trunk: (weights, inputs) => trunk(c, weights, inputs),
    head: {
      transform: (w, states) =>
        layerNorm(w, 'head.norm', op.Gelu(w.graph, w.linear(states, 'head.dense')), c.epsilon, c.hasNormBias),
      weight: words,
      bias: 'decoder.bias',
      cap: null,
    },
  };
}

function readLayers(reader: ConfigReader, width: number): Layer[] {
  const count = reader.integer('num_hidden_layers', MAX_LAYERS);
  const every = reader.integerOr('global_attn_every_n_layers', 3);
  const types = readLayerTypes(reader, count);
  const reach = Math.floor(reader.integerOr('local_attention', 128) / 2);
  const frequencies = (layers: string, field: string, theta: number): Frequencies =>
    readFrequencies(reader, width, { layers, field, theta });
  // Layers of one kind are one object, whose turn and sight are built once.
  const whole: Layer = { window: null, frequencies: frequencies('full_attention', 'global_rope_theta', 160_000) };
  const windowed: Layer = {
    window: reach + 1,
    frequencies: frequencies('sliding_attention', 'local_rope_theta', 10_000),
  };
  return Array.from({ length: count }, (_, i) =>
    (types === null ? i % every === 0 : types[i] === 'full_attention') ? whole : windowed,
  );
}

function linearsOf(c: ModernBert): Linear[] {
  const layers = c.layers.flatMap((_, i): Linear[] => [
    { module: `${layerName(i)}.attn.Wqkv`, inputs: c.hidden, outputs: 3 * c.hidden, hasBias: c.hasAttentionBias },
    { module: `${layerName(i)}.attn.Wo`, inputs: c.hidden, outputs: c.hidden, hasBias: c.hasAttentionBias },
    { module: `${layerName(i)}.mlp.Wi`, inputs: c.hidden, outputs: 2 * c.feedForward, hasBias: c.hasFeedForwardBias },
    { module: `${layerName(i)}.mlp.Wo`, inputs: c.feedForward, outputs: c.hidden, hasBias: c.hasFeedForwardBias },
  ]);
  return [...layers, { module: 'head.dense', inputs: c.hidden, outputs: c.hidden, hasBias: c.hasHeadBias }];
}

function trunk(c: ModernBert, w: Weights, inputs: ModelInputs): Value {
  const g = w.graph;
  const norm = (module: string, x: Value): Value => layerNorm(w, module, x, c.epsilon, c.hasNormBias);
  const shape = { heads: c.heads, keyHeads: c.heads, width: c.hidden / c.heads };
  const heads = (x: Value): Value => byHeads(g, x, [SIZES.batch, SIZES.tokens], c.heads, shape.width);
  const positions = op.Cast(g, inputs.positionIds, 'float32');
  const scale = scalar(g, shape.width ** -0.5, 'float32');
  let x = flat(
    g,
    norm(`${EMBEDDINGS}.norm`, op.Gather(g, w.parameter(`${EMBEDDINGS}.tok_embeddings.weight`), inputs.inputIds)),
  );
  const turns = new Map([...new Set(c.layers)].map((layer) => [layer, turnAt(g, positions, layer.frequencies)]));
  c.layers.forEach((layer, i) => {
    x = checkpoint(g, x);
    const at = layerName(i);
    const joint = w.linear(i === 0 ? x : norm(`${at}.attn_norm`, x), `${at}.attn.Wqkv`);
    const [q, k, v] = op.Split(g, joint, [c.hidden, c.hidden, c.hidden], 1).map(heads) as [Value, Value, Value];
    const turn = turns.get(layer)!;
    const bias = sightBias(g, inputs, { isCausal: false, window: layer.window });
    const context = attend(g, op.Mul(g, rotate(g, q, turn), scale), rotate(g, k, turn), v, bias, shape);
    const rows = rowsAfter(g, inputs, i === c.layers.length - 1);
    const seen = op.Add(g, rows(x), w.linear(rows(context), `${at}.attn.Wo`));
    const [inner, gate] = op.Split(
      g,
      w.linear(norm(`${at}.mlp_norm`, seen), `${at}.mlp.Wi`),
      [c.feedForward, c.feedForward],
      1,
    ) as [Value, Value];
    x = op.Add(g, seen, w.linear(op.Mul(g, op.Gelu(g, inner), gate), `${at}.mlp.Wo`));
  });
  return norm('model.final_norm', checkpoint(g, x));
}
