/** @file Words of a vocabulary near to a word that is none, by the base's own embedding of the pieces it falls into. */
import { openCheckpoint } from '../checkpoint/checkpoint.ts';
import type { TextTokenizer } from '../formats/tokenizer.ts';

const SUGGESTIONS = 3;
/** Of embeddings that are read for a message: 256 MB. */
const MAX_NUMBERS = 1 << 26;

/** For each word's pieces the nearest words of the vocabulary; none where the base's weights cannot be read. */
export function nearestWords(
  path: string,
  tokenizer: TextTokenizer,
  words: readonly (readonly number[])[],
): string[][] {
  const embedding = readEmbedding(path);
  if (!embedding) return words.map(() => []);
  const { data, width } = embedding;
  // Where a token says whether a space stands before it, words are those that have one.
  const pattern = tokenizer.keepsSpaces ? /^ \p{L}{3,}$/u : /^\p{L}{3,}$/u;
  const candidates = tokenizer.vocabulary.flatMap((_, id) => {
    const token = tokenizer.readable(id);
    return pattern.test(token) && (id + 1) * width <= data.length ? [{ token: token.trim(), id }] : [];
  });
  // What all words share says nothing about one.
  const centre = meanRow(
    data,
    width,
    candidates.map(({ id }) => id),
  );
  const rowOf = (id: number): Float64Array => meanRow(data, width, [id]).map((x, i) => x - centre[i]!);
  return words.map((pieces) => {
    if (pieces.length === 0) return [];
    const wanted = meanRow(data, width, pieces).map((x, i) => x - centre[i]!);
    const scored = candidates.map(({ token, id }) => ({ token, score: cosine(wanted, rowOf(id)) }));
    return scored
      .sort((a, b) => b.score - a.score)
      .slice(0, SUGGESTIONS)
      .map(({ token }) => token);
  });
}

function readEmbedding(path: string): { data: Float32Array; width: number } | null {
  try {
    const [words] = openCheckpoint(path).tensors.values();
    const [rows, width] = words!.shape as [number, number];
    if (rows * width > MAX_NUMBERS) return null;
    const data = new Float32Array(rows * width);
    words!.readRows(data);
    return { data, width };
  } catch {
    // The message does without: whoever opens the base next says what is wrong with it.
    return null;
  }
}

function meanRow(data: Float32Array, width: number, ids: readonly number[]): Float64Array {
  const mean = new Float64Array(width);
  for (const id of ids) for (let i = 0; i < width; i++) mean[i]! += data[id * width + i]! / ids.length;
  return mean;
}

function cosine(a: Float64Array, b: Float64Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! * a[i]!;
    bb += b[i]! * b[i]!;
  }
  return dot / Math.sqrt(aa * bb || 1);
}
