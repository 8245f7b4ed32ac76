/**
 * @file What a model is, from its configuration and the headers of its weights: of a model of the Hub nothing else is fetched.
 * The headers lie at the begin of the files, so the rest stays a hole in a temporary one.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { UserError } from '../errors.ts';
import { openGguf } from '../formats/gguf.ts';
import { readJsonObject } from '../formats/json.ts';
import { openSafetensors, openShards } from '../formats/safetensors.ts';
import type { Architecture } from '../model/architecture.ts';
import { BY_TYPE, makeArchitecture } from '../model/config.ts';
import type { HubFile } from './download.ts';
import { type HubEnvironment, hubEnvironment } from './environment.ts';
import { ggufConfig } from './gguf-config.ts';
import { cachedModel } from './hub.ts';
import { listModel } from './listing.ts';
import { chooseWeights, type ModelName, shardsIn } from './names.ts';
import { basePath, hubName, modelPath } from './places.ts';
import { type Asker, PATIENCE, type Patience, persist, unreachable, withAnswer } from './request.ts';

export interface Preview {
  readonly name: string;
  /** Of a model of the Hub, whether from its cache or over the network. */
  readonly commit: string | null;
  /** Such as LlamaForCausalLM. */
  readonly kind: string;
  readonly architecture: Architecture;
  readonly parameters: number;
  /** Of the files with the weights. */
  readonly storedBytes: number;
  /** How many numbers are stored in each type. */
  readonly types: Readonly<Record<string, number>>;
  /** Fetched to know all this. */
  readonly fetchedBytes: number;
}

export interface PreviewOptions {
  readonly hub?: HubEnvironment;
  readonly patience?: Patience;
  readonly signal?: AbortSignal;
}

const [CONFIG, SINGLE, INDEX] = ['config.json', 'model.safetensors', 'model.safetensors.index.json'];
const MAX_SMALL_BYTES = 64 * 1024 * 1024;
/** What a server is asked for first; most headers are shorter. */
const FIRST_BYTES = 64 * 1024;
/** A header of safetensors or GGUF beyond this is no model's. */
const MAX_HEADER_BYTES = 128 * 1024 * 1024;
const MAX_SHARDS = 512;

/** Looks at a folder, a GGUF file, or org/name[@revision][:FILE.gguf]. Throws a UserError that says what is wrong and where. */
export async function previewModel(name: string, options: PreviewOptions = {}): Promise<Preview> {
  const wanted = hubName(name);
  if (!wanted) return { ...describe(basePath(name)), name, commit: null, fetchedBytes: 0 };
  const { hub = hubEnvironment(), patience = PATIENCE, signal = new AbortController().signal } = options;
  const cached = cachedModel(hub, wanted, wanted.gguf);
  if (cached) return { ...describe(modelPath(cached)), name, commit: cached.commit, fetchedBytes: 0 };
  const model = `${wanted.name}@${wanted.revision}`;
  if (hub.isOffline)
    throw new UserError('unreachable', `${model}: not in ${hub.cache}, and HF_HUB_OFFLINE is set; unset it`);
  return peek({ hub, model, patience, signal }, name, wanted);
}

type Described = Pick<Preview, 'kind' | 'architecture' | 'parameters' | 'storedBytes' | 'types'>;

/** Reads configuration and headers, and holds them against each other. */
function describe(path: string): Described {
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
  return isFile || /\.gguf$/i.test(path) ? describeGguf(path) : describeFolder(path);
}

function describeGguf(path: string): Described {
  const file = openGguf(path);
  const config = ggufConfig(file);
  const types: Record<string, number> = {};
  for (const { type, shape } of file.tensors.values()) types[type.name] = (types[type.name] ?? 0) + count(shape);
  return { ...described(path, config), storedBytes: statSync(path).size, types };
}

function describeFolder(folder: string): Described {
  const path = join(folder, CONFIG);
  const config = readJsonObject(path, 'the configuration of a Hugging Face model');
  const about = described(path, config);
  const isSharded = !existsSync(join(folder, SINGLE)) && existsSync(join(folder, INDEX));
  const file = isSharded ? openShards(folder, INDEX) : openSafetensors(join(folder, SINGLE));
  for (const { name, shape } of about.architecture.parameters) {
    const older = name.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta');
    const found = file.tensors.get(name) ?? file.tensors.get(older);
    if (String(found?.shape) !== String(shape))
      throw new UserError(
        'incompatible',
        `${file.path}: tensor ${name} is ${found ? `[${found.shape}]` : 'missing'}; config.json wants [${shape}]; choose another model`,
      );
  }
  const types: Record<string, number> = {};
  for (const { dtype, shape } of file.tensors.values()) types[dtype] = (types[dtype] ?? 0) + count(shape);
  const files = isSharded ? readdirSync(folder).filter((name) => /\.safetensors$/.test(name)) : [SINGLE];
  const storedBytes = files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  return { ...about, storedBytes, types };
}

