/** @file BertForMaskedLM (post-norm) as a graph. Devlin et al. 2019, arXiv:1810.04805; parameter names as Hugging Face's. */
import { type Graph, scalar, type Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import { product } from '../graph/shape.ts';
import type { Architecture, Linear, ModelInputs, Parameter, Weights } from './architecture.ts';
import type { ConfigReader } from './fields.ts';

interface BertConfig {
  readonly vocabulary: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly feedForward: number;
  readonly positions: number;
  readonly types: number;
  readonly epsilon: number;
}

/** Fields of a BERT's config.json that change nothing of what is computed here: training, other heads, notes of its makers. */
const WITHOUT_EFFECT = [
  ...['attention_probs_dropout_prob', 'hidden_dropout_prob', 'classifier_dropout', 'initializer_range'],
  ...['gradient_checkpointing', 'pad_token_id', 'bos_token_id', 'eos_token_id', 'sep_token_id', 'cls_token_id'],
  ...['mask_token_id', 'unk_token_id', 'pooler_fc_size', 'pooler_num_attention_heads', 'pooler_num_fc_layers'],
  ...[
    'pooler_size_per_head',
    'pooler_type',
    'directionality',
    'embedding_size',
    'output_past',
    'classifier_activation',
  ],
];

/** More are a mistake, not a model. */
const MAX_LAYERS = 1000;

/** Reads the settings of a BERT and describes it. Throws on what the graph does not do. */
export function createBert(reader: ConfigReader): Architecture {
  reader.expect('hidden_act', ['gelu'], 'gelu');
  reader.expect('position_embedding_type', ['absolute'], 'absolute');
  reader.expect('tie_word_embeddings', [true], true);
  reader.expect('is_decoder', [false], false);
  reader.expect('add_cross_attention', [false], false);
  reader.known([
    ...['vocab_size', 'hidden_size', 'num_hidden_layers', 'num_attention_heads', 'intermediate_size'],
    ...['max_position_embeddings', 'type_vocab_size', 'layer_norm_eps'],
    ...WITHOUT_EFFECT,
  ]);
  const config: BertConfig = {
    vocabulary: reader.integer('vocab_size'),
    hidden: reader.integer('hidden_size'),
    layers: reader.integer('num_hidden_layers', MAX_LAYERS),
    heads: reader.integer('num_attention_heads'),
    feedForward: reader.integer('intermediate_size'),
    positions: reader.integer('max_position_embeddings'),
    types: reader.integer('type_vocab_size'),
    epsilon: reader.positive('layer_norm_eps'),
  };
  if (config.hidden % config.heads !== 0)
    reader.fail(`hidden_size ${config.hidden} is no multiple of ${config.heads} heads`);
  return {
    maxTokens: config.positions,
    vocabulary: config.vocabulary,
    tied: [
      ['cls.predictions.decoder.weight', 'bert.embeddings.word_embeddings.weight'],
      ['cls.predictions.decoder.bias', 'cls.predictions.bias'],
    ],
    unread: /^bert\.pooler\.|^cls\.seq_relationship\.|^bert\.embeddings\.(position_ids|token_type_ids)$/,
    parameters: parametersOf(config),
    linears: linearsOf(config),
    forward: (weights, inputs) => forward(config, weights, inputs),
  };
}

const layerName = (i: number): string => `bert.encoder.layer.${i}`;
const HEAD = 'cls.predictions.transform';

function linearsOf(c: BertConfig): Linear[] {
  const { hidden, feedForward } = c;
  const square = (module: string): Linear => ({ module, inputs: hidden, outputs: hidden });
  const layers = Array.from({ length: c.layers }, (_, i) => [
    square(`${layerName(i)}.attention.self.query`),
    square(`${layerName(i)}.attention.self.key`),
    square(`${layerName(i)}.attention.self.value`),
    square(`${layerName(i)}.attention.output.dense`),
    { module: `${layerName(i)}.intermediate.dense`, inputs: hidden, outputs: feedForward },
    { module: `${layerName(i)}.output.dense`, inputs: feedForward, outputs: hidden },
  ]);
  return [...layers.flat(), square(`${HEAD}.dense`)];
}

function parametersOf(c: BertConfig): Parameter[] {
  const table = (name: string, rows: number): Parameter => ({
    name: `bert.embeddings.${name}.weight`,
    shape: [rows, c.hidden],
  });
  const norm = (module: string): Parameter[] => [
    { name: `${module}.LayerNorm.weight`, shape: [c.hidden] },
    { name: `${module}.LayerNorm.bias`, shape: [c.hidden] },
  ];
  const linears = linearsOf(c).flatMap(({ module, inputs, outputs }): Parameter[] => [
    { name: `${module}.weight`, shape: [outputs, inputs] },
    { name: `${module}.bias`, shape: [outputs] },
  ]);
  const normed = Array.from({ length: c.layers }, (_, i) => [
    `${layerName(i)}.attention.output`,
    `${layerName(i)}.output`,
  ]);
  return [
    table('word_embeddings', c.vocabulary),
    table('position_embeddings', c.positions),
    table('token_type_embeddings', c.types),
    ...['bert.embeddings', ...normed.flat(), HEAD].flatMap(norm),
    ...linears,
    { name: 'cls.predictions.bias', shape: [c.vocabulary] },
  ];
}

/** Logits [B*M, K] of the label words at the selected rows. */
function forward(c: BertConfig, w: Weights, inputs: ModelInputs): Value {
  const g = w.graph;
  const [batch, tokens] = inputs.inputIds.shape as [string, string];
  const rows = inputs.select.shape[1]!;
  const words = w.parameter('bert.embeddings.word_embeddings.weight');
  const one = scalar(g, 1, 'float32');
  // 0 where there is a token, a large negative number where there is padding: [B, 1, 1, T].
  const hole = op.Mul(g, op.Sub(g, inputs.attentionMask, one), scalar(g, 1e9, 'float32'));
  const maskBias = op.Unsqueeze(g, hole, [1, 2]);

  let x = op.Reshape(g, embed(c, w, inputs, words), [product([batch, tokens]), c.hidden]);
  const pick = (y: Value): Value => {
    const picked = op.MatMul(g, inputs.select, op.Reshape(g, y, [batch, tokens, c.hidden]));
    return op.Reshape(g, picked, [product([batch, rows]), c.hidden]);
  };
  for (let i = 0; i < c.layers; i++) {
    // Past the last attention only the selected rows matter, so only they are queried and carried on.
    const last = i === c.layers - 1;
    const queries = last ? pick(x) : x;
    const context = attention(c, w, layerName(i), queries, x, last ? rows : tokens, [batch, tokens], maskBias);
    x = feedForward(c, w, layerName(i), norm(c, w, `${layerName(i)}.attention.output`, op.Add(g, context, queries)));
  }
  const transformed = norm(c, w, HEAD, op.Gelu(g, w.linear(x, `${HEAD}.dense`)));
  const labels = op.Gather(g, words, inputs.labelIds);
  return op.Gemm(g, transformed, labels, op.Gather(g, w.parameter('cls.predictions.bias'), inputs.labelIds), {
    transB: true,
  });
}

function embed(c: BertConfig, w: Weights, inputs: ModelInputs, words: Value): Value {
  const g = w.graph;
  const positions = op.Gather(g, w.parameter('bert.embeddings.position_embeddings.weight'), inputs.positionIds);
  const types = op.Gather(g, w.parameter('bert.embeddings.token_type_embeddings.weight'), scalarRow(g));
  const sum = op.Add(g, op.Gather(g, words, inputs.inputIds), op.Add(g, positions, types));
  return norm(c, w, 'bert.embeddings', sum);
}

/** Token type 0 for every token, as a [1] vector of ids. */
function scalarRow(g: Graph): Value {
  return op.Unsqueeze(g, scalar(g, 0, 'int64'), [0]);
}

/** softmax(q k^T / sqrt d) v, then the output layer. Queries [B*Q, H] over keys and values of x [B*T, H]. */
function attention(
  c: BertConfig,
  w: Weights,
  layer: string,
  queries: Value,
  x: Value,
  queryCount: number | string,
  [batch, tokens]: readonly [string, string],
  maskBias: Value,
): Value {
  const g = w.graph;
  const width = c.hidden / c.heads;
  const self = `${layer}.attention.self`;
  const heads = (y: Value, length: number | string, perm: readonly number[]): Value =>
    op.Transpose(g, op.Reshape(g, y, [batch, length, c.heads, width]), perm);
  // The scale rides on the query's matrix product.
  const q = heads(w.linear(queries, `${self}.query`, 1 / Math.sqrt(width)), queryCount, [0, 2, 1, 3]);
  const k = heads(w.linear(x, `${self}.key`), tokens, [0, 2, 3, 1]);
  const v = heads(w.linear(x, `${self}.value`), tokens, [0, 2, 1, 3]);
  const weights = op.Softmax(g, op.Add(g, op.MatMul(g, q, k), maskBias));
  const mixed = op.Transpose(g, op.MatMul(g, weights, v), [0, 2, 1, 3]);
  const context = op.Reshape(g, mixed, [product([batch, queryCount]), c.hidden]);
  return w.linear(context, `${layer}.attention.output.dense`);
}

function feedForward(c: BertConfig, w: Weights, layer: string, x: Value): Value {
  const inner = op.Gelu(w.graph, w.linear(x, `${layer}.intermediate.dense`));
  return norm(c, w, `${layer}.output`, op.Add(w.graph, w.linear(inner, `${layer}.output.dense`), x));
}

function norm(c: BertConfig, w: Weights, module: string, x: Value): Value {
  const [scale, bias] = [w.parameter(`${module}.LayerNorm.weight`), w.parameter(`${module}.LayerNorm.bias`)];
  return op.LayerNormalization(w.graph, x, scale, bias, c.epsilon).y;
}
