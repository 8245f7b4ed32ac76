/**
 * @file Finds a model of the Hub: in the cache, or downloaded into it so that Python finds it there too. Lists by two requests,
 * downloads a file at a time, checks each by hash.
 */
import { readFileSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../atomic.ts';
import { messageOf, UserError } from '../errors.ts';
import { COMMIT, cachedCommit, filesIn, place, repositoryFolder } from './cache.ts';
import { download, type HubFile, hashOf, partSize } from './download.ts';
import { type HubEnvironment, hubEnvironment } from './environment.ts';
import { type Listing, listModel } from './listing.ts';
import { whileLocked } from './lock.ts';
import { chooseWeights, companionsIn, type HubName, readHubName, shardsIn, type Weights } from './names.ts';
import { type Asker, PATIENCE, type Patience } from './request.ts';

export interface HubModel {
  /** ORG/NAME. */
  readonly name: string;
  readonly commit: string;
  /** Holds the files, by their names on the Hub. */
  readonly folder: string;
  /** Of the weights, from the folder: safetensors, or one GGUF (all its parts). */
  readonly weights: readonly string[];
  /** Beside the weights: configuration, tokenizer, chat template, index of shards. */
  readonly companions: readonly string[];
}

export interface FetchProgress {
  /** The file at work. */
  readonly file: string;
  /** Bytes of all files, there and in all. */
  readonly done: number;
  readonly total: number;
}

export interface FetchOptions {
  /** Which GGUF file to take, where the weights are to come from one. */
  readonly gguf?: string;
  readonly hub?: HubEnvironment;
  readonly patience?: Patience;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: FetchProgress) => void;
  /** What a user should know, in one line. */
  readonly onNotice?: (line: string) => void;
  /** Bytes that the disk of a folder has left. */
  readonly freeBytes?: (folder: string) => Promise<number>;
}

/** Files up to this size are hashed whenever they are found; larger ones are known by size, having been hashed as they came. */
const SMALL_BYTES = 16 * 1024 * 1024;
/** Left free on the disk. */
const SPARE_BYTES = 64 * 1024 * 1024;

/**
 * Gives the folder of ORG/NAME or ORG/NAME@REVISION, downloading what is not in the cache. Throws a UserError that says what
 * went wrong and what to do, or what the signal was aborted with; the bytes that came are kept for the next time.
 */
export async function fetchModel(given: string, options: FetchOptions = {}): Promise<HubModel> {
  const { hub = hubEnvironment(), patience = PATIENCE, signal = new AbortController().signal } = options;
  const wanted = readHubName(given);
  const model = `${wanted.name}@${wanted.revision}`;
  if (hub.isOffline) {
    const found = cachedModel(hub, wanted, options.gguf);
    if (found) return found;
    throw new UserError(
      'unreachable',
      `${model}: not whole in ${hub.cache}, and HF_HUB_OFFLINE is set; unset it, or copy the model there`,
    );
  }
  const asker: Asker = { hub, model, patience, signal };
  const listing = await listModel(asker).catch((error: unknown) => {
    const found =
      error instanceof UserError && error.mistake === 'unreachable' ? cachedModel(hub, wanted, options.gguf) : null;
    if (!found) throw error;
    options.onNotice?.(`${messageOf(error)}; goes on with the copy in the cache, commit ${found.commit.slice(0, 12)}`);
    return found;
  });
  return 'folder' in listing ? listing : bring(asker, wanted, listing, options);
}