function described(
  where: string,
  config: Readonly<Record<string, unknown>>,
): Pick<Described, 'kind' | 'architecture' | 'parameters'> {
  const architecture = makeArchitecture(where, config);
  const [named] = (config.architectures as string[] | null | undefined) ?? [];
  const parameters = architecture.parameters.reduce((sum, { shape }) => sum + count(shape), 0);
  return { kind: named ?? BY_TYPE[String(config.model_type)] ?? 'unknown', architecture, parameters };
}

function count(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** Fetches configuration and headers into a temporary folder, and reads them there. */
async function peek(asker: Asker, name: string, wanted: ModelName): Promise<Preview> {
  const listing = await listModel(asker);
  const files = new Map(listing.files.map((file) => [file.path, file]));
  const choice = chooseWeights([...files.keys()], asker.model, wanted.gguf);
  const folder = mkdtempSync(join(tmpdir(), 'lorikeet-inspect-'));
  let fetchedBytes = 0;
  const begin = async (path: string, bytes: number): Promise<Buffer> => {
    const url = addressOf(asker, listing.commit, path);
    const got = await persist(asker, () => askBegin(asker, url, Math.min(bytes, files.get(path)!.size)));
    fetchedBytes += got.length;
    return got;
  };
  const small = async (path: string): Promise<Buffer> => {
    const { size } = files.get(path)!;
    if (size > MAX_SMALL_BYTES) throw unreachable(asker, `lists ${path} with ${size} bytes`);
    const bytes = await begin(path, size);
    writeFileSync(join(folder, path), bytes);
    return bytes;
  };
  const header = (file: HubFile): Promise<void> => bringHeader(asker, file, join(folder, basename(file.path)), begin);
  const result = (path: string): Preview => ({ ...describe(path), name, commit: listing.commit, fetchedBytes });
  try {
    if (choice.type === 'gguf') {
      const [path, ...others] = choice.files;
      if (others.length > 0)
        throw new UserError('usage', `${asker.model}: ${path} is one of several parts; choose another`);
      await header(files.get(path!)!);
      return result(join(folder, basename(path!)));
    }
    await small(CONFIG);
    const shards =
      choice.type === 'sharded'
        ? shardsIn((await small(choice.file)).toString('utf8'), [...files.keys()], asker.model)
        : [choice.file];
    if (shards.length > MAX_SHARDS) throw unreachable(asker, `has ${shards.length} files of weights`);
    for (const path of shards) await header(files.get(path)!);
    return result(folder);
  } catch (error) {
    // What is said of the temporary folder is meant of the model.
    if (error instanceof UserError) throw new UserError(error.mistake, error.message.replaceAll(folder, asker.model));
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function addressOf({ hub, model }: Asker, commit: string, path: string): URL {
  const [name] = model.split('@');
  return new URL(`${hub.endpoint}/${name}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`);
}

/** The first bytes of a file, also from a server that gives all of it. Throws a UserError or, for another try, a Hitch. */
function askBegin(asker: Asker, url: URL, bytes: number): Promise<Buffer> {
  return withAnswer(asker, url, bytes === 0 ? {} : { range: `bytes=0-${bytes - 1}` }, async ({ pieces }) => {
    const parts: Uint8Array[] = [];
    let have = 0;
    for await (const piece of pieces()) {
      parts.push(piece);
      have += piece.length;
      if (have >= bytes) break;
    }
    if (have < bytes) throw unreachable(asker, `${url.pathname}: ${have} bytes came; wanted ${bytes}`);
    return Buffer.concat(parts).subarray(0, bytes);
  });
}

/** Fetches as much of a file as its header takes, and writes a file of its size that begins with that. */
async function bringHeader(
  asker: Asker,
  file: HubFile,
  path: string,
  begin: (path: string, bytes: number) => Promise<Buffer>,
): Promise<void> {
  let bytes = await begin(file.path, FIRST_BYTES);
  for (;;) {
    writeFileSync(path, bytes);
    truncateSync(path, file.size);
    const needed = headerBytes(path, bytes);
    if (needed <= bytes.length || bytes.length === file.size) return;
    if (needed > MAX_HEADER_BYTES) throw unreachable(asker, `${file.path}: a header of ${needed} bytes`);
    bytes = await begin(file.path, needed);
  }
}

/** Bytes that the header takes; of a GGUF file, which does not say, four times those that are there until they do. */
function headerBytes(path: string, bytes: Buffer): number {
  if (!/\.gguf$/i.test(path)) return bytes.length < 8 ? 8 : 8 + Number(bytes.readBigUInt64LE(0));
  try {
    const { tensors } = openGguf(path);
    return Math.min(...[...tensors.values()].map(({ begin }) => begin));
  } catch (error) {
    // What is wrong with a header that is cut off may be the cut.
    if (error instanceof UserError) return 4 * bytes.length;
    throw error;
  }
}
