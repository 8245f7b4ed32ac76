/**
 * @file Masked encoders with norms after each part: BERT (Devlin et al. 2019, arXiv:1810.04805), RoBERTa (Liu et al. 2019,
 * arXiv:1907.11692) and DistilBERT (Sanh et al. 2019, arXiv:1910.01108). One graph; they differ in names and positions.
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
import { attend, attendFew, byHeads, sightBias } from './attention.ts';
import { type ConfigReader, MAX_LAYERS } from './fields.ts';
import { fingerprintOf } from './fingerprint.ts';
import { flat, layerNorm, narrowing, normParameters } from './layers.ts';

/** What the parts of a model are called. */
interface Names {
  readonly embeddings: string;
  /** Null: there are no token types. */
  readonly types: string | null;
  layer(i: number): {
    readonly query: string;
    readonly key: string;
    readonly value: string;
    readonly output: string;
    readonly outputNorm: string;
    readonly inner: string;
    readonly outer: string;
    readonly outerNorm: string;
  };
  readonly head: { readonly dense: string; readonly norm: string; readonly bias: string };
}

interface Encoder {
  readonly names: Names;
  readonly vocabulary: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly feedForward: number;
  readonly positions: number;
  /** The first row of the position embeddings that stands for a position. */
  readonly firstPosition: number;
  readonly types: number;
  readonly epsilon: number;
}

/** Fields of these config.json that change nothing of what is computed here: training, other heads, notes of their makers. */
const WITHOUT_EFFECT = [
  ...['attention_probs_dropout_prob', 'hidden_dropout_prob', 'classifier_dropout', 'initializer_range'],
  ...['gradient_checkpointing', 'pad_token_id', 'bos_token_id', 'eos_token_id', 'sep_token_id', 'cls_token_id'],
  ...['mask_token_id', 'unk_token_id', 'pooler_fc_size', 'pooler_num_attention_heads', 'pooler_num_fc_layers'],
  ...['pooler_size_per_head', 'pooler_type', 'directionality', 'embedding_size', 'output_past'],
  ...['classifier_activation', 'attention_dropout', 'dropout', 'qa_dropout', 'seq_classif_dropout'],
];

function bertNames(root: string): Names {
  return {
    embeddings: `${root}.embeddings`,
    types: `${root}.embeddings.token_type_embeddings.weight`,
    layer: (i) => {
      const at = `${root}.encoder.layer.${i}`;
      return {
        query: `${at}.attention.self.query`,
        key: `${at}.attention.self.key`,
        value: `${at}.attention.self.value`,
        output: `${at}.attention.output.dense`,
        outputNorm: `${at}.attention.output.LayerNorm`,
        inner: `${at}.intermediate.dense`,
        outer: `${at}.output.dense`,
        outerNorm: `${at}.output.LayerNorm`,
      };
    },
    head: HEADS[root as keyof typeof HEADS],
  };
}

const HEADS = {
  bert: {
    dense: 'cls.predictions.transform.dense',
    norm: 'cls.predictions.transform.LayerNorm',
    bias: 'cls.predictions.bias',
  },
  roberta: { dense: 'lm_head.dense', norm: 'lm_head.layer_norm', bias: 'lm_head.bias' },
} as const;

const DISTILBERT: Names = {
  embeddings: 'distilbert.embeddings',
  types: null,
  layer: (i) => {
    const at = `distilbert.transformer.layer.${i}`;
    return {
      query: `${at}.attention.q_lin`,
      key: `${at}.attention.k_lin`,
      value: `${at}.attention.v_lin`,
      output: `${at}.attention.out_lin`,
      outputNorm: `${at}.sa_layer_norm`,
      inner: `${at}.ffn.lin1`,
      outer: `${at}.ffn.lin2`,
      outerNorm: `${at}.output_layer_norm`,
    };
  },
  head: { dense: 'vocab_transform', norm: 'vocab_layer_norm', bias: 'vocab_projector.bias' },
};

