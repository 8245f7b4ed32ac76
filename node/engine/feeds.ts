/** @file Batches, label words and scalars as the tensors the graphs ask for by name. */
import { SIZES } from '../model/architecture.ts';
import type { Batch, LabelWords, TrainBatch } from './batch.ts';
import type { Feed } from './session.ts';

/** The model's inputs, and the label words'. */
export function batchFeeds(batch: Batch, labels: LabelWords): Record<string, Feed> {
  const { batch: b, tokens: t } = batch;
  const common = {
    input_ids: { data: batch.inputIds, dims: [b, t] },
    attention_mask: { data: batch.attentionMask, dims: [b, t] },
    token_index: { data: Float32Array.from({ length: t }, (_, i) => i), dims: [t] },
  };
  const bias = { label_bias: { data: Float32Array.from(labels.bias), dims: [labels.bias.length] } };
  if (batch.question === 'labels' || batch.question === 'packed-labels')
    return {
      ...common,
      ...bias,
      ...(batch.question === 'labels'
        ? { position_ids: { data: BigInt64Array.from({ length: b * t }, (_, i) => BigInt(i % t)), dims: [b, t] } }
        : {
            position_ids: { data: batch.positionIds, dims: [b, t] },
            segment_ids: { data: batch.segmentIds, dims: [b, t] },
          }),
      select: { data: batch.select, dims: [b, batch.rows, t] },
      label_ids: { data: BigInt64Array.from(labels.ids, BigInt), dims: [labels.ids.length] },
    };
  const packed = {
    ...common,
    position_ids: { data: batch.positionIds, dims: [b, t] },
    segment_ids: { data: batch.segmentIds, dims: [b, t] },
    rows: { data: batch.rows, dims: [batch.rows.length] },
    target_ids: { data: batch.targetIds, dims: [batch.targetIds.length] },
  };
  if (batch.question === 'tokens') return packed;
  const { examples, labels: classes, combine, rows } = batch;
  return { ...packed, ...bias, combine: { data: combine, dims: [examples, classes, rows.length] } };
}

/** The sizes that the graphs leave open, as a batch has them. */
export function sizesOf(batch: TrainBatch): Record<string, number> {
  const [rows, { batch: b, tokens }] = [batch.rowWeight.length, batch];
  const labels = batch.question === 'tokens' ? 1 : batch.targets.length / rows;
  const { batch: B, tokens: T, rows: M, scored: R, labels: K, examples: E } = SIZES;
  const scored = typeof batch.rows === 'number' ? { [M]: batch.rows } : { [R]: batch.rows.length };
  return { [B]: b, [T]: tokens, [K]: labels, [E]: rows, ...scored };
}

/** What is learned of a batch. */
export function targetFeeds(batch: TrainBatch): Record<string, Feed> {
  const rows = batch.rowWeight.length;
  const weights = { row_weight: { data: batch.rowWeight, dims: [rows, 1] } };
  if (batch.question === 'tokens') return weights;
  return {
    ...weights,
    targets: { data: batch.targets, dims: [rows, batch.targets.length / rows] },
    inverse_temperature: { data: batch.inverseTemperature, dims: [rows, 1] },
  };
}

/** Numbers as tensors without axes. */
export function scalarFeeds(scalars: Readonly<Record<string, number>>): Record<string, Feed> {
  return Object.fromEntries(Object.entries(scalars).map(([name, x]) => [name, { data: Float32Array.of(x), dims: [] }]));
}
