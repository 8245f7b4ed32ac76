/** @file Batches, label words and scalars as the tensors the graphs ask for by name. */
import type { Batch, LabelWords } from './batch.ts';
import type { Feed } from './session.ts';

/** The model's inputs, and the label words'. */
export function batchFeeds(batch: Batch, labels: LabelWords): Record<string, Feed> {
  const { batch: b, tokens: t, rows: m } = batch;
  return {
    input_ids: { data: batch.inputIds, dims: [b, t] },
    attention_mask: { data: batch.attentionMask, dims: [b, t] },
    position_ids: { data: BigInt64Array.from({ length: b * t }, (_, i) => BigInt(i % t)), dims: [b, t] },
    select: { data: batch.select, dims: [b, m, t] },
    label_ids: { data: BigInt64Array.from(labels.ids, BigInt), dims: [labels.ids.length] },
    label_bias: { data: Float32Array.from(labels.bias), dims: [labels.ids.length] },
  };
}

/** Numbers as tensors without axes. */
export function scalarFeeds(scalars: Readonly<Record<string, number>>): Record<string, Feed> {
  return Object.fromEntries(Object.entries(scalars).map(([name, x]) => [name, { data: Float32Array.of(x), dims: [] }]));
}
