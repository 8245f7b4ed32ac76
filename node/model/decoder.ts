/**
 * @file Causal decoders with RMSNorm, rotary positions, grouped queries and a gated feed-forward: Llama 2 and 3 (SmolLM2),
 * Mistral, Qwen2, Qwen3, Gemma 3. One graph with options. Touvron et al. 2023, arXiv:2307.09288; Jiang et al. 2023,
 * arXiv:2310.06825; Yang et al. 2025, arXiv:2505.09388; Gemma Team 2025, arXiv:2503.19786.
 */
import { checkpoint, type Graph, scalar, type Value } from '../graph/graph.ts';
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
import { type ConfigReader, isUnset, MAX_LAYERS, readLayerTypes, shown } from './fields.ts';
import { fingerprintOf } from './fingerprint.ts';
import { ACTIVATIONS, flat, type Narrowing, narrowing, normParameters, rmsNorm } from './layers.ts';
import { type Frequencies, readFrequencies, rotate, type Turn, turnAt } from './rotary.ts';

/** What sets the kinds apart. */
interface Kind {
  /** Which of q, k, v and which output have biases; by the configuration where it says so. */
  readonly biases?: { readonly qkv: boolean; readonly output: boolean };
  readonly hasHeadNorms?: boolean;
  /** Norms also after attention and feed-forward, weights of norms from -1, embeddings scaled, own scale of queries. */
  readonly isGemma?: boolean;
  /** Which layers have a window: all, by `use_sliding_window` those past `max_window_layers`, or by pattern. */
  readonly windows?: 'all' | 'late' | 'pattern';
  readonly activation: string;
  readonly theta: number;
  /** What Transformers takes for a field that is left out. */
  readonly defaults?: { readonly keyHeads: number; readonly width?: number };
}

/** One entry a kind. */
const KINDS = {
  llama: { activation: 'silu', theta: 10_000 },
  mistral: {
    activation: 'silu',
    theta: 10_000,
    biases: { qkv: false, output: false },
    windows: 'all',
    defaults: { keyHeads: 8 },
  },
  qwen2: {
    activation: 'silu',
    theta: 10_000,
    biases: { qkv: true, output: false },
    windows: 'late',
    defaults: { keyHeads: 32 },
  },
  qwen3: {
    activation: 'silu',
    theta: 10_000,
    hasHeadNorms: true,
    windows: 'late',
    defaults: { keyHeads: 32, width: 128 },
  },
  gemma3: {
    activation: 'gelu_pytorch_tanh',
    theta: 1_000_000,
    hasHeadNorms: true,
    isGemma: true,
    windows: 'pattern',
    defaults: { keyHeads: 4, width: 256 },
  },
} as const satisfies Record<string, Kind>;

interface Layer {
  readonly frequencies: Frequencies;
  readonly window: number | null;
}

interface Decoder extends Kind {
  readonly vocabulary: number;
  readonly hidden: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly width: number;
  readonly feedForward: number;
  readonly layers: readonly Layer[];
  readonly epsilon: number;
  /** Of queries, before the softmax. */
  readonly scale: number;
  readonly isTied: boolean;
  readonly hasQkvBias: boolean;
  readonly hasOutputBias: boolean;
  readonly hasFeedForwardBias: boolean;
  /** Logits are kept within this by a tanh; null: they are not. */
  readonly logitCap: number | null;
}

/** Fields that change nothing of what is computed here. */
const WITHOUT_EFFECT = [
  ...['attention_dropout', 'initializer_range', 'pad_token_id', 'bos_token_id', 'eos_token_id', 'pretraining_tp'],
  ...['max_window_layers', 'cache_implementation', 'is_llama_config', 'transformers.js_config'],
  ...['_sliding_window_pattern'],
];

/** Reads the settings of such a decoder and describes it. Throws on what the graph does not do. */
export function createDecoder(name: keyof typeof KINDS): (reader: ConfigReader) => Architecture {
  return (reader) => describe(readDecoder(reader, KINDS[name]));
}

