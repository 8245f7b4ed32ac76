/** @file Writes the linear layers of a base in 7 bits a number, once, in a file beside its float32 weights. */
import { statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writePiecesAtomic } from '../atomic.ts';
import type { Architecture, Linear } from '../model/architecture.ts';
import type { Int8Pair, Int8Place, Place, WeightPlace } from '../model/base.ts';
import { whileLocked } from './lock.ts';
import { storing } from './weights.ts';

/** Another version's file is another. */
export const INT8_FILE = 'int8-1.bin';
/** Whole numbers from minus this to this. */
const LARGEST = 63;
const ALIGNMENT = 64;

/** Where each layer stands in the file. */
export function int8PlacesOf({ linears }: Architecture): Map<string, Int8Pair> {
  let end = 0;
  const place = (byteLength: number): Place => {
    const offset = end;
    end += Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
    return { offset, byteLength };
  };
  const matrix = (rows: number, columns: number): Int8Place => ({
    shape: [rows, columns],
    values: place(rows * columns),
    scales: place(4 * columns),
  });
  return new Map(
    linears.map(({ module, inputs, outputs }) => [
      module,
      { forward: matrix(inputs, outputs), backward: matrix(outputs, inputs) },
    ]),
  );
}

/** Writes the file from that of the float32 weights, unless it is there whole. Throws a UserError where the disk fails. */
export async function writeInt8(
  weights: string,
  architecture: Architecture,
  places: ReadonlyMap<string, WeightPlace>,
): Promise<void> {
  const path = join(dirname(weights), INT8_FILE);
  const layers = int8PlacesOf(architecture);
  const { scales } = [...layers.values()].at(-1)!.backward;
  const size = scales.offset + scales.byteLength;
  const isWhole = (): boolean => statSync(path, { throwIfNoEntry: false })?.size === size;
  if (isWhole()) return;
  await storing(path, () =>
    whileLocked(dirname(path), {}, async () => {
      if (isWhole()) return;
      const source = await open(weights, 'r');
      try {
        await writePiecesAtomic(path, async (file) => {
          for (const linear of architecture.linears) {
            const matrix = await readMatrix(source, linear, places.get(`${linear.module}.weight`)!);
            const { forward, backward } = layers.get(linear.module)!;
            await writeMatrix(file, forward, transposed(matrix, linear.outputs, linear.inputs));
            await writeMatrix(file, backward, matrix);
          }
        });
      } finally {
        await source.close();
      }
    }),
  );
}

/** The weight of a layer as [outputs, inputs]. */
async function readMatrix(file: FileHandle, { inputs, outputs, isTransposed }: Linear, place: WeightPlace) {
  const data = new Float32Array(inputs * outputs);
  const { bytesRead } = await file.read(new Uint8Array(data.buffer), 0, place.byteLength, place.offset);
  if (bytesRead !== place.byteLength) throw new Error('the file of weights ends early');
  return isTransposed ? transposed(data, inputs, outputs) : data;
}

/** [rows, columns] as [columns, rows]. */
function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j]!;
  return out;
}

async function writeMatrix(file: FileHandle, { shape, values, scales }: Int8Place, data: Float32Array): Promise<void> {
  const [, columns] = shape;
  const sizes = new Float32Array(columns);
  data.forEach((x, i) => {
    sizes[i % columns] = Math.max(sizes[i % columns]!, Math.abs(x) / LARGEST);
  });
  const rounded = Int8Array.from(data, (x, i) => Math.round(x / (sizes[i % columns]! || 1)));
  await file.write(new Uint8Array(rounded.buffer), 0, rounded.length, values.offset);
  await file.write(new Uint8Array(sizes.buffer), 0, sizes.byteLength, scales.offset);
}
