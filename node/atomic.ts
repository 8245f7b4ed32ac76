/** @file Writes a file so that a reader, or a restart after a crash, sees the old bytes or the new, never a part; makes folders. A leaf. */
import { mkdirSync, rmdirSync, statSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

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

/** Temporary file, fsync, rename, fsync of the folder. Throws what the system throws, leaving the old file. */
export async function writeFileAtomic(path: string, bytes: Uint8Array | string, mode = 0o644): Promise<void> {
  await writePiecesAtomic(path, (file) => file.writeFile(bytes), mode);
}

/** The same for a file that `write` makes piece by piece. */
export async function writePiecesAtomic(
  path: string,
  write: (file: FileHandle) => Promise<void>,
  mode = 0o644,
): Promise<void> {
  const temporary = `${path}.${process.pid}.${counter++}.tmp`;
  try {
    const file = await open(temporary, 'w', mode);
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
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
