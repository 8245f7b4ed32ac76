/** @file GPT-2: a causal decoder with learned positions and LayerNorm before each part. Radford et al. 2019. */
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
import { attend, byHeads, extended, sightBias } from './attention.ts';
import { type ConfigReader, MAX_LAYERS } from './fields.ts';
import { fingerprintOf } from './fingerprint.ts';
import { ACTIVATIONS, flat, layerNorm, normParameters, rowsAfter } from './layers.ts';

interface Gpt2 {
  readonly vocabulary: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly feedForward: number;
  readonly positions: number;
  readonly epsilon: number;
  readonly activation: string;
}

/** Fields that change nothing of what is computed here. */
const WITHOUT_EFFECT = [
  ...['attn_pdrop', 'embd_pdrop', 'resid_pdrop', 'initializer_range', 'pad_token_id', 'bos_token_id', 'eos_token_id'],
  ...['summary_activation', 'summary_first_dropout', 'summary_proj_to_labels', 'summary_type', 'summary_use_proj'],
  ...['n_ctx', 'reorder_and_upcast_attn', 'gradient_checkpointing'],
];

/** Reads the settings of a GPT-2 and describes it. Throws on what the graph does not do. */
export function createGpt2(reader: ConfigReader): Architecture {
  reader.expect('scale_attn_weights', [true], true);
  reader.expect('scale_attn_by_inverse_layer_idx', [false], false);
  reader.expect('add_cross_attention', [false], false);
  reader.expect('is_causal', [true], true);
  reader.expect('tie_word_embeddings', [true], true);
  const activation = String(reader.value('activation_function') ?? 'gelu_new');
  if (!Object.hasOwn(ACTIVATIONS, activation))
    reader.fail(`activation_function is ${activation}; wanted one of ${Object.keys(ACTIVATIONS).join(', ')}`);
  const hidden = reader.integer('n_embd');
  const c: Gpt2 = {
    vocabulary: reader.integer('vocab_size'),
    hidden,
    layers: reader.integer('n_layer', MAX_LAYERS),
    heads: reader.integer('n_head'),
    feedForward: reader.integerOr('n_inner', 4 * hidden),
    positions: reader.integer('n_positions'),
    epsilon: reader.positive('layer_norm_epsilon', 1e-5),
    activation,
  };
  reader.known(WITHOUT_EFFECT);
  if (c.hidden % c.heads !== 0) reader.fail(`n_embd ${c.hidden} is no multiple of ${c.heads} heads`);
  const linears = linearsOf(c);
  const norms = Array.from({ length: c.layers }, (_, i) => [`${layerName(i)}.ln_1`, `${layerName(i)}.ln_2`]).flat();
  const words = 'transformer.wte.weight';
  return {
    fingerprint: fingerprintOf(c),
    isCausal: true,
    maxTokens: c.positions,
    vocabulary: c.vocabulary,
    tied: [['lm_head.weight', words]],
    unread: /\.attn\.(masked_)?bias$/,
    parameters: [
      { name: words, shape: [c.vocabulary, c.hidden] },
      { name: 'transformer.wpe.weight', shape: [c.positions, c.hidden] },
      ...normParameters([...norms, 'transformer.ln_f'], c.hidden),
      ...linearParameters(linears),
    ],
    linears,
    trunk: (weights, inputs) => trunk(c, weights, inputs),
    head: { transform: (_w, states) => states, weight: words, cap: null },
  };
}

const layerName = (i: number): string => `transformer.h.${i}`;

function linearsOf(c: Gpt2): Linear[] {
  return Array.from({ length: c.layers }, (_, i) => {
    const linear = (name: string, inputs: number, outputs: number): Linear => ({
      module: `${layerName(i)}.${name}`,
      inputs,
      outputs,
      hasBias: true,
      isTransposed: true,
    });
    return [
      linear('attn.c_attn', c.hidden, 3 * c.hidden),
      linear('attn.c_proj', c.hidden, c.hidden),
      linear('mlp.c_fc', c.hidden, c.feedForward),
      linear('mlp.c_proj', c.feedForward, c.hidden),
    ];
  }).flat();
}

function trunk(c: Gpt2, w: Weights, inputs: ModelInputs): Value {
  const g = w.graph;
  const bias = sightBias(g, inputs, { isCausal: true, window: null });
  const heads = (x: Value): Value => byHeads(g, x, [SIZES.batch, SIZES.tokens], c.heads, c.hidden / c.heads);
  const shape = { heads: c.heads, keyHeads: c.heads, width: c.hidden / c.heads };
  const positions = op.Gather(g, w.parameter('transformer.wpe.weight'), inputs.positionIds);
  let x = flat(g, op.Add(g, op.Gather(g, w.parameter('transformer.wte.weight'), inputs.inputIds), positions));
  for (let i = 0; i < c.layers; i++) {
    x = checkpoint(g, x);
    const at = layerName(i);
    const joint = w.linear(layerNorm(w, `${at}.ln_1`, x, c.epsilon), `${at}.attn.c_attn`);
    const [q, k, v] = op.Split(g, joint, [c.hidden, c.hidden, c.hidden], 1) as [Value, Value, Value];
    const seenBy = extended(inputs, i, { keys: heads(k), values: heads(v) });
    const context = attend(g, scaled(w, heads(q), shape.width), seenBy.keys, seenBy.values, bias, shape);
    const rows = rowsAfter(g, inputs, i === c.layers - 1);
    const seen = op.Add(g, rows(x), w.linear(rows(context), `${at}.attn.c_proj`));
    const inner = ACTIVATIONS[c.activation]!(
      g,
      w.linear(layerNorm(w, `${at}.ln_2`, seen, c.epsilon), `${at}.mlp.c_fc`),
    );
    x = op.Add(g, seen, w.linear(inner, `${at}.mlp.c_proj`));
  }
  return layerNorm(w, 'transformer.ln_f', checkpoint(g, x), c.epsilon);
}

function scaled(w: Weights, q: Value, width: number): Value {
  return op.Mul(w.graph, q, scalar(w.graph, width ** -0.5, 'float32'));
}
