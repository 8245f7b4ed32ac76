/**
 * @file A base model on disk: its architecture and tokenizer, its hash, and its weights expanded once to float32 in the
 * user's cache folder, from where every session of every peer maps the same pages.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { makeFolder, writeFileAtomic } from '../atomic.ts';
import { messageOf, UserError } from '../errors.ts';
import type { Architecture } from './architecture.ts';
import { readArchitecture } from './config.ts';
import { openSafetensors, openShards, type SafetensorsFile, tensorData } from './safetensors.ts';
import { checkTokenizer } from './vocabulary.ts';

export interface WeightPlace {
  readonly shape: readonly number[];
  readonly offset: number;
  readonly byteLength: number;
}

export interface Base {
  /** The model folder. */
  readonly folder: string;
  readonly architecture: Architecture;
  /** Hex sha256 over all that is computed with: configuration, weights (every file of them) and tokenizer. */
  readonly sha256: string;
  /** The cache folder that holds weights.bin, and beside it the graphs that refer to it. */
  readonly cache: string;
  readonly places: ReadonlyMap<string, WeightPlace>;
  /** Writes weights.bin unless it is there, byte for byte. Throws a UserError where the cache cannot be written. */
  readonly expand: () => Promise<void>;
}

export const WEIGHTS_FILE = 'weights.bin';
/** Of weights.bin and of what is checked before it is written; another version's files lie elsewhere. */
const LAYOUT = 2;
const [SINGLE, INDEX] = ['model.safetensors', 'model.safetensors.index.json'];
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
  checkTokenizer(folder, architecture.vocabulary);
  const file = openWeights(folder);
  const names = tensorNames(file, architecture);
  checkTied(file, architecture);
  const weights = isSharded(folder) ? [INDEX, ...shardNames(folder)] : [SINGLE];
  const sha256 = await hashFiles(folder, ['config.json', ...weights, 'tokenizer.json', 'tokenizer_config.json']);
  const places = placesOf(architecture);
  const cache = join(cacheRoot(), `${sha256.slice(0, 32)}-${LAYOUT}`);
  let expanded: Promise<void> | null = null;
  const expand = (): Promise<void> => {
    expanded ??= writeWeights(cache, file, places, names);
    return expanded;
  };
  return { folder, architecture, sha256, cache, places, expand };
}

function isSharded(folder: string): boolean {
  return !existsSync(join(folder, SINGLE)) && existsSync(join(folder, INDEX));
}

/** The weights of a folder, in one file or several. Throws a UserError that names those of another kind. */
export function openWeights(folder: string): SafetensorsFile {
  if (isSharded(folder)) return openShards(folder, INDEX);
  if (existsSync(join(folder, SINGLE))) return openSafetensors(join(folder, SINGLE));
  const others = readdirSync(folder).sort();
  const found = [/^(pytorch|tf|flax)_model/, /\.(gguf|pt|pth|onnx|safetensors)$/]
    .map((kind) => others.find((name) => kind.test(name)))
    .find((name) => name !== undefined);
  throw new UserError(
    'usage',
    `${folder}: ${found ? `its weights are in ${found}` : 'holds no weights'}; wanted ${SINGLE} (save_pretrained of transformers writes it)`,
  );
}

/** The files that an index which could be read lists, sorted. */
function shardNames(folder: string): string[] {
  const { weight_map: map } = JSON.parse(readFileSync(join(folder, INDEX), 'utf8'));
  return [...new Set(Object.values(map as Record<string, string>))].sort();
}

/** Where the head is said to be the embeddings, a head of its own in the file must be them: else nobody knows which is meant. */
function checkTied(file: SafetensorsFile, { tied }: Architecture): void {
  for (const [copy, original] of tied) {
    const [entry, other] = [file.tensors.get(copy), file.tensors.get(original)];
    if (!entry || !other) continue;
    const [a, b] = [tensorData(file, copy), tensorData(file, original)];
    if (a.length === b.length && a.every((x, i) => x === b[i])) continue;
    throw new UserError(
      'usage',
      `${file.path}: ${copy} is not ${original}, though config.json says that they are one (tie_word_embeddings); save the model again with the one that is meant`,
    );
  }
}

