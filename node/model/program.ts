/**
 * @file The graphs that run: `score` (logits of label words, or log-probabilities of tokens), `train` (loss, gradients, clipping
 * and AdamW in one graph), for a LoRA adapter or for every weight, and `pretrain`, all from the same forward pass.
 */

import { gradients } from '../graph/grad.ts';
import { createGraph, external, type Graph, input, output, prune, scalar, type Value } from '../graph/graph.ts';
import { inHalves } from '../graph/halves.ts';
import * as op from '../graph/ops.ts';
import { adamW } from './adamw.ts';
import { type Head, type ModelInputs, type Product, SIZES, type Weights } from './architecture.ts';
import type { PlacedModel as Base } from './base.ts';
import { int8Product } from './int8.ts';
import { addLora, type LoraSpec, loraTensors, scaleOf, targetedLinears } from './lora.ts';
import { elementCount, fullTensors, joinPieces, type ModelTensor, splitVector } from './tensors.ts';
import { logProbabilities, logSumExp, wordLogits } from './words.ts';

/** What is trained: an adapter, or every weight of the base. */
export type Trainable = { readonly type: 'lora'; readonly lora: LoraSpec } | { readonly type: 'full' };

/** The layout of the trained vector. */
export function trainableTensors(base: Base, trainable: Trainable): ModelTensor[] {
  if (trainable.type === 'full') return fullTensors(base.architecture.parameters);
  return loraTensors(targetedLinears(base.architecture, trainable.lora.targets), trainable.lora);
}

/**
 * How the rows of a batch are laid out and what is asked of them.
 * - `labels`: one text a row, as many scored positions in each; logits of the label words.
 * - `packed-labels`: the same of several texts a row, which do not see each other.
 * - `tokens`: texts packed into rows, any list of positions; the log-probability of one word at each.
 * - `choices`: the same, and sums of them: what a class scores that is written in several tokens.
 */
export type Question = 'labels' | 'packed-labels' | 'tokens' | 'choices';

/** What is computed in: float32, or float16 where that will do (halves.ts). */
export const COMPUTES = ['f32', 'f16'] as const;
export type Compute = (typeof COMPUTES)[number];

/**
 * Inputs: the model's, `vector` [P], and of a question what it is about. Outputs: `logits`, [B*M, K] of labels and [E, K] of
 * choices; of tokens `log_probabilities` [R].
 */
export function scoreGraph(
  base: Base,
  trainable: Trainable,
  question: Question = 'labels',
  compute: Compute = 'f32',
): Graph {
  const g = createGraph();
  const { scores, vector } = ask(g, base, trainable, question);
  if (question === 'tokens') output(g, 'log_probabilities', op.Squeeze(g, scores, [1]));
  else output(g, 'logits', scores);
  return compute === 'f16' ? inHalves(prune(g), [vector]) : prune(g);
}

export interface TrainOptions {
  readonly question?: Question;
  readonly compute?: Compute;
  /** Whether layers are computed again for their gradients instead of held: recompute.ts. */
  readonly recompute?: boolean;
}

/**
 * Inputs: the score graph's; `row_weight` [N, 1]; except for tokens `targets` [N, K] (rows sum to 1) and
 * `inverse_temperature` [N, 1]; AdamW's `first_moment`, `second_moment`, `mask` [P] and scalars.
 * loss = sum_i w_i CE(p_i, softmax(z_i / T_i)); of tokens - sum_i w_i log p_i. In float16 also `loss_scale`, a scalar that the
 * loss is multiplied by before the gradients are taken, and the gradient divided by as it comes out.
 * Outputs: `loss`, `gradient`, `vector_next`, `first_moment_next`, `second_moment_next`, and `total`, the sum of `vector_next`:
 * finite where all of it is.
 */
export function trainGraph(base: Base, trainable: Trainable, options: TrainOptions = {}): Graph {
  const g = createGraph();
  const { question = 'labels' } = options;
  const { scores, vector, pieces } = ask(g, base, trainable, question);
  if (question === 'tokens') return minimise(g, op.Neg(g, scores), { vector, pieces, ...options });
  const rows = scores.shape[0]!;
  const targets = input(g, 'targets', 'float32', [rows, SIZES.labels]);
  const inverseTemperature = input(g, 'inverse_temperature', 'float32', [rows, 1]);
  return minimise(g, crossEntropy(g, op.Mul(g, scores, inverseTemperature), targets), { vector, pieces, ...options });
}

/**
 * The train graph of masked language modelling, every weight trained: the targets are words, `target_ids` [B*M, 1] among
 * `label_ids`, which hold the vocabulary. Devlin et al. 2019, section 3.1.
 */
export function pretrainGraph(base: Base): Graph {
  const g = createGraph();
  const { scores, vector, pieces } = ask(g, base, { type: 'full' }, 'labels');
  const targetIds = input(g, 'target_ids', 'int64', [scores.shape[0]!, 1]);
  const labelIds = g.inputs.find(({ name }) => name === 'label_ids')!;
  const targets = op.Cast(g, op.Equal(g, targetIds, op.Unsqueeze(g, labelIds, [0])), 'float32');
  return minimise(g, crossEntropy(g, scores, targets), { vector, pieces });
}

