/** @file Encoded prompts as the tensors of one run, padded no further than their bucket; texts of a list are in packing.ts. */

/** A prompt as token ids and the positions whose word is asked for (one for a cloze prompt). */
export interface Sequence {
  readonly ids: readonly number[];
  readonly positions: readonly number[];
  /** Whether some of its text was left out for want of room. */
  readonly cut?: boolean;
  /** Where classes are written in several tokens: what is scored in place of the label words at `positions`. */
  readonly choice?: Choice;
}

/** A word that a text is asked for, or learns. */
export interface ScoredToken {
  /** Whose hidden state it is read from: the word before it, or a mask. */
  readonly position: number;
  readonly id: number;
  /** In the loss. */
  readonly weight: number;
}

export interface Passage {
  readonly ids: readonly number[];
  readonly scored: readonly ScoredToken[];
}

/**
 * An example whose classes are written in words of several tokens: in a masked model one passage that scores them all, in a
 * causal one a passage a class.
 */
export interface Choice {
  readonly passages: readonly Passage[];
  /** The class of each scored token, in the order of the passages and of their scored tokens. */
  readonly classes: readonly number[];
}

/** What one scored row should say: a distribution over the label words, its weight in the loss, its temperature. */
export interface Target {
  readonly distribution: readonly number[];
  readonly weight: number;
  readonly temperature: number;
}

/** The label words of a task: their token ids, and what is added to their logits (minus the label prior). */
export interface LabelWords {
  readonly ids: readonly number[];
  readonly bias: readonly number[];
}

/** Plain arrays, so that a batch can be posted to the worker. */
interface Tokens {
  readonly batch: number;
  readonly tokens: number;
  /** [B, T] */
  readonly inputIds: BigInt64Array;
  /** [B, T], 1 for a token, 0 for padding */
  readonly attentionMask: Float32Array;
}

/** One text a row, as many scored positions in each. */
export interface LabelBatch extends Tokens {
  readonly question: 'labels';
  /** Scored rows a sequence. */
  readonly rows: number;
  /** [B, M, T], one-hot */
  readonly select: Float32Array;
}

/** Several short texts a row, which none sees across, each with one scored position; rows [B*M] beyond them are of nothing. */
export interface PackedLabelBatch extends Tokens, Omit<LabelBatch, 'question'> {
  readonly question: 'packed-labels';
  /** [B, T], from 0 in each text */
  readonly positionIds: BigInt64Array;
  /** [B, T] */
  readonly segmentIds: BigInt64Array;
  /** Of each text the scored row, [0, B*M). */
  readonly slots: readonly number[];
}

/** Texts packed into rows, with a list of positions and the word asked for at each. */
interface PackedTokens extends Tokens {
  /** [B, T], from 0 in each text */
  readonly positionIds: BigInt64Array;
  /** [B, T] */
  readonly segmentIds: BigInt64Array;
  /** [R], places among the B*T tokens */
  readonly rows: BigInt64Array;
  /** [R] */
  readonly targetIds: BigInt64Array;
}

export interface TokenBatch extends PackedTokens {
  readonly question: 'tokens';
}

export interface ChoiceBatch extends PackedTokens {
  readonly question: 'choices';
  readonly examples: number;
  readonly labels: number;
  /** 1 where a word belongs to a class of an example, [E, K, R]. */
  readonly combine: Float32Array;
}

export type Batch = LabelBatch | PackedLabelBatch | TokenBatch | ChoiceBatch;

/** What is learned of a batch. */
interface Learned {
  /** Of N scored rows, or examples of choices, [N]. */
  readonly rowWeight: Float32Array;
}

interface LearnedClasses extends Learned {
  /** [N, K] */
  readonly targets: Float32Array;
  /** [N] */
  readonly inverseTemperature: Float32Array;
}

export type ClassBatch = (LabelBatch | PackedLabelBatch | ChoiceBatch) & LearnedClasses;
export type TrainBatch = ClassBatch | (TokenBatch & Learned);

/** Sequence lengths are rounded up to a multiple of this, so that sessions meet few shapes; more would be padding. */
const BUCKET_TOKENS = 2;

/** Packs sequences (all with the same number of positions). `padId` fills; `width` overrides the bucket's length. */
export function packBatch(sequences: readonly Sequence[], padId: number, width?: number): LabelBatch {
  const batch = sequences.length;
  const rows = sequences[0]?.positions.length ?? 1;
  const tokens = width ?? bucketOf(Math.max(...sequences.map((s) => s.ids.length)));
  const inputIds = new BigInt64Array(batch * tokens).fill(BigInt(padId));
  const attentionMask = new Float32Array(batch * tokens);
  const select = new Float32Array(batch * rows * tokens);
  sequences.forEach(({ ids, positions }, b) => {
    for (let t = 0; t < ids.length; t++) inputIds[b * tokens + t] = BigInt(ids[t]!);
    attentionMask.fill(1, b * tokens, b * tokens + ids.length);
    positions.forEach((position, m) => {
      select[(b * rows + m) * tokens + position] = 1;
    });
  });
  return { question: 'labels', batch, tokens, rows, inputIds, attentionMask, select };
}

/** Adds targets, one a scored row or an example, in the order of the sequences. */
export function withTargets<B extends LabelBatch | PackedLabelBatch | ChoiceBatch>(
  batch: B,
  targets: readonly Target[],
): B & LearnedClasses {
  const labels = targets[0]?.distribution.length ?? 0;
  const slots = batch.question === 'packed-labels' ? batch.slots : targets.map((_, i) => i);
  const rows = batch.question === 'packed-labels' ? batch.batch * batch.rows : targets.length;
  const out = new Float32Array(rows * labels);
  const [rowWeight, inverseTemperature] = [new Float32Array(rows), new Float32Array(rows).fill(1)];
  targets.forEach(({ distribution, weight, temperature }, i) => {
    const row = slots[i]!;
    out.set(distribution, row * labels);
    rowWeight[row] = weight;
    inverseTemperature[row] = 1 / temperature;
  });
  return { ...batch, targets: out, rowWeight, inverseTemperature };
}

/** The length that a batch of texts of at most so many tokens has. */
export function bucketOf(tokens: number): number {
  return Math.ceil(tokens / BUCKET_TOKENS) * BUCKET_TOKENS;
}
