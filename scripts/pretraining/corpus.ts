/** @file Text for masked language modelling: documents as one stream of tokens, cut into blocks, some of whose words are masked. */

import type { TextTokenizer } from '../../node/formats/tokenizer.ts';
import { readRows } from '../../node/texts/data.ts';
import { readText } from '../../node/texts/textfile.ts';
import { createPrng, type Prng } from '../../protocol/prng.ts';

export interface SpecialTokens {
  readonly cls: number;
  readonly sep: number;
  readonly mask: number;
  readonly pad: number;
}

/** Blocks of one length, [CLS] first. */
export interface Blocks {
  readonly count: number;
  readonly length: number;
  /** The ids of block i; the caller may change them. */
  readonly block: (i: number) => Int32Array;
}

/** A block with some of its words hidden, and the words that stood there. */
export interface MaskedBlock {
  readonly ids: readonly number[];
  readonly positions: readonly number[];
  readonly words: readonly number[];
}

/** The documents of a file: the texts of a .tsv, .csv or .jsonl; else one a line, tags of line breaks taken out. */
export function readDocuments(path: string): string[] {
  const texts = /\.(tsv|csv|jsonl?|ndjson)(\.gz)?$/.test(path)
    ? readRows(path).map((row) => row.text)
    : readText(path).split(/\r?\n/);
  return texts.map((text) => text.replaceAll(/<br ?\/?>/g, ' ').trim()).filter((text) => text !== '');
}

/** Documents in shuffled order as one stream with [SEP] between them, of `limit` tokens at most. Ctrl-C is heard in between. */
export async function tokenise(
  tokenizer: TextTokenizer,
  documents: readonly string[],
  {
    sep,
    limit,
    prng,
    signal,
    onProgress,
  }: {
    sep: number;
    limit: number;
    prng: Prng;
    signal: AbortSignal;
    onProgress: (done: number, total: number) => void;
  },
): Promise<Int32Array> {
  const order = prng.shuffle(documents);
  let stream = new Int32Array(1 << 20);
  let length = 0;
  for (const [i, text] of order.entries()) {
    if (length >= limit) break;
    const ids = tokenizer.encode(text);
    if (length + ids.length + 1 > stream.length) {
      const longer = new Int32Array(2 * (stream.length + ids.length));
      longer.set(stream);
      stream = longer;
    }
    stream.set(ids, length);
    length += ids.length;
    stream[length++] = sep;
    if (i % 256 === 255) {
      onProgress(i + 1, order.length);
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
    }
  }
  onProgress(order.length, order.length);
  return stream.slice(0, Math.min(length, limit));
}

/** Cuts a stream into blocks of `length` tokens, [CLS] and length - 1 of the stream; what is left over is dropped. */
export function cutBlocks(stream: Int32Array, length: number, cls: number): Blocks {
  const inner = length - 1;
  return {
    count: Math.floor(stream.length / inner),
    length,
    block: (i) => {
      const ids = new Int32Array(length);
      ids[0] = cls;
      ids.set(stream.subarray(i * inner, (i + 1) * inner), 1);
      return ids;
    },
  };
}

/**
 * Hides `count` words of a block: of ten, eight become [MASK], one any word, one stays. Devlin et al. 2019, section 3.1.
 * Special tokens are never asked for; a block of hardly anything else is asked for a word twice.
 */
export function maskBlock(
  ids: Int32Array,
  { count, vocabulary, special, prng }: { count: number; vocabulary: number; special: SpecialTokens; prng: Prng },
): MaskedBlock {
  const open = Array.from(ids.keys()).filter((t) => ids[t] !== special.cls && ids[t] !== special.sep);
  const shuffled = prng.shuffle(open.length > 0 ? open : [ids.length - 1]);
  const positions = Array.from({ length: count }, (_, m) => shuffled[m % shuffled.length]!);
  const words = positions.map((t) => ids[t]!);
  const masked = [...ids];
  for (const t of positions) {
    const chance = prng.random();
    if (chance < 0.8) masked[t] = special.mask;
    else if (chance < 0.9) masked[t] = prng.below(vocabulary);
  }
  return { ids: masked, positions, words };
}

/** The blocks of step `step`, masked: shuffled passes over all of them, drawn from seed and step alone. */
export function stepBlocks(
  blocks: Blocks,
  { seed, step, batch }: { seed: string; step: number; batch: number },
  mask: { count: number; vocabulary: number; special: SpecialTokens },
): MaskedBlock[] {
  const perPass = Math.floor(blocks.count / batch);
  const pass = Math.floor(step / perPass);
  const order = passOrder(blocks.count, `${seed}/${pass}`);
  const prng = createPrng(seed).fork('mask').fork(step);
  const first = (step % perPass) * batch;
  return Array.from({ length: batch }, (_, b) => maskBlock(blocks.block(order[first + b]!), { ...mask, prng }));
}

let kept: { key: string; order: readonly number[] } | null = null;

/** The order of a pass; the last one drawn is kept, since every step of a pass asks for it. */
function passOrder(count: number, name: string): readonly number[] {
  const key = `${name}/${count}`;
  if (kept?.key !== key) kept = { key, order: createPrng(name).shuffle(Array.from({ length: count }, (_, i) => i)) };
  return kept.order;
}
