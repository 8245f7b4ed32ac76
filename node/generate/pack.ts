/** @file Packs the matrices of a base into a few bits, once, in a file beside its float32 weights. */
import { readFileSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic, writePiecesAtomic } from '../atomic.ts';
import type { Base } from '../checkpoint/base.ts';
import { storing, WEIGHTS_FILE } from '../checkpoint/weights.ts';
import { BLOCK } from '../graph/quantised.ts';
import type { WeightPlace } from '../model/base.ts';
import type { PackedMatrix, PackedWeights } from '../model/packed.ts';
import { type Bits, bitsFor, quantise } from '../model/quantise.ts';

/** Another version's file is another. */
const [FILE, INDEX] = ['packed-1.bin', 'packed-1.json'];
/** Numbers that are held of a matrix at a time. */
const PIECE = 1 << 20;
/** Of a matrix, looked at to tell how many bits it needs. */
const SAMPLE = 1 << 16;
const ALIGNMENT = 64;

/** What it costs less to read packed. Throws a UserError where the cache cannot be written. */
export async function packWeights(base: Base): Promise<PackedWeights> {
  const index = join(base.cache, INDEX);
  const known = readIndex(index, join(base.cache, FILE));
  if (known) return known;
  await base.expand();
  const matrices: Record<string, PackedMatrix> = {};
  await storing(index, async () => {
    const weights = await open(join(base.cache, WEIGHTS_FILE), 'r');
    try {
      await writePiecesAtomic(join(base.cache, FILE), async (file) => {
        let end = 0;
        for (const [name, place] of matricesOf(base)) {
          const matrix = placeMatrix(place, bitsFor(await readNumbers(weights, place, 0, sampleOf(place))), end);
          await writeMatrix(file, weights, place, matrix);
          matrices[name] = matrix;
          const last = matrix.offsets ?? matrix.scales;
          end = aligned(last.offset + last.byteLength);
        }
        await file.truncate(end);
      });
    } finally {
      await weights.close();
    }
    await writeFileAtomic(index, JSON.stringify({ file: FILE, matrices }));
  });
  return { file: FILE, matrices };
}

function readIndex(index: string, file: string): PackedWeights | null {
  try {
    const packed = JSON.parse(readFileSync(index, 'utf8')) as PackedWeights;
    const ends = Object.values(packed.matrices).map(({ offsets, scales }) => offsets ?? scales);
    const size = aligned(Math.max(0, ...ends.map(({ offset, byteLength }) => offset + byteLength)));
    return statSync(file).size === size ? packed : null;
  } catch {
    return null; // what cannot be read is written anew
  }
}

/** Linear layers and the head, where they stand as [outputs, inputs] in whole blocks. */
function matricesOf({ architecture, places }: Base): [name: string, place: WeightPlace][] {
  const linears = architecture.linears
    .filter(({ isTransposed }) => !isTransposed)
    .map(({ module }) => `${module}.weight`);
  return [...new Set([...linears, architecture.head.weight])]
    .map((name): [string, WeightPlace] => [name, places.get(name)!])
    .filter(([, { shape }]) => shape[1]! % BLOCK === 0);
}

function placeMatrix({ shape }: WeightPlace, bits: Bits, begin: number): PackedMatrix {
  const [outputs, inputs] = shape as [number, number];
  const count = (outputs * inputs) / BLOCK;
  const blocks = { offset: begin, byteLength: (count * BLOCK * bits) / 8 };
  const scales = { offset: aligned(blocks.offset + blocks.byteLength), byteLength: 4 * count };
  const offsets = { offset: aligned(scales.offset + scales.byteLength), byteLength: 4 * count };
  return { bits, outputs, inputs, blocks, scales, offsets: bits === 4 ? offsets : null };
}

async function writeMatrix(
  file: FileHandle,
  weights: FileHandle,
  place: WeightPlace,
  { bits, outputs, inputs, blocks, scales, offsets }: PackedMatrix,
): Promise<void> {
  const rows = Math.max(1, Math.floor(PIECE / inputs));
  for (let begin = 0; begin < outputs; begin += rows) {
    const count = Math.min(rows, outputs - begin) * inputs;
    const first = (begin * inputs) / BLOCK;
    const packed = quantise(await readNumbers(weights, place, begin * inputs, count), bits);
    await file.write(packed.blocks, 0, packed.blocks.length, blocks.offset + (first * BLOCK * bits) / 8);
    await writeFloats(file, packed.scales, scales.offset + 4 * first);
    if (offsets) await writeFloats(file, packed.offsets, offsets.offset + 4 * first);
  }
}

async function writeFloats(file: FileHandle, data: Float32Array, position: number): Promise<void> {
  await file.write(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 0, data.byteLength, position);
}

async function readNumbers(
  file: FileHandle,
  { offset }: WeightPlace,
  first: number,
  count: number,
): Promise<Float32Array> {
  const bytes = new Uint8Array(4 * count);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, offset + 4 * first);
  if (bytesRead !== bytes.length) throw new Error(`${WEIGHTS_FILE} ends early`);
  return new Float32Array(bytes.buffer);
}

function sampleOf({ shape: [outputs, inputs] }: WeightPlace): number {
  return Math.min(outputs!, Math.max(1, Math.floor(SAMPLE / inputs!))) * inputs!;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
