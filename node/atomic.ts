/** @file Writes a file so that a reader, or a restart after a crash, sees the old bytes or the new, never a part; makes folders. */
import { mkdirSync, rmdirSync, statSync } from 'node:fs';
import { type FileHandle, link, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { threadId } from 'node:worker_threads';
import { codeOf } from './errors.ts';

let counter = 0;

/**
 * Makes a folder with those above it; gives the topmost it made, if any. Throws what the system throws. Node's own way (`recursive`) goes on for ever where a
 * folder that is there takes no other, as below /proc.
 */
export function makeFolder(folder: string): string | undefined {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return undefined;
  const above = dirname(folder) === folder ? undefined : makeFolder(dirname(folder));
  try {
    mkdirSync(folder);
  } catch (error) {
    // Another process may have made it since.
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
  return above ?? folder;
}

/** Removes empty folders, from one up to the topmost that `makeFolder` made. What holds something stays. */
export function removeEmpty(folder: string, last: string): void {
  try {
    for (let at = resolve(folder); at.length >= resolve(last).length; at = dirname(at)) rmdirSync(at);
  } catch {
    // It holds something.
  }
}

/**
 * Temporary file, fsync, rename, fsync of the folder. Throws what the system throws, leaving the old file. What stood at `path`
 * before is kept at the first of `kept`, what stood there at the next, and so on.
 */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array | string,
  mode = 0o644,
  kept: readonly string[] = [],
): Promise<void> {
  await writePiecesAtomic(path, (file) => file.writeFile(bytes), mode, kept);
}

/** The same for a file that `write` makes piece by piece. */
export async function writePiecesAtomic(
  path: string,
  write: (file: FileHandle) => Promise<void>,
  mode = 0o644,
  kept: readonly string[] = [],
): Promise<void> {
  // Threads of a process share its number, and each counts by itself.
  const temporary = `${path}.${process.pid}.${threadId}.${counter++}.tmp`;
  try {
    const file = await open(temporary, 'w', mode);
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await keep(path, kept);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Moves what is kept down by one, the last falling out. The file itself stays where it is, under two names, where the disk can do that. */
async function keep(path: string, kept: readonly string[]): Promise<void> {
  for (let i = kept.length - 1; i > 0; i--) await rename(kept[i - 1]!, kept[i]!).catch(unlessMissing);
  const [first] = kept;
  if (first === undefined) return;
  // Two names of one file are left by a crash between this and what follows: then there is nothing to rename.
  await rm(first, { force: true });
  await link(path, first).catch((error) => rename(path, first).catch(() => unlessMissing(error)));
}

function unlessMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}

/** Makes a rename durable; Windows has no such call and needs none. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const file = await open(folder, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
