/** @file Texts of which any words are scored, packed several into a row that none sees across; classes of several words. */
import {
  bucketOf,
  type Choice,
  type ChoiceBatch,
  type LabelBatch,
  type Passage,
  packBatch,
  type Sequence,
  type TokenBatch,
} from './batch.ts';

/** Tokens in one scoring batch: enough to fill the cores, small enough to stay in cache. */
const SCORE_BATCH_TOKENS = 2048;
/** Longest row that short texts are packed into. */
const ROW_TOKENS = 256;

/** Prompts as one batch: of label words, or of choices where classes are written in several tokens. */
export function batchOf(
  sequences: readonly Sequence[],
  { padId, classes }: { padId: number; classes: number },
): LabelBatch | ChoiceBatch {
  const choices = sequences.flatMap(({ choice }) => choice ?? []);
  if (choices.length === 0) return packBatch(sequences, padId);
  return packChoices(choices, { labels: classes, tokens: ROW_TOKENS, padId });
}

export interface Packed {
  readonly batch: LabelBatch | ChoiceBatch;
  /** Where each of the batch's sequences stood in the list it came from. */
  readonly order: readonly number[];
}

/** Packs sequences for scoring: sorted by length, so that a batch holds prompts of one length and little padding. */
export function packForScoring(
  sequences: readonly Sequence[],
  { padId, classes }: { padId: number; classes: number },
): Packed[] {
  const order = sequences.map((_, i) => i).sort((a, b) => lengthOf(sequences[a]!) - lengthOf(sequences[b]!) || a - b);
  const packed: Packed[] = [];
  for (let at = 0; at < order.length; ) {
    let count = 1;
    const fits = (n: number): boolean =>
      at + n <= order.length && n * bucketOf(lengthOf(sequences[order[at + n - 1]!]!)) <= SCORE_BATCH_TOKENS;
    while (fits(count + 1)) count++;
    const slice = order.slice(at, at + count);
    packed.push({
      batch: batchOf(
        slice.map((i) => sequences[i]!),
        { padId, classes },
      ),
      order: slice,
    });
    at += count;
  }
  return packed;
}

/** Tokens that a sequence takes, all its passages together. */
function lengthOf({ ids, choice }: Sequence): number {
  return choice ? choice.passages.reduce((sum, passage) => sum + passage.ids.length, 0) : ids.length;
}

/** The passages that share rows of `tokens` at most, as few rows as first fit by falling length gives; by row. */
function rowsOf(passages: readonly Passage[], tokens: number): number[][] {
  const order = passages.map((_, i) => i).sort((a, b) => passages[b]!.ids.length - passages[a]!.ids.length || a - b);
  const rows: { members: number[]; used: number }[] = [];
  for (const i of order) {
    const { length } = passages[i]!.ids;
    const row = rows.find(({ used }) => used + length <= tokens);
    if (row) row.members.push(i);
    else rows.push({ members: [i], used: 0 });
    (row ?? rows.at(-1)!).used += length;
  }
  return rows.map(({ members }) => members);
}

/**
 * Packs passages into rows of `tokens` at most (longer passages make longer rows). The scored words come in the order of the
 * passages. `padId` fills.
 */
export function packPassages(passages: readonly Passage[], tokens: number, padId: number): TokenBatch {
  const rows = rowsOf(passages, tokens);
  const lengthOf = (row: readonly number[]): number => row.reduce((sum, i) => sum + passages[i]!.ids.length, 0);
  const width = Math.max(1, ...rows.map(lengthOf));
  const [batch, size] = [rows.length, rows.length * width];
  const inputIds = new BigInt64Array(size).fill(BigInt(padId));
  const attentionMask = new Float32Array(size);
  const [positionIds, segmentIds] = [new BigInt64Array(size), new BigInt64Array(size)];
  const starts = new Array<number>(passages.length).fill(0);
  rows.forEach((members, row) => {
    let at = row * width;
    members.forEach((i, segment) => {
      starts[i] = at;
      passages[i]!.ids.forEach((id, position) => {
        inputIds[at] = BigInt(id);
        attentionMask[at] = 1;
        positionIds[at] = BigInt(position);
        segmentIds[at] = BigInt(segment);
        at += 1;
      });
    });
  });
  const scored = passages.flatMap((passage, i) =>
    passage.scored.map(({ position, id }) => ({ row: starts[i]! + position, id })),
  );
  return {
    question: 'tokens',
    batch,
    tokens: width,
    inputIds,
    attentionMask,
    positionIds,
    segmentIds,
    rows: BigInt64Array.from(scored, ({ row }) => BigInt(row)),
    targetIds: BigInt64Array.from(scored, ({ id }) => BigInt(id)),
  };
}

/** Adds what each scored word weighs in the loss. */
export function withWeights(batch: TokenBatch, passages: readonly Passage[]): TokenBatch & { rowWeight: Float32Array } {
  return {
    ...batch,
    rowWeight: Float32Array.from(passages.flatMap(({ scored }) => scored.map(({ weight }) => weight))),
  };
}

/** Packs examples of choices among `labels` classes. */
export function packChoices(
  choices: readonly Choice[],
  { labels, tokens, padId }: { labels: number; tokens: number; padId: number },
): ChoiceBatch {
  const packed = packPassages(
    choices.flatMap(({ passages }) => passages),
    tokens,
    padId,
  );
  const rows = packed.rows.length;
  const combine = new Float32Array(choices.length * labels * rows);
  let row = 0;
  choices.forEach(({ classes }, example) => {
    for (const y of classes) combine[(example * labels + y) * rows + row++] = 1;
  });
  return { ...packed, question: 'choices', examples: choices.length, labels, combine };
}