function readDecoder(reader: ConfigReader, kind: Kind): Decoder & { positions: number } {
  const [hidden, heads] = [reader.integer('hidden_size'), reader.integer('num_attention_heads')];
  const { defaults } = kind;
  const width = reader.integerOr('head_dim', defaults?.width ?? hidden / heads);
  const areLeftOut = reader.value('num_key_value_heads') === undefined;
  const keyHeads = reader.integerOr('num_key_value_heads', (areLeftOut && defaults?.keyHeads) || heads);
  if (heads % keyHeads !== 0) reader.fail(`${heads} heads cannot share ${keyHeads} of keys and values`);
  if (width % 2 !== 0) reader.fail(`head_dim is ${width}; wanted an even number`);
  for (const field of ['hidden_act', 'hidden_activation']) reader.expect(field, [kind.activation, null, undefined]);
  for (const field of ['attn_logit_softcapping', 'use_bidirectional_attention'])
    reader.expect(field, [false, null, undefined]);
  reader.expect('rope_interleaved', [false], false);
  reader.expect('is_causal', [true], true);
  const { qkv, output } = kind.biases ?? { qkv: reader.flag('attention_bias'), output: reader.flag('attention_bias') };
  const isCapped = kind.isGemma && !isUnset(reader.value('final_logit_softcapping'));
  const decoder = {
    ...kind,
    vocabulary: reader.integer('vocab_size'),
    hidden,
    heads,
    keyHeads,
    width,
    feedForward: reader.integer('intermediate_size'),
    layers: readLayers(reader, kind, width),
    positions: reader.integer('max_position_embeddings'),
    epsilon: reader.positive('rms_norm_eps', 1e-6),
    scale: (kind.isGemma ? reader.positive('query_pre_attn_scalar', 256) : width) ** -0.5,
    isTied: reader.flag('tie_word_embeddings', kind.isGemma ?? false),
    hasQkvBias: qkv,
    hasOutputBias: output,
    hasFeedForwardBias: kind.biases ? false : reader.flag('mlp_bias'),
    logitCap: isCapped ? reader.positive('final_logit_softcapping') : null,
  };
  reader.known(WITHOUT_EFFECT);
  return decoder;
}

/** Each layer's window and rotary frequencies, which go with it in Gemma 3. */
function readLayers(reader: ConfigReader, kind: Kind, width: number): Layer[] {
  const count = reader.integer('num_hidden_layers', MAX_LAYERS);
  const far = readFrequencies(reader, width, {
    ...(kind.isGemma ? { layers: 'full_attention' } : {}),
    theta: kind.theta,
  });
  const near = kind.isGemma
    ? readFrequencies(reader, width, {
        layers: 'sliding_attention',
        field: 'rope_local_base_freq',
        theta: 10_000,
        isScaled: false,
      })
    : far;
  // Layers of one kind are one object, whose view is built once.
  const [whole, windowed]: [Layer, Layer] = [
    { window: null, frequencies: far },
    { window: readWindow(reader, kind), frequencies: near },
  ];
  const hasWindow = readPlaces(reader, kind, { count, window: windowed.window });
  return Array.from({ length: count }, (_, i) => (hasWindow(i) ? windowed : whole));
}

/** The window, where the configuration makes use of one; null: it does not. */
function readWindow(reader: ConfigReader, { windows }: Kind): number | null {
  const size = reader.value('sliding_window');
  if (windows === undefined || (windows === 'late' && !reader.flag('use_sliding_window'))) return null;
  if (size === null && windows !== 'pattern') return null;
  return size === undefined ? 4096 : reader.integer('sliding_window');
}

/** Which layers have the window, if there is one. */
function readPlaces(
  reader: ConfigReader,
  { windows }: Kind,
  { count, window }: { count: number; window: number | null },
): (layer: number) => boolean {
  if (windows === 'all') return () => window !== null;
  const types = readLayerTypes(reader, count);
  if (window === null && types?.includes('sliding_attention'))
    return reader.fail('layer_types has sliding_attention, and no window is set; wanted full_attention alone');
  const pattern = reader.integerOr('sliding_window_pattern', 6);
  const from = reader.value('max_window_layers') ?? 28;
  if (window === null) return () => false;
  if (types !== null) return (i) => types[i] === 'sliding_attention';
  if (windows === 'pattern') return (i) => (i + 1) % pattern !== 0;
  if (!(Number.isInteger(from) && Number(from) >= 0))
    return reader.fail(`max_window_layers is ${shown(from)}; wanted the number of layers without a window`);
  return (i) => i >= Number(from);
}

const layerName = (i: number): string => `model.layers.${i}`;

function linearsOf(c: Decoder): Linear[] {
  const [inner, keys] = [c.heads * c.width, c.keyHeads * c.width];
  return c.layers.flatMap((_, i): Linear[] => {
    const [attention, mlp] = [`${layerName(i)}.self_attn`, `${layerName(i)}.mlp`];
    const qkv = (name: string, outputs: number): Linear => ({
      module: `${attention}.${name}`,
      inputs: c.hidden,
      outputs,
      hasBias: c.hasQkvBias,
    });
    const gated = (name: string, inputs: number, outputs: number): Linear => ({
      module: `${mlp}.${name}`,
      inputs,
      outputs,
      hasBias: c.hasFeedForwardBias,
    });
    return [
      qkv('q_proj', inner),
      qkv('k_proj', keys),
      qkv('v_proj', keys),
      { module: `${attention}.o_proj`, inputs: inner, outputs: c.hidden, hasBias: c.hasOutputBias },
      gated('gate_proj', c.hidden, c.feedForward),
      gated('up_proj', c.hidden, c.feedForward),
      gated('down_proj', c.feedForward, c.hidden),
    ];
  });
}

function normsOf(c: Decoder): string[] {
  const layers = c.layers.flatMap((_, i) => [
    `${layerName(i)}.input_layernorm`,
    `${layerName(i)}.post_attention_layernorm`,
    ...(c.isGemma ? [`${layerName(i)}.pre_feedforward_layernorm`, `${layerName(i)}.post_feedforward_layernorm`] : []),
  ]);
  return [...layers, 'model.norm'];
}