/** A model as the cache has it, without a look at the network; null where it is not whole. */
export function cachedModel(hub: HubEnvironment, { name, revision }: HubName, gguf?: string): HubModel | null {
  const repository = repositoryFolder(hub.cache, name);
  const commit = cachedCommit(repository, revision);
  if (commit === null) return null;
  const folder = join(repository, 'snapshots', commit);
  const paths = filesIn(folder);
  try {
    const weights = chooseWeights(paths, folder, gguf);
    const shards = weightsOf(weights, paths, folder);
    return { name, commit, folder, weights: shards, companions: companionsOf(weights, paths) };
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

function companionsOf(weights: Weights, paths: readonly string[]): string[] {
  return [...companionsIn(paths), ...(weights.type === 'sharded' ? [weights.file] : [])];
}

/** The files of the weights; those of an index, which is there, are read from it. */
function weightsOf(weights: Weights, paths: readonly string[], folder: string): readonly string[] {
  switch (weights.type) {
    case 'safetensors':
      return [weights.file];
    case 'gguf':
      return weights.files;
    case 'sharded':
      return shardsIn(readFileSync(join(folder, weights.file), 'utf8'), paths, folder);
  }
}

/** Brings what is missing into the cache, under its lock. */
async function bring(asker: Asker, { name, revision }: HubName, listing: Listing, options: FetchOptions) {
  const { hub, signal } = asker;
  const repository = repositoryFolder(hub.cache, name);
  const folder = join(repository, 'snapshots', listing.commit);
  const paths = listing.files.map(({ path }) => path);
  const choice = chooseWeights(paths, asker.model, options.gguf);
  const companions = companionsOf(choice, paths);
  const pick = (names: readonly string[]): HubFile[] =>
    listing.files.filter(({ path }) => names.includes(path)).sort((a, b) => a.size - b.size);
  const onWait = (pid: number): void =>
    options.onNotice?.(`${asker.model}: waits for process ${pid}, which is downloading it`);
  return whileLocked(repository, { signal, onWait }, async (): Promise<HubModel> => {
    const repositoryAt = { asker, repository, commit: listing.commit, options };
    // The index comes first, since it names the others.
    if (choice.type === 'sharded') await bringFiles(repositoryAt, pick([choice.file]));
    const weights = weightsOf(choice, paths, folder);
    await bringFiles(repositoryAt, pick([...companions, ...weights]));
    if (!COMMIT.test(revision)) await writeRef(repository, revision, listing.commit);
    return { name, commit: listing.commit, folder, weights, companions };
  });
}

interface Place {
  readonly asker: Asker;
  readonly repository: string;
  readonly commit: string;
  readonly options: FetchOptions;
}

async function bringFiles(at: Place, files: readonly HubFile[]): Promise<void> {
  const { asker, repository, commit, options } = at;
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const missing: HubFile[] = [];
  for (const file of files)
    if (!(await isThere(join(repository, 'snapshots', commit, file.path), file))) missing.push(file);
  await checkSpace(at, missing);
  let before = total - missing.reduce((sum, { size }) => sum + size, 0);
  for (const file of missing) {
    const blob = join(repository, 'blobs', file.hash);
    const report = (have: number): void => options.onProgress?.({ file: file.path, done: before + have, total });
    if (!(await isThere(blob, file))) {
      const path = file.path.split('/').map(encodeURIComponent).join('/');
      const [name] = asker.model.split('@');
      const url = new URL(`${asker.hub.endpoint}/${name}/resolve/${commit}/${path}`);
      await download({ asker, file, url, commit, blob, onBytes: report });
    }
    onDisk(blob, () => place(blob, join(repository, 'snapshots', commit, file.path)));
    report(file.size);
    before += file.size;
  }
}

/** Whether a file is there, whole; small ones are hashed. */
async function isThere(path: string, file: HubFile): Promise<boolean> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile() || stat.size !== file.size) return false;
  return file.size > SMALL_BYTES || (await hashOf(path, file)) === file.hash;
}

/** Throws a UserError where the disk has no room for what is missing. */
async function checkSpace({ asker, repository, options }: Place, missing: readonly HubFile[]): Promise<void> {
  const blobs = join(repository, 'blobs');
  onDisk(blobs, () => makeFolder(blobs));
  let wanted = 0;
  for (const { size, hash } of missing) wanted += Math.max(0, size - (await partSize(join(blobs, hash))));
  if (wanted === 0) return;
  const free = await (options.freeBytes ?? freeBytes)(blobs);
  if (free >= wanted + SPARE_BYTES) return;
  throw new UserError(
    'storage',
    `${asker.hub.cache}: ${megabytes(free)} free; wanted ${megabytes(wanted + SPARE_BYTES)} for ${asker.model}; make room, or set HF_HUB_CACHE to a folder on another disk`,
  );
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

function megabytes(count: number): string {
  return `${Math.ceil(count / 1e6)} MB`;
}

async function writeRef(repository: string, revision: string, commit: string): Promise<void> {
  const path = join(repository, 'refs', ...revision.split('/'));
  onDisk(path, () => makeFolder(dirname(path)));
  await writeFileAtomic(path, commit).catch((error) =>
    onDisk(path, () => {
      throw error;
    }),
  );
}

/** Throws a UserError where the disk refuses. */
function onDisk<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new UserError(
      'storage',
      `${path}: ${messageOf(error)}; check its permissions and the space left, or set HF_HUB_CACHE to another folder`,
    );
  }
}
