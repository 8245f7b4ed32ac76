/**
 * @file Where pre-training from nothing begins: word vectors from which words stand near each other in the text (a
 * factorised matrix of positive pointwise mutual information, Levy and Goldberg 2014), sinusoids for positions (Vaswani et
 * al. 2017), log frequencies for the output bias, small random numbers for the rest.
 */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../../node/atomic.ts';
import type { Base } from '../../node/checkpoint/base.ts';
import { encodeSafetensors } from '../../node/formats/safetensors.ts';
import { type Columns, productSvd, qr } from '../../protocol/lowrank.ts';
import { createPrng, type Prng } from '../../protocol/prng.ts';

/** Words to the right that count as near; tokens that are counted, at most. */
const WINDOW = 4;
const COUNTED_TOKENS = 3_000_000;
/** Directions sought beyond those kept, and passes over the matrix (Halko, Martinsson and Tropp 2011, algorithm 4.4). */
const SPARE = 10;
const PASSES = 2;
/** Root mean squares of what a model begins with. */
const SCALE = { words: 0.04, positions: 0.02, matrices: 0.02 };

/** A symmetric matrix by rows: column and value of what is not zero. */
type SparseRows = readonly { readonly at: Int32Array; readonly values: Float64Array }[];

/** Writes a model with the configuration and tokenizer of `like` that knows how often words of `stream` occur and together. */
export async function writeStart(folder: string, like: Base, stream: Int32Array, seed: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json'])
    copyFileSync(join(like.path, name), join(folder, name));
  const prng = createPrng(seed).fork('start');
  const tensors = like.architecture.parameters.map(({ name, shape }) => {
    const data = initial(name, shape, stream, prng);
    return { name, shape, data };
  });
  await writeFileAtomic(join(folder, 'model.safetensors'), encodeSafetensors(tensors, { format: 'pt' }));
}

function initial(name: string, shape: readonly number[], stream: Int32Array, prng: Prng): Float32Array {
  const [rows, columns = 1] = shape as [number, number?];
  const size = rows * columns;
  if (name.endsWith('word_embeddings.weight')) return wordVectors(stream, rows, columns, prng.fork(name));
  if (name.endsWith('position_embeddings.weight')) return sinusoids(rows, columns);
  if (name.endsWith('predictions.bias')) return logFrequencies(stream, rows);
  if (name.endsWith('LayerNorm.weight')) return new Float32Array(size).fill(1);
  if (name.endsWith('bias') || name.endsWith('token_type_embeddings.weight')) return new Float32Array(size);
  const { normal } = prng.fork(name);
  return Float32Array.from({ length: size }, () => SCALE.matrices * normal());
}

function logFrequencies(stream: Int32Array, vocabulary: number): Float32Array {
  const counts = new Float32Array(vocabulary).fill(0.5);
  for (const id of stream) counts[id]! += 1;
  return counts.map((count) => Math.log(count / stream.length));
}

function sinusoids(positions: number, width: number): Float32Array {
  return Float32Array.from({ length: positions * width }, (_, k) => {
    const [t, i] = [Math.floor(k / width), k % width];
    const angle = t / 10_000 ** ((2 * Math.floor(i / 2)) / width);
    return SCALE.positions * Math.SQRT2 * (i % 2 ? Math.cos(angle) : Math.sin(angle));
  });
}

/** U sqrt(S) of the matrix's first singular triplets, row by row, scaled. */
function wordVectors(stream: Int32Array, vocabulary: number, width: number, prng: Prng): Float32Array {
  const matrix = mutualInformation(stream.subarray(0, COUNTED_TOKENS), vocabulary);
  const count = Math.min(vocabulary, width + SPARE);
  let basis: Columns = {
    rows: vocabulary,
    columns: Array.from({ length: count }, () => Float64Array.from({ length: vocabulary }, prng.normal)),
  };
  for (let pass = 0; pass < PASSES; pass++) basis = qr(times(matrix, basis)).q;
  // M is close to Q Q^T M, and M is symmetric: the triplets of Q (M Q)^T.
  const { u, values } = productSvd(basis, times(matrix, basis));
  const out = new Float32Array(vocabulary * width);
  for (let k = 0; k < Math.min(width, values.length); k++) {
    for (let i = 0; i < vocabulary; i++) out[i * width + k] = u[k]![i]! * Math.sqrt(values[k]!);
  }
  const scale = SCALE.words / Math.sqrt(out.reduce((sum, x) => sum + x * x, 0) / out.length || 1);
  return out.map((x) => scale * x);
}

/** max(0, log(n_ij N / (n_i n_j))) of the pairs that stand within the window. */
function mutualInformation(stream: Int32Array, vocabulary: number): SparseRows {
  const pairs = Array.from({ length: vocabulary }, () => new Map<number, number>());
  for (let t = 0; t < stream.length; t++) {
    for (let near = t + 1; near <= Math.min(t + WINDOW, stream.length - 1); near++) {
      const [a, b] = [stream[t]!, stream[near]!];
      pairs[a]!.set(b, (pairs[a]!.get(b) ?? 0) + 1);
      pairs[b]!.set(a, (pairs[b]!.get(a) ?? 0) + 1);
    }
  }
  const sums = pairs.map((row) => [...row.values()].reduce((a, b) => a + b, 0));
  const total = sums.reduce((a, b) => a + b, 0);
  return pairs.map((row, i) => {
    const kept = [...row].flatMap(([j, count]) => {
      const value = Math.log((count * total) / (sums[i]! * sums[j]!));
      return value > 0 ? [[j, value] as const] : [];
    });
    return { at: Int32Array.from(kept, ([j]) => j), values: Float64Array.from(kept, ([, value]) => value) };
  });
}

function times(matrix: SparseRows, x: Columns): Columns {
  return {
    rows: matrix.length,
    columns: x.columns.map((column) =>
      Float64Array.from(matrix, ({ at, values }) => {
        let sum = 0;
        for (let k = 0; k < at.length; k++) sum += values[k]! * column[at[k]!]!;
        return sum;
      }),
    ),
  };
}
