/** @file A batch cut by rows into smaller ones, whose gradients add up to its own: weights in the loss are shares already. */
import type { ChoiceBatch, ClassBatch, LabelBatch, PackedLabelBatch, TrainBatch } from './batch.ts';

/**
 * Tokens of a micro-batch, padding included. Part of what is computed, not of the machine: another order of sums gives other
 * last digits.
 */
export const MICRO_BATCH_TOKENS = 4096;

/** Batches of at most `tokens` tokens where rows allow it, in order. An example of choices stays with all its rows. */
export function microBatches(
  batch: TrainBatch,
  { tokens = MICRO_BATCH_TOKENS }: { tokens?: number } = {},
): TrainBatch[] {
  if (batch.batch * batch.tokens <= tokens) return [batch];
  const most = Math.max(1, Math.floor(tokens / batch.tokens));
  const groups = batch.question === 'choices' ? linkedRows(batch) : Array.from({ length: batch.batch }, (_, b) => [b]);
  const cuts: number[][] = [];
  for (const group of groups) {
    const current = cuts.at(-1);
    if (current && current.length + group.length <= most) current.push(...group);
    else cuts.push([...group]);
  }
  if (cuts.length === 1) return [batch];
  return cuts.map((rows) => partOf(batch, rows)).filter(({ rowWeight }) => rowWeight.length > 0);
}

/** Rows that hold passages of one example, directly or through others, in groups. */
function linkedRows({ batch, tokens, rows, combine, examples, labels }: ChoiceBatch): number[][] {
  const groups = Array.from({ length: batch }, (_, b) => [b]);
  for (let e = 0; e < examples; e++) {
    const used = [...rows.keys()].filter((r) =>
      Array.from({ length: labels }, (_, k) => combine[(e * labels + k) * rows.length + r]!).some((x) => x !== 0),
    );
    const members = new Set(used.map((r) => Math.floor(Number(rows[r]!) / tokens)));
    const [first, ...others] = [...new Set([...members].map((b) => groups[b]!))];
    for (const other of others) {
      first!.push(...other);
      for (const b of other) groups[b] = first!;
    }
  }
  return [...new Set(groups)];
}

/** The given rows of a batch, with what is asked and learned of them. */
function partOf(batch: TrainBatch, rows: readonly number[]): TrainBatch {
  const { tokens } = batch;
  const common = {
    batch: rows.length,
    tokens,
    inputIds: pick(batch.inputIds, rows, tokens),
    attentionMask: pick(batch.attentionMask, rows, tokens),
  };
  if (batch.question === 'labels' || batch.question === 'packed-labels') return labelsOf(batch, rows, common);
  const places = new Map(rows.map((b, i) => [b, i]));
  const scored = [...batch.rows.keys()].filter((r) => places.has(Math.floor(Number(batch.rows[r]!) / tokens)));
  const moved = scored.map((r) => {
    const at = Number(batch.rows[r]!);
    return BigInt(places.get(Math.floor(at / tokens))! * tokens + (at % tokens));
  });
  const packed = {
    ...common,
    ...placesOf(batch, rows),
    rows: BigInt64Array.from(moved),
    targetIds: pick(batch.targetIds, scored, 1),
  };
  if (batch.question === 'tokens')
    return { ...packed, question: 'tokens', rowWeight: pick(batch.rowWeight, scored, 1) };
  return { ...packed, question: 'choices', ...choicesOf(batch, scored) };
}

/** One text a row or several, with as many scored positions in each row. */
function labelsOf<C>(batch: (LabelBatch | PackedLabelBatch) & ClassBatch, rows: readonly number[], common: C) {
  const each = batch.rows;
  const scored = rows.flatMap((b) => Array.from({ length: each }, (_, m) => b * each + m));
  const select = pick(batch.select, rows, each * batch.tokens);
  const asked = { ...common, rows: each, select, ...learned(batch, scored) };
  if (batch.question === 'labels') return { ...asked, question: batch.question };
  const slots = batch.slots.map((slot) => scored.indexOf(slot)).filter((slot) => slot >= 0);
  return { ...asked, question: batch.question, ...placesOf(batch, rows), slots };
}

function placesOf(
  { tokens, positionIds, segmentIds }: { tokens: number; positionIds: BigInt64Array; segmentIds: BigInt64Array },
  rows: readonly number[],
) {
  return { positionIds: pick(positionIds, rows, tokens), segmentIds: pick(segmentIds, rows, tokens) };
}

/** The examples all of whose words are among the scored ones. */
function choicesOf(batch: ChoiceBatch & ClassBatch, scored: readonly number[]) {
  const { labels, combine } = batch;
  const count = batch.rows.length;
  const rowOf = (e: number, k: number): number => (e * labels + k) * count;
  const examples = Array.from({ length: batch.examples }, (_, e) => e).filter((e) =>
    scored.some((r) => Array.from({ length: labels }, (_, k) => combine[rowOf(e, k) + r]).some((x) => x !== 0)),
  );
  const kept = examples.flatMap((e) =>
    Array.from({ length: labels }, (_, k) => scored.map((r) => combine[rowOf(e, k) + r]!)).flat(),
  );
  return { examples: examples.length, labels, combine: Float32Array.from(kept), ...learned(batch, examples) };
}

function learned(batch: ClassBatch, rows: readonly number[]) {
  const labels = batch.targets.length / batch.rowWeight.length;
  return {
    rowWeight: pick(batch.rowWeight, rows, 1),
    targets: pick(batch.targets, rows, labels),
    inverseTemperature: pick(batch.inverseTemperature, rows, 1),
  };
}

/** Runs of `size` numbers, by index. */
function pick<T extends Float32Array | BigInt64Array>(data: T, indices: readonly number[], size: number): T {
  const out = new (data.constructor as new (length: number) => T)(indices.length * size);
  indices.forEach((index, i) => {
    out.set(data.subarray(index * size, (index + 1) * size) as never, i * size);
  });
  return out;
}