/** Reads the settings of a BERT and describes it. Throws on what the graph does not do. */
export function createBert(reader: ConfigReader): Architecture {
  expectBert(reader);
  return encoder(
    reader,
    { ...bertSizes(reader), names: bertNames('bert'), firstPosition: 0 },
    {
      tied: [
        ['cls.predictions.decoder.weight', 'bert.embeddings.word_embeddings.weight'],
        ['cls.predictions.decoder.bias', 'cls.predictions.bias'],
      ],
      unread: /^bert\.pooler\.|^cls\.seq_relationship\.|^bert\.embeddings\.(position_ids|token_type_ids)$/,
    },
  );
}

/** The same for a RoBERTa, whose positions begin after the padding token's number. */
export function createRoberta(reader: ConfigReader): Architecture {
  expectBert(reader);
  const padding = reader.value('pad_token_id') === undefined ? 1 : reader.value('pad_token_id');
  if (!Number.isInteger(padding) || Number(padding) < 0)
    return reader.fail(`pad_token_id is ${JSON.stringify(padding)}; wanted the number positions begin after`);
  return encoder(
    reader,
    { ...bertSizes(reader), names: bertNames('roberta'), firstPosition: Number(padding) + 1 },
    {
      tied: [
        ['lm_head.decoder.weight', 'roberta.embeddings.word_embeddings.weight'],
        ['lm_head.decoder.bias', 'lm_head.bias'],
      ],
      unread: /^roberta\.pooler\.|^roberta\.embeddings\.(position_ids|token_type_ids)$/,
    },
  );
}

/** The same for a DistilBERT. */
export function createDistilbert(reader: ConfigReader): Architecture {
  reader.expect('activation', ['gelu'], 'gelu');
  reader.expect('tie_word_embeddings', [true], true);
  reader.value('sinusoidal_pos_embds'); // they stand in the file either way
  reader.value('tie_weights_');
  const sizes = {
    names: DISTILBERT,
    vocabulary: reader.integer('vocab_size'),
    hidden: reader.integer('dim'),
    layers: reader.integer('n_layers', MAX_LAYERS),
    heads: reader.integer('n_heads'),
    feedForward: reader.integer('hidden_dim'),
    positions: reader.integer('max_position_embeddings'),
    firstPosition: 0,
    types: 0,
    epsilon: 1e-12,
  };
  return encoder(reader, sizes, {
    tied: [['vocab_projector.weight', 'distilbert.embeddings.word_embeddings.weight']],
    unread: /^distilbert\.embeddings\.position_ids$/,
  });
}

function expectBert(reader: ConfigReader): void {
  reader.expect('hidden_act', ['gelu'], 'gelu');
  reader.expect('position_embedding_type', ['absolute'], 'absolute');
  reader.expect('tie_word_embeddings', [true], true);
  reader.expect('is_decoder', [false], false);
  reader.expect('add_cross_attention', [false], false);
}

function bertSizes(reader: ConfigReader) {
  return {
    vocabulary: reader.integer('vocab_size'),
    hidden: reader.integer('hidden_size'),
    layers: reader.integer('num_hidden_layers', MAX_LAYERS),
    heads: reader.integer('num_attention_heads'),
    feedForward: reader.integer('intermediate_size'),
    positions: reader.integer('max_position_embeddings'),
    types: reader.integerOr('type_vocab_size', 2),
    epsilon: reader.positive('layer_norm_eps', 1e-12),
  };
}

function encoder(reader: ConfigReader, c: Encoder, file: Pick<Architecture, 'tied' | 'unread'>): Architecture {
  reader.known(WITHOUT_EFFECT);
  if (c.hidden % c.heads !== 0) reader.fail(`hidden size ${c.hidden} is no multiple of ${c.heads} heads`);
  if (c.firstPosition >= c.positions)
    reader.fail(`pad_token_id ${c.firstPosition - 1} leaves none of ${c.positions} positions`);
  const linears = linearsOf(c);
  const { embeddings, types, layer, head } = c.names;
  const table = (name: string, rows: number) => ({ name, shape: [rows, c.hidden] });
  const norms = Array.from({ length: c.layers }, (_, i) => [layer(i).outputNorm, layer(i).outerNorm]).flat();
  return {
    ...file,
    fingerprint: fingerprintOf(c),
    isCausal: false,
    maxTokens: c.positions - c.firstPosition,
    vocabulary: c.vocabulary,
    parameters: [
      table(`${embeddings}.word_embeddings.weight`, c.vocabulary),
      table(`${embeddings}.position_embeddings.weight`, c.positions),
      ...(types === null ? [] : [table(types, c.types)]),
      ...normParameters([`${embeddings}.LayerNorm`, ...norms, head.norm], c.hidden),
      ...linearParameters(linears),
      { name: head.bias, shape: [c.vocabulary] },
    ],
    linears,
    trunk: (weights, inputs) => trunk(c, weights, inputs),
    head: {
      transform: (w, hidden) => layerNorm(w, head.norm, op.Gelu(w.graph, w.linear(hidden, head.dense)), c.epsilon),
      weight: `${embeddings}.word_embeddings.weight`,
      bias: head.bias,
      cap: null,
    },
  };
}

