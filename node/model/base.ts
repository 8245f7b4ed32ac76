/**
 * @file A base model on disk: its architecture and tokenizer, its hash, and its weights expanded once to float32 in the
 * user's cache folder, from where every session of every peer maps the same pages.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../atomic.ts';
import { messageOf, UserError } from '../errors.ts';
import type { Architecture } from './architecture.ts';
import { readArchitecture } from './config.ts';
import { parseSafetensors, type SafetensorsFile, tensorData } from './safetensors.ts';

export interface WeightPlace {
  readonly shape: readonly number[];
  readonly offset: number;
  readonly byteLength: number;
}

export interface Base {
  /** The model folder. */
  readonly folder: string;
  readonly architecture: Architecture;
  /** Hex sha256 over config.json, model.safetensors and tokenizer.json. */
  readonly sha256: string;
  /** The cache folder that holds weights.bin, and beside it the graphs that refer to it. */
  readonly cache: string;
  readonly places: ReadonlyMap<string, WeightPlace>;
}

export const WEIGHTS_FILE = 'weights.bin';
export const BUNDLED = 'lorikeet-mini';
const ALIGNMENT = 64;

/** The folder of a base by name: the bundled one, or a path. */
export function baseFolder(name: string): string {
  return name === BUNDLED ? join(packageRoot(), 'node', 'base', BUNDLED) : name;
}

/** The folder that holds package.json, found from this file, whether run from source or from dist. */
function packageRoot(): string {
  let folder = fileURLToPath(new URL('.', import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = join(folder, '..');
  return folder;
}

/** Opens a Hugging Face folder. Throws a UserError on anything missing, misnamed or misshapen. */
export async function openBase(name: string): Promise<Base> {
  const folder = baseFolder(name);
  const architecture = readArchitecture(folder);
  const read = (file: string, optional = false): Uint8Array => {
    try {
      return readFileSync(join(folder, file));
    } catch (error) {
      if (optional) return new Uint8Array();
      throw new UserError('usage', `${join(folder, file)}: cannot be read (${messageOf(error)})`);
    }
  };
  const model = read('model.safetensors');
  const hash = createHash('sha256');
  for (const bytes of [read('config.json'), model, read('tokenizer.json', true)]) {
    hash.update(createHash('sha256').update(bytes).digest());
  }
  const sha256 = hash.digest('hex');
  const file = parseSafetensors(model, join(folder, 'model.safetensors'));
  checkShapes(file, architecture);
  const places = placesOf(architecture);
  const cache = join(cacheRoot(), sha256.slice(0, 32));
  await writeWeights(cache, file, places);
  return { folder, architecture, sha256, cache, places };
}

/** Every weight of the base as the one vector that full training trains. */
export function baseVector(base: Base): Float32Array {
  const total = [...base.places.values()].reduce((sum, place) => sum + place.byteLength / 4, 0);
  const vector = new Float32Array(total);
  const bytes = readFileSync(join(base.cache, WEIGHTS_FILE));
  let at = 0;
  for (const { offset, byteLength } of base.places.values()) {
    vector.set(new Float32Array(bytes.buffer, bytes.byteOffset + offset, byteLength / 4), at);
    at += byteLength / 4;
  }
  return vector;
}

/** Writes a graph beside the weights it refers to, once; gives its path. */
export async function cacheGraph(base: Base, onnx: Uint8Array): Promise<string> {
  const name = `${createHash('sha256').update(onnx).digest('hex').slice(0, 32)}.onnx`;
  const path = join(base.cache, name);
  if (!existsSync(path)) await storing(path, () => writeFileAtomic(path, onnx));
  return path;
}

function cacheRoot(): string {
  const root = process.env.LORIKEET_CACHE ?? process.env.XDG_CACHE_HOME;
  return root ? join(root, 'lorikeet') : join(homedir(), '.cache', 'lorikeet');
}

function checkShapes(file: SafetensorsFile, architecture: Architecture): void {
  for (const { name, shape } of architecture.parameters) {
    const entry = file.tensors.get(name);
    if (entry && String(entry.shape) === String(shape)) continue;
    const got = entry ? `[${entry.shape}]` : 'missing';
    throw new UserError('usage', `${file.path}: tensor ${name} is ${got}; wanted [${shape}]`);
  }
}

function placesOf(architecture: Architecture): Map<string, WeightPlace> {
  const places = new Map<string, WeightPlace>();
  let offset = 0;
  for (const { name, shape } of architecture.parameters) {
    const byteLength = 4 * shape.reduce((a, b) => a * b, 1);
    places.set(name, { shape, offset, byteLength });
    offset += Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
  }
  return places;
}

async function writeWeights(
  cache: string,
  file: SafetensorsFile,
  places: ReadonlyMap<string, WeightPlace>,
): Promise<void> {
  const path = join(cache, WEIGHTS_FILE);
  const size = Math.max(...[...places.values()].map((p) => p.offset + Math.ceil(p.byteLength / ALIGNMENT) * ALIGNMENT));
  if (existsSync(path) && statSync(path).size === size) return;
  const bytes = new Uint8Array(size);
  for (const [name, { offset }] of places) bytes.set(new Uint8Array(tensorData(file, name).buffer), offset);
  await storing(path, () => {
    mkdirSync(cache, { recursive: true });
    return writeFileAtomic(path, bytes);
  });
}

async function storing(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    throw new UserError(
      'storage',
      `${path}: cannot be written (${messageOf(error)}); set LORIKEET_CACHE to a folder with room`,
    );
  }
}

/** The version in package.json. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string }).version;
}
