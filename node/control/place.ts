/**
 * @file Where a peer at work can be spoken to: a socket in its state folder. Where that path is too long for a socket, or
 * the system has none, it lies elsewhere and the state names it.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const SOCKET = 'control.sock';
/** Holds the path of one that lies elsewhere. */
const ELSEWHERE = 'control.path';
/** Bytes of a socket's path, one less than what macOS has room for; Linux has 107. */
const MAX_PATH_BYTES = 102;

export interface Place {
  readonly path: string;
  /** Removes what was made for it. */
  remove(): void;
}

/** A free place for the socket of a state folder that this process has locked. Throws what the system throws. */
export function placeSocket(folder: string): Place {
  const near = join(resolve(folder), SOCKET);
  const note = join(folder, ELSEWHERE);
  rmSync(note, { force: true }); // of a process that was killed
  rmSync(near, { force: true });
  const isWindows = process.platform === 'win32';
  if (!isWindows && Buffer.byteLength(near) <= MAX_PATH_BYTES)
    return { path: near, remove: () => rmSync(near, { force: true }) };
  const own = isWindows ? null : mkdtempSync(join(tmpdir(), 'lorikeet-')); // nobody else may enter it
  const path = own ? join(own, SOCKET) : `\\\\.\\pipe\\lorikeet-${randomUUID()}`;
  writeFileSync(note, path, { mode: 0o600 });
  return {
    path,
    remove: () => {
      rmSync(note, { force: true });
      if (own) rmSync(own, { recursive: true, force: true });
    },
  };
}

/** Where the socket of a state folder would be, if its peer is at work. */
export function findSocket(folder: string): string {
  try {
    return readFileSync(join(folder, ELSEWHERE), 'utf8').trim();
  } catch {
    return join(resolve(folder), SOCKET);
  }
}
