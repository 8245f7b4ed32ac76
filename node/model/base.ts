/**
 * @file A base model on disk: its architecture and tokenizer, its hash, and its weights expanded once to float32 in the
 * user's cache folder, from where every session of every peer maps the same pages.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../atomic.ts';
import { messageOf, UserError } from '../errors.ts';
import type { Architecture } from './architecture.ts';
import { readArchitecture } from './config.ts';
import { openSafetensors, openShards, type SafetensorsFile, tensorData } from './safetensors.ts';

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
/** The sha256 that weights.bin has, written after it. */
const DIGEST_FILE = 'weights.sha256';
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
  checkTokenizer(join(folder, 'tokenizer.json'), architecture.vocabulary);
  const isSharded = !existsSync(join(folder, SINGLE)) && existsSync(join(folder, INDEX));
  const file = isSharded ? openShards(folder, INDEX) : openWeights(folder);
  const names = tensorNames(file, architecture);
  checkTied(file, architecture);
  const weights = isSharded ? [INDEX, ...shardNames(folder)] : [SINGLE];
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

/** The one file of weights; where there is only one of another kind, that is said. */
function openWeights(folder: string): SafetensorsFile {
  const other = ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'tf_model.h5', 'flax_model.msgpack'];
  const found = existsSync(join(folder, SINGLE)) ? undefined : other.find((name) => existsSync(join(folder, name)));
  if (found)
    throw new UserError(
      'usage',
      `${folder}: its weights are in ${found}; wanted ${SINGLE} (save_pretrained of transformers writes it)`,
    );
  return openSafetensors(join(folder, SINGLE));
}

/** The files that an index which could be read lists, sorted. */
function shardNames(folder: string): string[] {
  const { weight_map: map } = JSON.parse(readFileSync(join(folder, INDEX), 'utf8'));
  return [...new Set(Object.values(map as Record<string, string>))].sort();
}

/** Every token of the tokenizer must have a row of the embeddings. Throws a UserError that names the first that has none. */
function checkTokenizer(path: string, vocabulary: number): void {
  if (!existsSync(path)) return; // said where it is opened
  let tokenizer: { model?: { vocab?: unknown }; added_tokens?: { id: number; content: string }[] };
  try {
    tokenizer = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UserError('usage', `${path}: not JSON (${messageOf(error)}); fetch the model again`);
  }
  const vocab = tokenizer.model?.vocab ?? {};
  const own = Array.isArray(vocab)
    ? vocab.map((entry, id): [string, number] => [String((entry as unknown[])[0]), id])
    : Object.entries(vocab as Record<string, number>);
  const added = (tokenizer.added_tokens ?? []).map(({ content, id }): [string, number] => [content, id]);
  for (const [token, id] of [...own, ...added]) {
    if (Number.isInteger(id) && id >= 0 && id < vocabulary) continue;
    throw new UserError(
      'incompatible',
      `${path}: token ${JSON.stringify(token)} has the number ${id}; the embeddings have ${vocabulary} rows, from 0: tokenizer and weights do not belong together, or tokens were added and the embeddings not resized`,
    );
  }
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
  if (!existsSync(path) || !readFileSync(path).equals(onnx)) await storing(path, () => writeFileAtomic(path, onnx));
  return path;
}

function cacheRoot(): string {
  const root = process.env.LORIKEET_CACHE ?? process.env.XDG_CACHE_HOME;
  if (root) return join(root, 'lorikeet');
  try {
    return join(homedir(), '.cache', 'lorikeet');
  } catch (error) {
    // A user without an entry in passwd, as in many containers.
    throw new UserError(
      'storage',
      `no home folder for the cache (${messageOf(error)}); set LORIKEET_CACHE to a folder with room`,
    );
  }
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
  const digest = join(cache, DIGEST_FILE);
  if (existsSync(path) && existsSync(digest) && readFileSync(digest, 'utf8') === (await hashFile(path))) return;
  const bytes = new Uint8Array(size);
  for (const [name, { offset }] of places) {
    const data = tensorData(file, names.get(name)!);
    if (!data.every(Number.isFinite))
      throw new UserError('usage', `${file.path}: tensor ${names.get(name)} holds numbers that are not finite`);
    bytes.set(new Uint8Array(data.buffer), offset);
  }
  await storing(path, async () => {
    mkdirSync(cache, { recursive: true });
    await writeFileAtomic(path, bytes);
    await writeFileAtomic(digest, createHash('sha256').update(bytes).digest('hex'));
  });
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