/** Hex sha256 over the files' own hashes and names, as sha256sum would list them; `-` for one that is missing. */
async function hashFiles(folder: string, names: readonly string[]): Promise<string> {
  const all = createHash('sha256');
  for (const name of names) {
    const exists = existsSync(join(folder, name));
    all.update(exists ? await hashFile(join(folder, name)) : '-');
    all.update(`  ${name}\n`);
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

function cacheRoot(): string {
  const { LORIKEET_CACHE: own, XDG_CACHE_HOME: shared } = process.env;
  // A relative XDG_CACHE_HOME is to be ignored, says its specification.
  const root = own || (shared && isAbsolute(shared) ? shared : '');
  if (root) return join(root, 'lorikeet');
  let problem = 'HOME is empty';
  try {
    const home = homedir();
    if (home !== '') return join(home, '.cache', 'lorikeet');
  } catch (error) {
    // A user without an entry in passwd, as in many containers.
    problem = messageOf(error);
  }
  throw new UserError('storage', `no home folder for the cache (${problem}); set LORIKEET_CACHE to a folder with room`);
}

/**
 * Where each parameter is in the file; older checkpoints call a LayerNorm's weight and bias gamma and beta. Throws a UserError
 * on one that is missing or misshapen, and on a tensor that belongs to another model.
 */
function tensorNames(file: SafetensorsFile, architecture: Architecture): Map<string, string> {
  const names = parameterNames(file, architecture);
  const known = new Set([...names.values(), ...architecture.tied.map(([copy]) => copy)]);
  const other = [...file.tensors.keys()].find((name) => !known.has(name) && !architecture.unread.test(name));
  if (other === undefined) return names;
  throw new UserError(
    'usage',
    `${file.path}: holds tensor ${other}, which the model of config.json has not; wanted both files of one model`,
  );
}

function parameterNames(file: SafetensorsFile, architecture: Architecture): Map<string, string> {
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

/** Writes weights.bin unless it holds, number by number, what the base's file does. */
async function writeWeights(
  cache: string,
  file: SafetensorsFile,
  places: ReadonlyMap<string, WeightPlace>,
  names: ReadonlyMap<string, string>,
): Promise<void> {
  const path = join(cache, WEIGHTS_FILE);
  const last = [...places.values()].at(-1)!;
  const size = last.offset + Math.ceil(last.byteLength / ALIGNMENT) * ALIGNMENT;
  const tensorOf = (name: string): Uint8Array => {
    const data = tensorData(file, names.get(name)!);
    if (!areFinite(data))
      throw new UserError('usage', `${file.path}: tensor ${names.get(name)} holds numbers that are not finite`);
    return new Uint8Array(data.buffer);
  };
  if (holds(path, size, places, tensorOf)) return;
  const bytes = new Uint8Array(size);
  for (const [name, { offset }] of places) bytes.set(tensorOf(name), offset);
  await storing(path, async () => {
    makeFolder(cache);
    await writeFileAtomic(path, bytes);
  });
}

function areFinite(data: Float32Array): boolean {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return false;
  return true;
}

/** Whether a file is of that size and has every tensor at its place. */
function holds(
  path: string,
  size: number,
  places: ReadonlyMap<string, WeightPlace>,
  tensorOf: (name: string) => Uint8Array,
): boolean {
  let cached: number;
  try {
    if (!statSync(path).isFile() || statSync(path).size !== size) return false;
    cached = openSync(path, 'r');
  } catch {
    return false; // what cannot be read is written anew
  }
  try {
    for (const [name, { offset, byteLength }] of places) {
      const found = Buffer.alloc(byteLength);
      if (readSync(cached, found, 0, byteLength, offset) !== byteLength || !found.equals(tensorOf(name))) return false;
    }
    return true;
  } finally {
    closeSync(cached);
  }
}

/** Hex sha256 of a file's bytes. */
async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
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
