/**
 * @file A base model on this machine: its architecture, its hash, and its weights expanded once to float32 in the user's cache
 * folder, from where every session of every peer maps the same pages.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic.ts';
import { WIDTHS } from '../formats/narrow.ts';
import type { PlacedModel } from '../model/base.ts';
import { openCheckpoint } from './checkpoint.ts';
import { hashOfModel } from './hash.ts';
import { INT8_FILE, int8PlacesOf, writeInt8 } from './int8.ts';
import { basePath, cacheRoot } from './places.ts';
import type { Checkpoint } from './stored.ts';
import { placesOf, readWeights, storing, weightsFile, writeWeights } from './weights.ts';

export interface Base extends PlacedModel {
  /** The folder or the GGUF file. */
  readonly path: string;
  /** As config.json has it. */
  readonly config: Checkpoint['config'];
  /** Hex sha256 over all that is computed with: configuration, weights in float32, tokenizer. */
  readonly sha256: string;
  /** The name of the file of weights in the cache. */
  readonly weights: string;
  /** The cache folder that holds it, and beside it the graphs that refer to it. */
  readonly cache: string;
  /** Writes the weights unless they are there, byte for byte. Throws a UserError where the cache cannot be written. */
  readonly expand: () => Promise<void>;
}

/** Of weights.bin and of what is checked before it is written; another version's files lie elsewhere. */
const LAYOUT = 3;

/** What the frozen matrices of a base are kept in: a width, or 7 bits for the products with linear layers. */
export const PRECISIONS = [...WIDTHS, 'int8'] as const;
export type Precision = (typeof PRECISIONS)[number];

/** Opens a base by name or path, its matrices to be kept as given. Throws a UserError on anything missing, misnamed or misshapen. */
export async function openBase(name: string, precision: Precision = 'f32'): Promise<Base> {
  const path = basePath(name);
  const checkpoint = openCheckpoint(path);
  const { architecture, config } = checkpoint;
  const sha256 = await hashOfModel(checkpoint);
  const width = precision === 'int8' ? 'f32' : precision;
  const places = placesOf(architecture, width);
  const cache = join(cacheRoot(), `${sha256.slice(0, 32)}-${LAYOUT}`);
  const weights = weightsFile(width);
  const int8 = precision === 'int8' ? { file: INT8_FILE, layers: int8PlacesOf(architecture) } : null;
  const write = async (): Promise<void> => {
    await writeWeights(join(cache, weights), checkpoint, places);
    if (int8) await writeInt8(join(cache, weights), architecture, places);
  };
  let expanded: Promise<void> | null = null;
  const expand = (): Promise<void> => {
    expanded ??= write();
    return expanded;
  };
  return { path, config, architecture, sha256, cache, weights, places, int8, expand };
}

/** Every weight of the base as the one vector that full training trains. */
export async function baseVector(base: Base): Promise<Float32Array> {
  await base.expand();
  return readWeights(base.cache, base.places);
}

/** Writes a graph beside the weights it refers to, once; gives its path. */
export async function cacheGraph(base: Base, onnx: Uint8Array): Promise<string> {
  await base.expand();
  const name = `${createHash('sha256').update(onnx).digest('hex').slice(0, 32)}.onnx`;
  const path = join(base.cache, name);
  // By content, not by name: a disk may have lost part of it.
  if (!isSame(path, onnx)) await storing(path, () => writeFileAtomic(path, onnx));
  return path;
}

function isSame(path: string, bytes: Uint8Array): boolean {
  try {
    return readFileSync(path).equals(bytes);
  } catch {
    return false;
  }
}
