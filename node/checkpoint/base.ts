/**
 * @file A base model on this machine: its architecture, its hash, and its weights expanded once to float32 in the user's cache
 * folder, from where every session of every peer maps the same pages.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic.ts';
import type { Width } from '../formats/narrow.ts';
import type { PlacedModel } from '../model/base.ts';
import { openCheckpoint } from './checkpoint.ts';
import { hashOfModel } from './hash.ts';
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

/** Opens a base by name or path, its matrices to be mapped in the width given. Throws a UserError on anything missing, misnamed or misshapen. */
export async function openBase(name: string, width: Width = 'f32'): Promise<Base> {
  const path = basePath(name);
  const checkpoint = openCheckpoint(path);
  const { architecture, config } = checkpoint;
  const sha256 = await hashOfModel(checkpoint);
  const places = placesOf(architecture, width);
  const cache = join(cacheRoot(), `${sha256.slice(0, 32)}-${LAYOUT}`);
  const weights = weightsFile(width);
  let expanded: Promise<void> | null = null;
  const expand = (): Promise<void> => {
    expanded ??= writeWeights(join(cache, weights), checkpoint, places);
    return expanded;
  };
  return { path, config, architecture, sha256, cache, weights, places, expand };
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
