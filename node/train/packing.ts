/** @file Texts of which any words are scored, packed several into a row that none sees across; classes of several words. */
import type { ChoiceBatch, TokenBatch } from './batch.ts';

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

/**
 * An example whose classes are written in words of several tokens: in a masked model one passage that scores them all, in a
 * causal one a passage a class. `class` of a scored token is that of its passage, or its own.
 */
export interface Choice {
  readonly passages: readonly Passage[];
  /** The class of each scored token, in the order of the passages and of their scored tokens. */
  readonly classes: readonly number[];
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
