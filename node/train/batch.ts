/** @file Encoded prompts as the tensors of one run, padded no further than their bucket; texts of a list are in packing.ts. */

/** A prompt as token ids and the positions whose word is asked for (one for a cloze prompt). */
export interface Sequence {
  readonly ids: readonly number[];
  readonly positions: readonly number[];
  /** Whether some of its text was left out for want of room. */
  readonly cut?: boolean;
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
  /** [E, K, R]: 1 where a word belongs to a class of an example */
  readonly combine: Float32Array;
}

export type Batch = LabelBatch | TokenBatch | ChoiceBatch;

/** What is learned of a batch. */
interface Learned {
  /** [N]: N scored rows, or examples of choices */
  readonly rowWeight: Float32Array;
}

interface LearnedClasses extends Learned {
  /** [N, K] */
  readonly targets: Float32Array;
  /** [N] */
  readonly inverseTemperature: Float32Array;
}

export type ClassBatch = (LabelBatch | ChoiceBatch) & LearnedClasses;
export type TrainBatch = ClassBatch | (TokenBatch & Learned);

/** Sequence lengths are rounded up to a multiple of this, so that sessions meet few shapes; more would be padding. */
const BUCKET_TOKENS = 2;
/** Tokens in one scoring batch: enough to fill the cores, small enough to stay in cache. */
const SCORE_BATCH_TOKENS = 2048;

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
export function withTargets<B extends LabelBatch | ChoiceBatch>(
  batch: B,
  targets: readonly Target[],
): B & LearnedClasses {
  const labels = targets[0]?.distribution.length ?? 0;
  const out = new Float32Array(targets.length * labels);
  targets.forEach((target, i) => {
    out.set(target.distribution, i * labels);
  });
  return {
    ...batch,
    targets: out,
    rowWeight: Float32Array.from(targets, (t) => t.weight),
    inverseTemperature: Float32Array.from(targets, (t) => 1 / t.temperature),
  };
}

export interface Packed {
  readonly batch: LabelBatch;
  /** Where each of the batch's sequences stood in the list it came from. */
  readonly order: readonly number[];
}

/** Packs sequences for scoring: sorted by length, so that a batch holds prompts of one length and little padding. */
export function packForScoring(sequences: readonly Sequence[], padId: number): Packed[] {
  const order = sequences.map((_, i) => i).sort((a, b) => sequences[a]!.ids.length - sequences[b]!.ids.length || a - b);
  const packed: Packed[] = [];
  for (let at = 0; at < order.length; ) {
    let count = 1;
    const fits = (n: number): boolean =>
      at + n <= order.length && n * bucketOf(sequences[order[at + n - 1]!]!.ids.length) <= SCORE_BATCH_TOKENS;
    while (fits(count + 1)) count++;
    const slice = order.slice(at, at + count);
    packed.push({
      batch: packBatch(
        slice.map((i) => sequences[i]!),
        padId,
      ),
      order: slice,
    });
    at += count;
  }
  return packed;
}

function bucketOf(tokens: number): number {
  return Math.ceil(tokens / BUCKET_TOKENS) * BUCKET_TOKENS;
}