function describe(c: Decoder & { positions: number }): Architecture {
  const linears = linearsOf(c);
  const words = 'model.embed_tokens.weight';
  const headNorms = c.layers.flatMap((_, i) => ['q_norm', 'k_norm'].map((name) => `${layerName(i)}.self_attn.${name}`));
  return {
    fingerprint: fingerprintOf(c),
    isCausal: true,
    maxTokens: c.positions,
    vocabulary: c.vocabulary,
    tied: c.isTied ? [['lm_head.weight', words]] : [],
    unread: /rotary_emb\.inv_freq$/,
    parameters: [
      { name: words, shape: [c.vocabulary, c.hidden] },
      ...(c.isTied ? [] : [{ name: 'lm_head.weight', shape: [c.vocabulary, c.hidden] }]),
      ...normParameters(normsOf(c), c.hidden, false),
      ...(c.hasHeadNorms ? normParameters(headNorms, c.width, false) : []),
      ...linearParameters(linears),
    ],
    linears,
    trunk: (weights, inputs) => trunk(c, weights, inputs),
    head: { transform: (_w, hidden) => hidden, weight: c.isTied ? words : 'lm_head.weight', cap: c.logitCap },
  };
}

/** What the layers of one kind share. */
interface View {
  readonly bias: Value;
  readonly turn: Turn;
  readonly frequencies: Frequencies;
}

function trunk(c: Decoder, w: Weights, inputs: ModelInputs): Value {
  const g = w.graph;
  const norm = (module: string, x: Value): Value =>
    rmsNorm(w, module, x, { epsilon: c.epsilon, offset: c.isGemma ? 1 : 0 });
  const embedded = op.Gather(g, w.parameter('model.embed_tokens.weight'), inputs.inputIds);
  let x = flat(g, c.isGemma ? op.Mul(g, embedded, scalar(g, Math.sqrt(c.hidden), 'float32')) : embedded);
  const views = new Map([...new Set(c.layers)].map((layer) => [layer, viewOf(g, inputs, layer)]));
  c.layers.forEach((layer, i) => {
    x = checkpoint(g, x);
    const at = layerName(i);
    const narrow = narrowing(g, inputs, i === c.layers.length - 1);
    const before = norm(`${at}.input_layernorm`, x);
    const context = attention(c, w, inputs, { layer: i, x: before, narrow, view: views.get(layer)! });
    const mixed = c.isGemma ? norm(`${at}.post_attention_layernorm`, context) : context;
    const seen = op.Add(g, narrow.rows(narrow.queries(x)), mixed);
    const inner = norm(`${at}.${c.isGemma ? 'pre_feedforward_layernorm' : 'post_attention_layernorm'}`, seen);
    const gate = ACTIVATIONS[c.activation]!(g, w.linear(inner, `${at}.mlp.gate_proj`));
    const fed = w.linear(op.Mul(g, gate, w.linear(inner, `${at}.mlp.up_proj`)), `${at}.mlp.down_proj`);
    x = op.Add(g, seen, c.isGemma ? norm(`${at}.post_feedforward_layernorm`, fed) : fed);
  });
  return norm('model.norm', checkpoint(g, x));
}

function viewOf(g: Graph, inputs: ModelInputs, { window, frequencies }: Layer): View {
  const bias = sightBias(g, inputs, { isCausal: true, window });
  return { bias, turn: turnAt(g, op.Cast(g, inputs.positionIds, 'float32'), frequencies), frequencies };
}

/** Attention of a layer, its output layer included: [B*T, H], or of the scored rows in the last. */
function attention(
  c: Decoder,
  w: Weights,
  inputs: ModelInputs,
  { layer, x, narrow, view }: { layer: number; x: Value; narrow: Narrowing; view: View },
): Value {
  const g = w.graph;
  const at = `${layerName(layer)}.self_attn`;
  const part = (name: string, from: Value, heads: number, scale = 1): Value =>
    byHeads(
      g,
      w.linear(from, `${at}.${name}_proj`, scale),
      [SIZES.batch, from === x ? SIZES.tokens : narrow.length],
      heads,
      c.width,
    );
  const normed = (name: string, y: Value, scale = 1): Value =>
    c.hasHeadNorms ? rmsNorm(w, `${at}.${name}_norm`, y, { epsilon: c.epsilon, offset: c.isGemma ? 1 : 0, scale }) : y;
  // The scale rides on the query's matrix product, or on its norm.
  const q = normed('q', part('q', narrow.queries(x), c.heads, c.hasHeadNorms ? 1 : c.scale), c.scale);
  const k = normed('k', part('k', x, c.keyHeads));
  const positions = narrow.positions(op.Cast(g, inputs.positionIds, 'float32'));
  const { keys, values } = extended(inputs, layer, { keys: rotate(g, k, view.turn), values: part('v', x, c.keyHeads) });
  const queries = rotate(g, q, turnAt(g, positions, view.frequencies));
  const context = attend(g, queries, keys, values, narrow.bias(view.bias), c);
  return w.linear(narrow.rows(context), `${at}.o_proj`);
}
