/**
 * @file AdamW as graph over the one trained vector: decoupled decay, bias correction, clipping by global norm.
 * Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2; clipping as torch.nn.utils.clip_grad_norm_.
 */
import { type Graph, input, scalar, type Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';

export const BETA1 = 0.9;
export const BETA2 = 0.999;
const EPSILON = 1e-8;

export interface AdamWSettings {
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Largest global norm of the gradient; Infinity leaves it alone. */
  readonly clipNorm: number;
}

/** The scalar feeds of step `count` (from 1). */
export function adamWFeeds(settings: AdamWSettings, count: number): Record<string, number> {
  return {
    learning_rate: settings.learningRate,
    weight_decay: settings.weightDecay,
    clip_norm: settings.clipNorm,
    correction1: 1 - BETA1 ** count,
    correction2: 1 - BETA2 ** count,
  };
}

/** One step on `vector` [P] with `gradient` [P]; declares the moments, the mask and the scalars as inputs. Where the mask [P] is 0 nothing changes. */
export function adamW(
  g: Graph,
  vector: Value,
  gradient: Value,
): { vector: Value; firstMoment: Value; secondMoment: Value } {
  const number = (x: number): Value => scalar(g, x, 'float32');
  const declare = (name: string): Value => input(g, name, 'float32', []);
  const first = input(g, 'first_moment', 'float32', vector.shape);
  const second = input(g, 'second_moment', 'float32', vector.shape);
  const mask = input(g, 'mask', 'float32', vector.shape);
  const [rate, decay, limit] = [declare('learning_rate'), declare('weight_decay'), declare('clip_norm')];
  const [correction1, correction2] = [declare('correction1'), declare('correction2')];

  const masked = op.Mul(g, gradient, mask);
  const norm = op.Sqrt(g, op.ReduceSum(g, op.Mul(g, masked, masked), [0], false));
  const scale = op.Min(g, number(1), op.Div(g, limit, op.Add(g, norm, number(1e-6))));
  const clipped = op.Mul(g, masked, scale);

  const blend = (old: Value, now: Value, beta: number): Value =>
    op.Add(g, op.Mul(g, old, number(beta)), op.Mul(g, now, number(1 - beta)));
  const firstMoment = blend(first, clipped, BETA1);
  const secondMoment = blend(second, op.Mul(g, clipped, clipped), BETA2);
  const deviation = op.Add(g, op.Div(g, op.Sqrt(g, secondMoment), op.Sqrt(g, correction2)), number(EPSILON));
  const update = op.Mul(g, op.Div(g, rate, correction1), op.Div(g, firstMoment, deviation));
  const kept = op.Mul(g, vector, op.Sub(g, number(1), op.Mul(g, op.Mul(g, rate, decay), mask)));
  return { vector: op.Sub(g, kept, update), firstMoment, secondMoment };
}
