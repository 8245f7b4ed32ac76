/** @file A model as a file or a folder holds it: its architecture, and each parameter, read by rows in float32. */
import { UserError } from '../errors.ts';
import type { Architecture } from '../model/architecture.ts';

export interface Rows {
  readonly begin: number;
  readonly end: number;
}

/** A tensor of one length is a row. */
export interface StoredTensor {
  readonly shape: readonly number[];
  /** The rows [begin, end), all of them unless told, as float32 into `out` from its start. Throws a UserError. */
  readonly readRows: (out: Float32Array, rows?: Rows) => void;
}

export interface Checkpoint {
  /** A folder of Hugging Face's, or a GGUF file. */
  readonly path: string;
  readonly architecture: Architecture;
  /** As config.json has it. */
  readonly config: Readonly<Record<string, unknown>>;
  /** By name of the parameter, one for each of the architecture. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Tensors that must be the same, as the architecture says: where both are stored. */
  readonly tied: readonly { readonly copy: string; readonly tensor: StoredTensor; readonly original: string }[];
  /** Every file that it is read from, some may be missing. */
  readonly files: readonly string[];
}

/** Elements that are held of a tensor at a time, where its rows are not longer. */
const PIECE = 1 << 20;

/** A tensor piece by piece, the same memory used again for each. Throws a UserError where a number is not finite. */
export function* piecesOf({ path }: Checkpoint, name: string, tensor: StoredTensor): Generator<Float32Array> {
  const columns = tensor.shape.at(-1)!;
  const all = tensor.shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const most = Math.min(all, Math.max(1, Math.floor(PIECE / columns)));
  const piece = new Float32Array(most * columns);
  for (let begin = 0; begin < all; begin += most) {
    const end = Math.min(all, begin + most);
    const out = piece.subarray(0, (end - begin) * columns);
    tensor.readRows(out, { begin, end });
    if (!areFinite(out))
      throw new UserError('usage', `${path}: tensor ${name} holds numbers that are not finite; fetch the model again`);
    yield out;
  }
}

function areFinite(data: Float32Array): boolean {
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += 0 * data[i]!; // what is not finite gives NaN
  return sum === 0;
}

/** Where the head is said to be the embeddings, a head of its own must be them: else nobody knows which is meant. */
export function checkTied(checkpoint: Checkpoint): void {
  for (const { copy, tensor, original } of checkpoint.tied) {
    const pieces = piecesOf(checkpoint, original, checkpoint.tensors.get(original)!);
    const isSame =
      String(tensor.shape) === String(checkpoint.tensors.get(original)!.shape) &&
      [...zip(piecesOf(checkpoint, copy, tensor), pieces)].every(Boolean);
    if (isSame) continue;
    throw new UserError(
      'usage',
      `${checkpoint.path}: ${copy} is not ${original}, though its configuration says that they are one (tie_word_embeddings); save the model again with the one that is meant`,
    );
  }
}

/** Whether each piece of one is that of the other. */
function* zip(a: Generator<Float32Array>, b: Generator<Float32Array>): Generator<boolean> {
  for (const piece of a) {
    const other = b.next().value as Float32Array;
    yield piece.every((x, i) => x === other[i]);
  }
}
