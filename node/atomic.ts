/** @file Writes a file so that a reader, or a restart after a crash, sees the old bytes or the new, never a part. A leaf. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

let counter = 0;

/** Temporary file, fsync, rename, fsync of the folder. Throws what the system throws, leaving the old file. */
export function writeFileAtomic(path: string, bytes: Uint8Array, mode = 0o644): void {
  const temporary = `${path}.${process.pid}.${counter++}.tmp`;
  try {
    const file = openSync(temporary, 'w', mode);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

/** Makes a rename durable; Windows has no such call and needs none. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const file = openSync(folder, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
