/**
 * @file The cache of the Hub on this disk, shared with Python: what lies in it, and how a file gets in. A repository is
 * models--ORG--NAME with blobs by hash, snapshots/COMMIT of links to blobs, and refs that hold the commit of a branch or tag.
 */
import {
  constants,
  copyFileSync,
  linkSync,
  readdirSync,
  readFileSync,
  rmSync,
  type Stats,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';
import { makeFolder } from '../atomic.ts';
import { codeOf, messageOf, UserError } from '../errors.ts';

export const COMMIT = /^[0-9a-f]{40}$/;

export interface CachedModel {
  readonly name: string;
  /** Null: a download that was interrupted, of which no snapshot tells. */
  readonly commit: string | null;
  /** Branches and tags that stand at this commit, as this disk knows it. */
  readonly refs: readonly string[];
  readonly folder: string;
  readonly bytes: number;
  /** Of the weights, such as safetensors or gguf. */
  readonly formats: readonly string[];
  /** Files that are named and whose bytes are gone. */
  readonly missing: readonly string[];
  /** Of the file that was read last; as often as the disk keeps such times. Null: there is no file. */
  readonly lastUsed: string | null;
}

/** What weights are kept as, by the ending of the file. */
const FORMATS: Readonly<Record<string, string>> = {
  '.safetensors': 'safetensors',
  '.gguf': 'gguf',
  '.bin': 'pytorch',
  '.pt': 'pytorch',
  '.pth': 'pytorch',
  '.ckpt': 'pytorch',
  '.onnx': 'onnx',
  '.h5': 'tensorflow',
  '.msgpack': 'flax',
};

/** What the name of a file ends with while its bytes arrive; Python's own end with the last part only, and are left alone. */
export const UNFINISHED = '.lorikeet.incomplete';

/** The folder of a repository in a cache. */
export function repositoryFolder(cache: string, name: string): string {
  return join(cache, `models--${name.replaceAll('/', '--')}`);
}

/** Every snapshot in a cache, by name. Throws a UserError where it cannot be read; one that is not there is empty. */
export function listCached(cache: string): CachedModel[] {
  const prefix = 'models--';
  const names = childrenOf(cache)
    .filter((entry) => entry.startsWith(prefix))
    .map((entry) => entry.slice(prefix.length).split('--').join('/'));
  return names.sort().flatMap((name) => snapshotsOf(cache, name));
}

function snapshotsOf(cache: string, name: string): CachedModel[] {
  const repository = repositoryFolder(cache, name);
  const refs = readRefs(repository);
  const snapshots = childrenOf(join(repository, 'snapshots')).sort();
  return [
    ...snapshots.map((commit) => snapshotOf(join(repository, 'snapshots', commit), { name, commit, refs })),
    ...unfinishedOf(repository, name),
  ];
}

function snapshotOf(
  folder: string,
  { name, commit, refs }: { name: string; commit: string; refs: ReadonlyMap<string, string> },
): CachedModel {
  let [bytes, last] = [0, 0];
  const [formats, missing] = [new Set<string>(), [] as string[]];
  for (const path of filesBelow(folder)) {
    const stat = statOf(join(folder, path));
    if (stat) {
      bytes += stat.size;
      last = Math.max(last, stat.atimeMs);
      const format = FORMATS[extname(path).toLowerCase()];
      if (format) formats.add(format);
    } else missing.push(path);
  }
  return {
    name,
    commit,
    refs: [...refs].flatMap(([ref, at]) => (at === commit ? [ref] : [])).sort(),
    folder,
    bytes,
    formats: [...formats].sort(),
    missing,
    lastUsed: last === 0 ? null : new Date(last).toISOString(),
  };
}

/** One entry for all that was begun and not ended, ours and Python's. */
function unfinishedOf(repository: string, name: string): CachedModel[] {
  const folder = join(repository, 'blobs');
  const stats = childrenOf(folder)
    .filter((file) => file.endsWith('.incomplete'))
    .flatMap((file) => statOf(join(folder, file)) ?? []);
  if (stats.length === 0) return [];
  const bytes = stats.reduce((sum, { size }) => sum + size, 0);
  const lastUsed = new Date(Math.max(...stats.map(({ mtimeMs }) => mtimeMs))).toISOString();
  return [{ name, commit: null, refs: [], folder, bytes, formats: [], missing: [], lastUsed }];
}

/** The commit that each branch or tag stood at when it was last asked for. */
function readRefs(repository: string): Map<string, string> {
  const folder = join(repository, 'refs');
  return new Map(
    filesBelow(folder).flatMap((ref): [string, string][] => {
      const [commit = ''] = read(join(folder, ref), () => [readFileSync(join(folder, ref), 'utf8').trim()]);
      return COMMIT.test(commit) ? [[ref.replaceAll('\\', '/'), commit]] : [];
    }),
  );
}

/** The snapshot's commit for a revision, as this disk knows it, or null. */
export function cachedCommit(repository: string, revision: string): string | null {
  const commit = COMMIT.test(revision) ? revision : readRefs(repository).get(revision);
  if (!commit) return null;
  return statOf(join(repository, 'snapshots', commit))?.isDirectory() ? commit : null;
}

/** Files below a folder whose bytes are there, as paths from it with slashes. */
export function filesIn(folder: string): string[] {
  const there = filesBelow(folder).filter((path) => statOf(join(folder, path))?.isFile());
  return there.map((path) => path.replaceAll('\\', '/')).sort();
}

/** How a snapshot gets a blob: by a link, or by a copy where the file system makes none. */
type Way = (blob: string, path: string) => void;
const WAYS: readonly Way[] = [
  (blob, path) => symlinkSync(relative(dirname(path), blob), path),
  (blob, path) => linkSync(blob, path),
  (blob, path) => copyFileSync(blob, path, constants.COPYFILE_FICLONE),
];

/** Makes a file of a snapshot from a blob, in place of what is there. Throws what the system throws. */
export function place(blob: string, path: string, ways: readonly Way[] = WAYS): void {
  makeFolder(dirname(path));
  rmSync(path, { force: true });
  for (const [i, way] of ways.entries()) {
    try {
      return way(blob, path);
    } catch (error) {
      if (i === ways.length - 1) throw error;
    }
  }
}

function childrenOf(folder: string): string[] {
  return read(folder, () => readdirSync(folder));
}

/** Files and links below a folder, as paths from it; links to folders are not followed. */
function filesBelow(folder: string): string[] {
  const entries = read(folder, () => readdirSync(folder, { withFileTypes: true }));
  return entries.flatMap((entry) =>
    entry.isDirectory() ? filesBelow(join(folder, entry.name)).map((path) => join(entry.name, path)) : [entry.name],
  );
}

/** What a path leads to, or null: also where it leads round in a circle, or nowhere that may be looked at. */
function statOf(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}

function read<T>(folder: string, list: () => T[]): T[] {
  try {
    return list();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return [];
    throw new UserError(
      'storage',
      `${folder}: cannot be read (${messageOf(error)}); give yourself the right to, or set HF_HUB_CACHE to another folder`,
    );
  }
}
