/**
 * @file The graphs that run: `score` (logits of the label words), `train` (loss, gradients, clipping and AdamW in one
 * graph), for a LoRA adapter or for every weight, and `pretrain`, all from the same forward pass.
 */

import { gradients } from '../graph/grad.ts';
import { createGraph, external, type Graph, input, output, prune, type Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import { adamW } from './adamw.ts';
import { type ModelInputs, SIZES, type Weights } from './architecture.ts';
import type { Base } from './base.ts';
import { addLora, type LoraSpec, loraTensors, targetedLinears } from './lora.ts';
import { elementCount, fullTensors, joinPieces, type ModelTensor, splitVector } from './tensors.ts';

/** What is trained: an adapter, or every weight of the base. */
export type Trainable = { readonly type: 'lora'; readonly lora: LoraSpec } | { readonly type: 'full' };

/** The layout of the trained vector. */
export function trainableTensors(base: Base, trainable: Trainable): ModelTensor[] {
  if (trainable.type === 'full') return fullTensors(base.architecture.parameters);
  return loraTensors(targetedLinears(base.architecture, trainable.lora.targets), trainable.lora.rank);
}

/** Inputs: the model's, `vector` [P], `label_bias` [K]. Output: `logits` [B*M, K]. */
export function scoreGraph(base: Base, trainable: Trainable): Graph {
  const g = createGraph();
  const { logits } = forward(g, base, trainable);
  output(g, 'logits', logits);
  return prune(g);
}

/**
 * Inputs: the score graph's; `targets` [B*M, K] (rows sum to 1), `row_weight` and `inverse_temperature` [B*M, 1]; AdamW's
 * `first_moment`, `second_moment`, `mask` [P] and scalars. loss = sum_i w_i CE(p_i, softmax(z_i / T_i)).
 * Outputs: `loss`, `gradient`, `vector_next`, `first_moment_next`, `second_moment_next`.
 */
export function trainGraph(base: Base, trainable: Trainable): Graph {
  const g = createGraph();
  const { logits, vector, pieces } = forward(g, base, trainable);
  const rows = logits.shape[0]!;
  const targets = input(g, 'targets', 'float32', [rows, SIZES.labels]);
  const inverseTemperature = input(g, 'inverse_temperature', 'float32', [rows, 1]);
  return minimise(g, crossEntropy(g, op.Mul(g, logits, inverseTemperature), targets), vector, pieces);
}

/**
 * The train graph of masked language modelling, every weight trained: the targets are words, `target_ids` [B*M, 1] among
 * `label_ids`, which hold the vocabulary. Devlin et al. 2019, section 3.1.
 */
export function pretrainGraph(base: Base): Graph {
  const g = createGraph();
  const { logits, vector, pieces, labelIds } = forward(g, base, { type: 'full' });
  const targetIds = input(g, 'target_ids', 'int64', [logits.shape[0]!, 1]);
  const targets = op.Cast(g, op.Equal(g, targetIds, op.Unsqueeze(g, labelIds, [0])), 'float32');
  return minimise(g, crossEntropy(g, logits, targets), vector, pieces);
}

/** -sum_k p_k log softmax(z)_k: [N, 1] for logits and targets [N, K]. */
function crossEntropy(g: Graph, logits: Value, targets: Value): Value {
  return op.Sub(g, logSumExp(g, logits), op.ReduceSum(g, op.Mul(g, targets, logits), [1], true));
}

/** The rows' losses weighted and summed, their gradient, and one step of AdamW. */
function minimise(g: Graph, losses: Value, vector: Value, pieces: readonly Value[]): Graph {
  const rowWeight = input(g, 'row_weight', 'float32', losses.shape);
  const loss = op.ReduceSum(g, op.Mul(g, losses, rowWeight), [0, 1], false);
  const gradient = joinPieces(g, gradients(g, loss, pieces));
  const next = adamW(g, vector, gradient);
  output(g, 'loss', loss);
  output(g, 'gradient', gradient);
  output(g, 'vector_next', next.vector);
  output(g, 'first_moment_next', next.firstMoment);
  output(g, 'second_moment_next', next.secondMoment);
  return prune(g);
}

function forward(
  g: Graph,
  base: Base,
  trainable: Trainable,
): { logits: Value; vector: Value; pieces: readonly Value[]; labelIds: Value } {
  const tensors = trainableTensors(base, trainable);
  const inputs = modelInputs(g);
  const labelBias = input(g, 'label_bias', 'float32', [SIZES.labels]);
  const vector = input(g, 'vector', 'float32', [elementCount(tensors)]);
  const pieces = splitVector(g, vector, tensors);
  const trained = new Map(tensors.map((t, i) => [t.name, { tensor: t, piece: pieces[i]! }]));
  const weights = reachWeights(g, base, trainable, trained);
  const logits = base.architecture.head(weights, base.architecture.trunk(weights, inputs), inputs.labelIds);
  return { logits: op.Add(g, logits, labelBias), vector, pieces, labelIds: inputs.labelIds };
}

function modelInputs(g: Graph): ModelInputs {
  const { batch, tokens, rows, labels } = SIZES;
  return {
    inputIds: input(g, 'input_ids', 'int64', [batch, tokens]),
    attentionMask: input(g, 'attention_mask', 'float32', [batch, tokens]),
    positionIds: input(g, 'position_ids', 'int64', [batch, tokens]),
    select: input(g, 'select', 'float32', [batch, rows, tokens]),
    labelIds: input(g, 'label_ids', 'int64', [labels]),
  };
}

type Trained = ReadonlyMap<string, { tensor: ModelTensor; piece: Value }>;

function reachWeights(g: Graph, base: Base, trainable: Trainable, trained: Trained): Weights {
  const known = new Map<string, Value>();
  const linears = new Map(base.architecture.linears.map((linear) => [linear.module, linear]));
  const parameter = (name: string): Value => {
    const place = base.places.get(name)!;
    const mine = trained.get(name);
    const make = (): Value => (mine ? op.Reshape(g, mine.piece, place.shape) : external(g, name, place.shape, place));
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
    linear: (x, module, scale = 1) => {
      const { hasBias, isTransposed = false } = linears.get(module)!;
      const bias = hasBias ? parameter(`${module}.bias`) : null;
      const weight = parameter(`${module}.weight`);
      const y = op.Gemm(g, x, weight, bias, { alpha: scale, ...(bias ? { beta: scale } : {}), transB: !isTransposed });
      const [a, b] = [factor(`${module}.lora_A`), factor(`${module}.lora_B`)];
      if (!a || !b || trainable.type !== 'lora') return y;
      return addLora(g, { x, a, b, y, scale: (scale * trainable.lora.alpha) / trainable.lora.rank });
    },
  };
}

/** log sum exp over the last axis of [N, K], kept: [N, 1]. The maximum only shifts, so no gradient passes through it. */
function logSumExp(g: Graph, x: Value): Value {
  const max = op.stopGradient(g, op.ReduceMax(g, x, [1], true));
  return op.Add(g, max, op.Log(g, op.ReduceSum(g, op.Exp(g, op.Sub(g, x, max)), [1], true)));
}
