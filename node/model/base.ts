/**
 * @file A base model on disk: its architecture and tokenizer, its hash, and its weights expanded once to float32 in the
 * user's cache folder, from where every session of every peer maps the same pages.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../atomic.ts';
import { messageOf, UserError } from '../errors.ts';
import type { Architecture } from './architecture.ts';
import { readArchitecture } from './config.ts';
import { openSafetensors, type SafetensorsFile, tensorData } from './safetensors.ts';

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
  /** Writes weights.bin unless it is there. Throws a UserError where the cache cannot be written. */
  readonly expand: () => Promise<void>;
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
  const file = openSafetensors(join(folder, 'model.safetensors'));
  const names = tensorNames(file, architecture);
  const sha256 = await hashFiles(folder, ['config.json', 'model.safetensors', 'tokenizer.json']);
  const places = placesOf(architecture);
  const cache = join(cacheRoot(), sha256.slice(0, 32));
  let expanded: Promise<void> | null = null;
  const expand = (): Promise<void> => {
    expanded ??= writeWeights(cache, file, places, names);
    return expanded;
  };
  return { folder, architecture, sha256, cache, places, expand };
}

/** Hex sha256 over the files' own hashes; a missing file counts as empty. */
async function hashFiles(folder: string, names: readonly string[]): Promise<string> {
  const all = createHash('sha256');
  for (const name of names) {
    const hash = createHash('sha256');
    if (existsSync(join(folder, name)))
      await pipeline(createReadStream(join(folder, name), { highWaterMark: 1 << 20 }), hash);
    all.update(hash.digest());
  }
  return all.digest('hex');
}

/** Every weight of the base as the one vector that full training trains. */
export async function baseVector(base: Base): Promise<Float32Array> {
  await base.expand();
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
  await base.expand();
  const name = `${createHash('sha256').update(onnx).digest('hex').slice(0, 32)}.onnx`;
  const path = join(base.cache, name);
  if (!existsSync(path)) await storing(path, () => writeFileAtomic(path, onnx));
  return path;
}

function cacheRoot(): string {
  const root = process.env.LORIKEET_CACHE ?? process.env.XDG_CACHE_HOME;
  return root ? join(root, 'lorikeet') : join(homedir(), '.cache', 'lorikeet');
}

/** Where each parameter is in the file; older checkpoints call a LayerNorm's weight and bias gamma and beta. */
function tensorNames(file: SafetensorsFile, architecture: Architecture): Map<string, string> {
  return new Map(
    architecture.parameters.map(({ name, shape }) => {
      const older = name.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta');
      const found = [name, older].find((n) => file.tensors.has(n));
      const entry = file.tensors.get(found ?? '');
      if (found && String(entry?.shape) === String(shape)) return [name, found];
      throw new UserError(
        'usage',
        `${file.path}: tensor ${name} is ${entry ? `[${entry.shape}]` : 'missing'}; wanted [${shape}]`,
      );
    }),
  );
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
  names: ReadonlyMap<string, string>,
): Promise<void> {
  const path = join(cache, WEIGHTS_FILE);
  const last = [...places.values()].at(-1)!;
  const size = last.offset + Math.ceil(last.byteLength / ALIGNMENT) * ALIGNMENT;
  if (existsSync(path) && statSync(path).size === size) return;
  const bytes = new Uint8Array(size);
  for (const [name, { offset }] of places) bytes.set(new Uint8Array(tensorData(file, names.get(name)!).buffer), offset);
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
