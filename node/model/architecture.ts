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

/**
 * The sizes graphs leave open: sequences, tokens of a sequence, keys of a sequence, those kept from before, scored rows of a
 * sequence, scored rows in all, label words, examples.
 */
export const SIZES = {
  batch: 'B',
  tokens: 'T',
  keys: 'S',
  past: 'P',
  rows: 'M',
  scored: 'R',
  labels: 'K',
  examples: 'E',
} as const;

/** The rows whose hidden states are asked for: as many of each sequence, or a list of any. */
export type Scored =
  /** [B, M, T] float32: one-hot rows, so no scatter is needed on the way back */
  | { readonly type: 'each'; readonly select: Value }
  /** [R] int64: places among the B*T tokens */
  | { readonly type: 'list'; readonly rows: Value }
  /** Every token: [B*T] */
  | { readonly type: 'all' };

/** Keys and values of a layer, [B, tokens, heads of keys, width] each, turned to their positions already. */
export interface KeysAndValues {
  readonly keys: Value;
  readonly values: Value;
}

export interface ModelInputs {
  /** [B, T] int64 */
  readonly inputIds: Value;
  /** [B, T] int64, from 0 in each text */
  readonly positionIds: Value;
  /** [B, S] float32: 1 for a token, 0 for padding; S is T unless keys are kept from before */
  readonly attentionMask: Value;
  /** [T] float32: the places of the tokens in their row, which distances are measured by */
  readonly queryIndex: Value;
  /** [S] float32 */
  readonly keyIndex: Value;
  /** [B, T] int64: which text of its row a token belongs to, and sees; null: every row holds one */
  readonly segmentIds: Value | null;
  readonly scored: Scored;
  /** [B, T] int64: which of two texts a token is of, where the model tells them apart; else all are of the first */
  readonly typeIds?: Value;
  /** What a layer attends to, of what its tokens give: for keys that are kept from before. */
  readonly extend?: (layer: number, own: KeysAndValues) => KeysAndValues;
}

/** y = x W^T + b + scale (x A^T) B^T by heads of outputs. */
export interface HeadWeights {
  /** [heads, width, inputs] */
  readonly weight: Value;
  /** [heads * width] */
  readonly bias: Value | null;
  /** A [r, inputs], B [heads, width, r] */
  readonly lora: { readonly a: Value; readonly b: Value; readonly scale: number } | null;
}

/** How the builder reaches weights, so that frozen, LoRA and full-parameter graphs share one forward pass. */
export interface Weights {
  readonly graph: Graph;
  parameter(name: string): Value;
  /** The parts of a linear layer whose outputs are those of heads, to be used in another order; null where they cannot be. */
  byHeads(module: string, heads: number): HeadWeights | null;
  /** Rows [from, to) of a matrix that is not trained; null where it is. */
  rows(name: string, from: number, to: number): Value | null;
  /** scale (x W^T + b + adapter(x)) for x [N, inputs]. */
  linear(x: Value, module: string, scale?: number): Value;
}

/** From hidden states to logits of words: W h + b, capped. */
export interface Head {
  /** Hidden states [N, H] as the words take them. */
  transform(weights: Weights, hidden: Value): Value;
  /** Names of the output embedding [V, H] and of its bias [V]. */
  readonly weight: string;
  readonly bias?: string;
  /** Logits are kept within this by a tanh; null: they are not. */
  readonly cap: number | null;
}

/** Another way to multiply with a matrix of the base: x W^T, or null where it has none for this one. */
export type Product = (g: Graph, x: Value, name: string) => Value | null;

export interface Architecture {
  /** What it computes, as a text; see `fingerprintOf`. */
  readonly fingerprint: string;
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
  /** Hidden states at the scored rows: [B*M, H], or [R, H]. */
  trunk(weights: Weights, inputs: ModelInputs): Value;
  readonly head: Head;
}
