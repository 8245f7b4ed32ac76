/** @file What an architecture is to the rest: its parameters, its linear layers, and a builder of its forward graph. */
import type { Graph, Value } from '../graph/graph.ts';

export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A linear layer that LoRA may adapt: y = x W^T + b, W [outputs, inputs]. `module` is its Hugging Face name. */
export interface Linear {
  readonly module: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly hasBias: boolean;
  /** Whether W is stored as [inputs, outputs]. */
  readonly isTransposed?: boolean;
}

/** Weight and, where it has one, bias of each linear layer. */
export function linearParameters(linears: readonly Linear[]): Parameter[] {
  return linears.flatMap(({ module, inputs, outputs, hasBias, isTransposed }) => [
    { name: `${module}.weight`, shape: isTransposed ? [inputs, outputs] : [outputs, inputs] },
    ...(hasBias ? [{ name: `${module}.bias`, shape: [outputs] }] : []),
  ]);
}

/** The sizes every graph leaves open: sequences, tokens of a sequence, scored rows of a sequence, label words. */
export const SIZES = { batch: 'B', tokens: 'T', rows: 'M', labels: 'K' } as const;

export interface ModelInputs {
  /** [B, T] int64 */
  readonly inputIds: Value;
  /** [B, T] float32: 1 for a token, 0 for padding */
  readonly attentionMask: Value;
  /** [B, T] int64, from 0 */
  readonly positionIds: Value;
  /** [B, M, T] float32: one-hot rows that pick the scored positions, so no scatter is needed on the way back */
  readonly select: Value;
  /** [K] int64: the token ids of the label words */
  readonly labelIds: Value;
}

/** How the builder reaches weights, so that frozen, LoRA and full-parameter graphs share one forward pass. */
export interface Weights {
  readonly graph: Graph;
  parameter(name: string): Value;
  /** scale (x W^T + b + adapter(x)) for x [N, inputs]. */
  linear(x: Value, module: string, scale?: number): Value;
}

export interface Architecture {
  /** Whether a token sees only what stands before it. */
  readonly isCausal: boolean;
  /** Positions the model can hold. */
  readonly maxTokens: number;
  /** Rows of the token embeddings. */
  readonly vocabulary: number;
  /** Tensors that a file may hold beside the one they share: [copy, original]. */
  readonly tied: readonly (readonly [string, string])[];
  /** Names of other tensors that a file of the model may hold: heads and notes that take no part in what is computed. */
  readonly unread: RegExp;
  readonly parameters: readonly Parameter[];
  /** In the order of the forward pass. */
  readonly linears: readonly Linear[];
  /** Hidden states at the scored rows: [B*M, H]. */
  trunk(weights: Weights, inputs: ModelInputs): Value;
  /** Logits [N, K] of the label words for hidden states [N, H]. */
  head(weights: Weights, hidden: Value, labelIds: Value): Value;
}