/** -sum_k p_k log softmax(z)_k: [N, 1] for logits and targets [N, K]. */
function crossEntropy(g: Graph, logits: Value, targets: Value): Value {
  return op.Sub(g, logSumExp(g, logits), op.ReduceSum(g, op.Mul(g, targets, logits), [1], true));
}

/** The rows' losses weighted and summed, their gradient, and one step of AdamW. */
function minimise(
  g: Graph,
  losses: Value,
  {
    vector,
    pieces,
    recompute = false,
    compute = 'f32',
  }: { vector: Value; pieces: readonly Value[]; recompute?: boolean; compute?: Compute },
): Graph {
  const rowWeight = input(g, 'row_weight', 'float32', losses.shape);
  const loss = op.ReduceSum(g, op.Mul(g, losses, rowWeight), [0, 1], false);
  const scale = compute === 'f16' ? input(g, 'loss_scale', 'float32', []) : null;
  const scaledLoss = scale ? op.Mul(g, loss, scale) : loss;
  const joined = joinPieces(g, gradients(g, scaledLoss, pieces, { recompute }));
  const gradient = scale ? op.Div(g, joined, scale) : joined;
  output(g, 'loss', loss);
  output(g, 'gradient', gradient);
  stepOn(g, vector, gradient);
  return scale ? inHalves(prune(g), [vector]) : prune(g);
}

/** The step that follows gradients summed over several batches: inputs `vector`, `gradient` [P] and AdamW's; outputs as trained. */
export function stepGraph(base: Base, trainable: Trainable): Graph {
  const g = createGraph();
  const size = elementCount(trainableTensors(base, trainable));
  stepOn(g, input(g, 'vector', 'float32', [size]), input(g, 'gradient', 'float32', [size]));
  return g;
}

function stepOn(g: Graph, vector: Value, gradient: Value): void {
  const next = adamW(g, vector, gradient);
  output(g, 'vector_next', next.vector);
  output(g, 'first_moment_next', next.firstMoment);
  output(g, 'second_moment_next', next.secondMoment);
  output(g, 'total', op.ReduceSum(g, next.vector, [0], false));
}

/** The sum of two vectors like the trained one: inputs `gradient`, `term` [P]; output `sum`. */
export function sumGraph(base: Base, trainable: Trainable): Graph {
  const g = createGraph();
  const size = elementCount(trainableTensors(base, trainable));
  output(g, 'sum', op.Add(g, input(g, 'gradient', 'float32', [size]), input(g, 'term', 'float32', [size])));
  return g;
}

/** A vector like the trained one as it is, to bring it to a device and back: input `vector` [P]; output `same`. */
export function sameGraph(base: Base, trainable: Trainable): Graph {
  const g = createGraph();
  const vector = input(g, 'vector', 'float32', [elementCount(trainableTensors(base, trainable))]);
  output(g, 'same', vector);
  return g;
}

interface Asked {
  /** Logits [N, K], or log-probabilities [R, 1]. */
  readonly scores: Value;
  readonly vector: Value;
  readonly pieces: readonly Value[];
}

function ask(g: Graph, base: Base, trainable: Trainable, question: Question): Asked {
  const { trunk, head } = base.architecture;
  const inputs = modelInputs(g, question);
  const about = questionInputs(g, question);
  const { weights, vector, pieces } = openWeights(g, base, trainable, int8Product(base));
  const hidden = trunk(weights, inputs);
  return { scores: scoresOf(weights, head, { hidden, about }), vector, pieces };
}

function modelInputs(g: Graph, question: Question): ModelInputs {
  const { batch, tokens, rows, scored } = SIZES;
  const index = input(g, 'token_index', 'float32', [tokens]);
  return {
    inputIds: input(g, 'input_ids', 'int64', [batch, tokens]),
    attentionMask: input(g, 'attention_mask', 'float32', [batch, tokens]),
    positionIds: input(g, 'position_ids', 'int64', [batch, tokens]),
    queryIndex: index,
    keyIndex: index,
    segmentIds: question === 'labels' ? null : input(g, 'segment_ids', 'int64', [batch, tokens]),
    scored:
      question === 'tokens' || question === 'choices'
        ? { type: 'list', rows: input(g, 'rows', 'int64', [scored]) }
        : { type: 'each', select: input(g, 'select', 'float32', [batch, rows, tokens]) },
  };
}

type About =
  | { readonly question: 'labels'; readonly ids: Value; readonly bias: Value }
  | { readonly question: 'tokens'; readonly targets: Value }
  | { readonly question: 'choices'; readonly targets: Value; readonly combine: Value; readonly bias: Value };