function linearsOf(c: Encoder): Linear[] {
  const linear = (module: string, inputs: number, outputs: number): Linear => ({
    module,
    inputs,
    outputs,
    hasBias: true,
  });
  const layers = Array.from({ length: c.layers }, (_, i) => {
    const { query, key, value, output, inner, outer } = c.names.layer(i);
    return [
      ...[query, key, value, output].map((module) => linear(module, c.hidden, c.hidden)),
      linear(inner, c.hidden, c.feedForward),
      linear(outer, c.feedForward, c.hidden),
    ];
  });
  return [...layers.flat(), linear(c.names.head.dense, c.hidden, c.hidden)];
}

function trunk(c: Encoder, w: Weights, inputs: ModelInputs): Value {
  const g = w.graph;
  const bias = sightBias(g, inputs, { isCausal: false, window: null });
  const shape = { heads: c.heads, keyHeads: c.heads, width: c.hidden / c.heads };
  const heads = (x: Value, length: string): Value => byHeads(g, x, [SIZES.batch, length], c.heads, shape.width);
  let x = flat(g, embed(c, w, inputs));
  for (let i = 0; i < c.layers; i++) {
    x = checkpoint(g, x);
    const names = c.names.layer(i);
    const narrow = narrowing(g, inputs, i === c.layers - 1);
    const queries = narrow.queries(x);
    // The scale rides on the query's matrix product.
    const q = heads(w.linear(queries, names.query, 1 / Math.sqrt(shape.width)), narrow.length);
    const few = narrow.length === SIZES.rows ? [w.byHeads(names.key, c.heads), w.byHeads(names.value, c.heads)] : [];
    const [key, value] = few;
    const seenBias = narrow.bias(bias);
    const context =
      key && value
        ? attendFew(g, q, x, { key, value, bias: seenBias })
        : attend(
            g,
            q,
            heads(w.linear(x, names.key), SIZES.tokens),
            heads(w.linear(x, names.value), SIZES.tokens),
            seenBias,
            shape,
          );
    const mixed = w.linear(narrow.rows(context), names.output);
    const seen = layerNorm(w, names.outputNorm, op.Add(g, mixed, narrow.rows(queries)), c.epsilon);
    const inner = op.Gelu(g, w.linear(seen, names.inner));
    x = layerNorm(w, names.outerNorm, op.Add(g, w.linear(inner, names.outer), seen), c.epsilon);
  }
  return checkpoint(g, x);
}

function embed(c: Encoder, w: Weights, { inputIds, positionIds, typeIds }: ModelInputs): Value {
  const g = w.graph;
  const { embeddings, types } = c.names;
  const from = c.firstPosition;
  const places = from === 0 ? positionIds : op.Add(g, positionIds, scalar(g, from, 'int64'));
  const positions = op.Gather(g, w.parameter(`${embeddings}.position_embeddings.weight`), places);
  // Every token is of type 0 unless told, as a [1] vector of ids.
  const ids = typeIds ?? op.Unsqueeze(g, scalar(g, 0, 'int64'), [0]);
  const type = types === null ? null : op.Gather(g, w.parameter(types), ids);
  const others = type ? op.Add(g, positions, type) : positions;
  const sum = op.Add(g, op.Gather(g, w.parameter(`${embeddings}.word_embeddings.weight`), inputIds), others);
  return layerNorm(w, `${embeddings}.LayerNorm`, sum, c.epsilon);
}
