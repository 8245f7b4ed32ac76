/** @file Texts of which any words are scored, packed several into a row that none sees across; classes of several words. */
import {
  bucketOf,
  type Choice,
  type ChoiceBatch,
  type LabelBatch,
  type PackedLabelBatch,
  type Passage,
  packBatch,
  type Sequence,
  type TokenBatch,
} from './batch.ts';

/** Tokens in one scoring batch: enough to fill the cores, small enough to stay in cache. */
const SCORE_BATCH_TOKENS = 2048;
/** Longest row that short texts are packed into. */
const ROW_TOKENS = 256;

/** Of what a batch with a text a row costs, how much a packed one may cost to be worth the masks it takes. */
const WORTH_PACKING = 0.95;
/** Lengths of packed rows that are tried beside that of the longest text. */
const ROW_WIDTHS = [48, 64, 96, 128, 192, 256];
/** Tokens of a row whose attention costs as much as everything else. */
const SQUARE_TOKENS = 600;

/** Prompts as one batch: of label words, or of choices where classes are written in several tokens. */
export function batchOf(
  sequences: readonly Sequence[],
  { padId, classes }: { padId: number; classes: number },
): LabelBatch | ChoiceBatch {
  const choices = sequences.flatMap(({ choice }) => choice ?? []);
  if (choices.length === 0) return packBatch(sequences, padId);
  return packChoices(choices, { labels: classes, tokens: ROW_TOKENS, padId });
}

/** The same for training, short texts several a row where much would be padding. */
export function trainingBatchOf(
  sequences: readonly Sequence[],
  given: { padId: number; classes: number },
): LabelBatch | PackedLabelBatch | ChoiceBatch {
  const padded = batchOf(sequences, given);
  if (padded.question !== 'labels' || padded.rows !== 1) return padded;
  const lengths = sequences.map(({ ids }) => ids.length);
  const widths = [padded.tokens, ...ROW_WIDTHS.filter((width) => width > padded.tokens)];
  const costs = widths.map((width) => costOf(fitting(lengths, width).length, width));
  const least = Math.min(...costs);
  if (least > WORTH_PACKING * costOf(padded.batch, padded.tokens)) return padded;
  return packSequences(sequences, widths[costs.indexOf(least)]!, given.padId);
}

/** What rows of so many tokens take: what is linear in tokens, and attention, which grows with their square. */
function costOf(rows: number, tokens: number): number {
  return rows * tokens * (1 + tokens / SQUARE_TOKENS);
}

/** Prompts of one scored position each, in rows of `tokens` at most. */
function packSequences(sequences: readonly Sequence[], tokens: number, padId: number): PackedLabelBatch {
  const passages = sequences.map(({ ids }) => ({ ids, scored: [] }));
  const { question: _, rows: __, targetIds: ___, ...laid } = packPassages(passages, tokens, padId);
  const members = fitting(
    passages.map(({ ids }) => ids.length),
    tokens,
  );
  const rows = Math.max(...members.map(({ length }) => length));
  const select = new Float32Array(laid.batch * rows * laid.tokens);
  const slots = new Array<number>(sequences.length).fill(0);
  members.forEach((row, b) => {
    let at = 0;
    row.forEach((i, m) => {
      slots[i] = b * rows + m;
      select[slots[i] * laid.tokens + at + sequences[i]!.positions[0]!] = 1;
      at += sequences[i]!.ids.length;
    });
  });
  return { ...laid, question: 'packed-labels', rows, select, slots };
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

/** Which texts share rows of `tokens` at most, as few rows as first fit by falling length gives; by row. */
function fitting(lengths: readonly number[], tokens: number): number[][] {
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const rows: { members: number[]; used: number }[] = [];
  for (const i of order) {
    const length = lengths[i]!;
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
  const rows = fitting(
    passages.map(({ ids }) => ids.length),
    tokens,
  );
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
