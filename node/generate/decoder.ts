/**
 * @file A causal model that reads tokens and says what may come next, keeping keys and values of what it has read: a token more
 * costs one token. Lives in the worker thread.
 */

import { cacheGraph, openBase } from '../checkpoint/base.ts';
import { WEIGHTS_FILE } from '../checkpoint/weights.ts';
import { type Feed, openSession } from '../engine/session.ts';
import { UserError } from '../errors.ts';
import { encodeOnnx } from '../graph/onnx.ts';
import { decodeGraph } from '../model/decode.ts';
import type { LoraSpec } from '../model/lora.ts';
import { createKeyCache } from './cache.ts';
import { expectCausal } from './causal.ts';
import { packWeights } from './pack.ts';

export interface DecoderOptions {
  /** As `openBase` takes it. */
  readonly base: string;
  readonly adapter: { readonly lora: LoraSpec; readonly vector: Float32Array } | null;
  /** 0: one a core. */
  readonly threads: number;
  /** Weights in a few bits and activations in eight: fewer bytes a word, and words that may be others. */
  readonly isFast?: boolean;
}

export interface Decoder {
  /** Tokens that prompt and answer may have together. */
  readonly maxTokens: number;
  /** Tokens read and kept, in their order. */
  readonly read: readonly number[];
  /** Reads tokens after those kept; gives the logits of the word after the last, [V]. At least one, and within `maxTokens`. */
  feed(ids: readonly number[]): Promise<Float32Array>;
  /**
   * Reads a whole text, of which only what differs from what is kept is computed; `isCancelled` is looked at between pieces.
   * Null where it was.
   */
  start(ids: readonly number[], isCancelled?: () => boolean): Promise<Float32Array | null>;
  /** Takes another adapter of the same shape, and forgets what it has read. */
  use(vector: Float32Array): void;
  release(): Promise<void>;
}

/** Tokens read at once: more would make the scores of a long prompt large, [heads, piece, all]. */
const PIECE = 256;

/** Opens a model on the CPU. Throws a UserError on one that is masked, since it writes nothing. */
export async function createDecoder({
  base: name,
  adapter,
  threads,
  isFast = false,
}: DecoderOptions): Promise<Decoder> {
  const base = await openBase(name);
  const { maxTokens, vocabulary } = base.architecture;
  expectCausal(name, base.architecture);
  const packed = isFast ? await packWeights(base) : null;
  const { graph, layers } = decodeGraph(base, adapter?.lora ?? null, packed);
  const path = await cacheGraph(base, encodeOnnx(graph, WEIGHTS_FILE));
  const session = await openSession(path, 'cpu', { threads, prepack: isFast });
  const cache = createKeyCache(layers, maxTokens);
  const read: number[] = [];
  const fed = (data: Float32Array): Record<string, Feed> => ({ vector: { data, dims: [data.length] } });
  let vector = adapter ? fed(adapter.vector) : {};
  const step = async (ids: readonly number[]): Promise<Float32Array> => {
    const feeds = { ...tokenFeeds(ids, cache.length), ...cache.feeds(), ...vector };
    const out = await session.run(feeds, ['logits', ...cache.outputs]);
    cache.append(out, ids.length);
    read.push(...ids);
    return out.logits as Float32Array;
  };
  const feed = async (ids: readonly number[], isCancelled = (): boolean => false): Promise<Float32Array | null> => {
    const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabulary);
    if (bad !== undefined) throw new UserError('usage', `token ${bad}: the model has ${vocabulary}, from 0`);
    if (ids.length === 0 || cache.length + ids.length > maxTokens)
      throw new UserError('usage', `${cache.length + ids.length} tokens; wanted 1 to ${maxTokens}`);
    let logits: Float32Array | null = null;
    for (let at = 0; at < ids.length; at += PIECE) {
      if (isCancelled()) return null;
      logits = await step(ids.slice(at, at + PIECE));
    }
    return logits;
  };
  return {
    maxTokens,
    read,
    feed: async (ids) => (await feed(ids))!,
    start: (ids, isCancelled) => {
      // The last is read again if need be: its logits are not kept.
      const same = Math.min(commonPrefix(read, ids), ids.length - 1);
      cache.truncate(Math.max(0, same));
      read.length = cache.length;
      return feed(ids.slice(cache.length), isCancelled);
    },
    use: (other) => {
      if (other.length !== adapter?.vector.length)
        throw new UserError('usage', `adapter: ${other.length} numbers; wanted ${adapter?.vector.length ?? 0}`);
      vector = fed(other);
      cache.truncate(0);
      read.length = 0;
    },
    release: () => session.release(),
  };
}

/** New tokens behind `past` kept ones, the word after the last asked for. */
function tokenFeeds(ids: readonly number[], past: number): Record<string, Feed> {
  const [tokens, all] = [ids.length, past + ids.length];
  const places = Float32Array.from({ length: all }, (_, i) => i);
  return {
    input_ids: { data: BigInt64Array.from(ids, BigInt), dims: [1, tokens] },
    position_ids: { data: BigInt64Array.from(ids, (_, i) => BigInt(past + i)), dims: [1, tokens] },
    attention_mask: { data: new Float32Array(all).fill(1), dims: [1, all] },
    query_index: { data: places.subarray(past), dims: [tokens] },
    key_index: { data: places, dims: [all] },
    rows: { data: BigInt64Array.of(BigInt(tokens - 1)), dims: [1] },
  };
}

function commonPrefix(a: readonly number[], b: readonly number[]): number {
  const end = Math.min(a.length, b.length);
  let same = 0;
  while (same < end && a[same] === b[same]) same++;
  return same;
}