function questionInputs(g: Graph, question: Question): About {
  const { labels, scored, examples } = SIZES;
  const bias = (): Value => input(g, 'label_bias', 'float32', [labels]);
  const targets = (): Value => input(g, 'target_ids', 'int64', [scored]);
  switch (question) {
    case 'labels':
    case 'packed-labels':
      return { question: 'labels', ids: input(g, 'label_ids', 'int64', [labels]), bias: bias() };
    case 'tokens':
      return { question, targets: targets() };
    case 'choices':
      return {
        question,
        targets: targets(),
        combine: input(g, 'combine', 'float32', [examples, labels, scored]),
        bias: bias(),
      };
  }
}

function scoresOf(w: Weights, head: Head, { hidden, about }: { hidden: Value; about: About }): Value {
  const g = w.graph;
  if (about.question === 'labels') return op.Add(g, wordLogits(w, head, hidden, about.ids), about.bias);
  const each = logProbabilities(w, head, { hidden, targetIds: about.targets });
  if (about.question === 'tokens') return each;
  // Of each example and class the words' log-probabilities, added up.
  const sums = op.Squeeze(g, op.MatMul(g, about.combine, each), [2]);
  return op.Add(g, sums, about.bias);
}

const noProduct: Product = () => null;

/** The weights of the base as they are. */
export function baseWeights(g: Graph, base: Base, product?: Product): Weights {
  return reachWeights(g, base, { trainable: null, trained: new Map() }, product);
}

/** The weights of the base with what is trained, which comes as an input: `vector` [P]. */
export function openWeights(
  g: Graph,
  base: Base,
  trainable: Trainable,
  product?: Product,
): { weights: Weights; vector: Value; pieces: readonly Value[] } {
  const tensors = trainableTensors(base, trainable);
  const vector = input(g, 'vector', 'float32', [elementCount(tensors)]);
  const pieces = splitVector(g, vector, tensors);
  const trained = new Map(tensors.map((t, i) => [t.name, { tensor: t, piece: pieces[i]! }]));
  return { weights: reachWeights(g, base, { trainable, trained }, product), vector, pieces };
}

type Trained = ReadonlyMap<string, { tensor: ModelTensor; piece: Value }>;

function reachWeights(
  g: Graph,
  base: Base,
  { trainable, trained }: { trainable: Trainable | null; trained: Trained },
  product = noProduct,
): Weights {
  const known = new Map<string, Value>();
  const linears = new Map(base.architecture.linears.map((linear) => [linear.module, linear]));
  const parameter = (name: string): Value => {
    const place = base.places.get(name)!;
    const mine = trained.get(name);
    const make = (): Value =>
      mine ? op.Reshape(g, mine.piece, place.shape) : external(g, name, place.shape, place, place.dtype);
    const value = known.get(name) ?? make();
    known.set(name, value);
    return value;
  };
  const factor = (name: string): Value | null => {
    const mine = trained.get(name);
    return mine ? op.Reshape(g, mine.piece, [mine.tensor.rows, mine.tensor.cols]) : null;
  };
  return {
    graph: g,
    parameter,
    rows: (name, from, to) => {
      const { shape, offset, byteLength, dtype } = base.places.get(name)!;
      if (trained.has(name)) return null;
      const row = byteLength / shape[0]!;
      const place = { offset: offset + from * row, byteLength: (to - from) * row };
      return external(g, `${name}[${from}:${to}]`, [to - from, ...shape.slice(1)], place, dtype);
    },
    byHeads: (module, heads) => {
      const { inputs, outputs, hasBias, isTransposed } = linears.get(module)!;
      const whole = parameter(`${module}.weight`);
      if (isTransposed || whole.dtype !== 'float32') return null;
      const [a, b] = [factor(`${module}.lora_A`), factor(`${module}.lora_B`)];
      const width = outputs / heads;
      const byHead = (x: Value): Value => op.Reshape(g, x, [heads, width, x.shape[1]!]);
      return {
        weight: op.Reshape(g, whole, [heads, width, inputs]),
        bias: hasBias ? parameter(`${module}.bias`) : null,
        lora: a && b && trainable?.type === 'lora' ? { a, b: byHead(b), scale: scaleOf(trainable.lora, module) } : null,
      };
    },
    linear: (x, module, scale = 1) => {
      const { hasBias, isTransposed = false } = linears.get(module)!;
      const bias = hasBias ? parameter(`${module}.bias`) : null;
      const options = { alpha: scale, ...(bias ? { beta: scale } : {}), transB: !isTransposed };
      const packed = product(g, x, `${module}.weight`);
      const y = packed
        ? scaled(g, bias ? op.Add(g, packed, bias) : packed, scale)
        : op.Gemm(g, x, parameter(`${module}.weight`), bias, options);
      const [a, b] = [factor(`${module}.lora_A`), factor(`${module}.lora_B`)];
      if (!a || !b || trainable?.type !== 'lora') return y;
      return addLora(g, { x, a, b, y, scale: scale * scaleOf(trainable.lora, module) });
    },
  };
}

function scaled(g: Graph, x: Value, scale: number): Value {
  return scale === 1 ? x : op.Mul(g, x, scalar(g, scale, 'float32'));
}
