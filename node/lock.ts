/**
 * @file A lock: a file that names who holds it. Where a process died with it, exactly one other takes it over, however many try
 * at once: they agree by a lock on the text of the dead one's file.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { codeOf } from './errors.ts';
import { describeSelf, type Holder, holderFrom, isAlive } from './holder.ts';

/** How often a lock is touched by who holds it. */
const TOUCH_MS = 5000;
/** One of another machine or container that nobody has touched for so long is one of a process that is gone. */
const STALE_MS = 60_000;
/** Somebody else gets on each time that a try comes to nothing. */
const MOST_TRIES = 100;
/** What a disk without hard links says, such as exFAT's. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

export interface Lock {
  readonly type: 'taken';
  /** Whether somebody else has it by now, who took this process for one that is gone. */
  isLost(): boolean;
  release(): void;
}

/** Somebody has it; null where the file does not say who. */
export interface Busy {
  readonly type: 'busy';
  readonly holder: Holder | null;
}

/** Takes a lock, or says who has it; does not wait. Throws what the system throws. */
export function takeLock(path: string): Lock | Busy {
  const text = describeSelf();
  const busy = acquire(path, text);
  if (busy) return busy;
  removeLeft(path);
  const timer = setInterval(() => touch(path, text), TOUCH_MS);
  timer.unref();
  return {
    type: 'taken',
    isLost: () => ![null, text].includes(read(path)),
    release: () => {
      clearInterval(timer);
      drop(path, text);
    },
  };
}

/** Who holds a lock, without taking it; null: nobody that is still there. */
export function peekLock(path: string): Holder | null {
  const found = read(path);
  return found === null || isGone(path, found) ? null : holderFrom(found);
}

/**
 * Null once the file at `path` is ours. That of a dead process is replaced by whoever holds the lock on its text, and only while
 * it is still there: no text comes twice, so whoever looked too long ago replaces nothing.
 */
function acquire(path: string, text: string): Busy | null {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    if (place(path, text, (own) => putNew(own, path, text))) return null;
    const found = read(path);
    if (found === null) continue;
    if (!isGone(path, found)) return { type: 'busy', holder: holderFrom(found) };
    const claim = `${path}.${createHash('sha256').update(found).digest('hex').slice(0, 16)}`;
    const other = acquire(claim, text);
    if (other) return other;
    try {
      if (read(path) === found && place(path, text, (own) => replace(own, path))) return null;
    } finally {
      drop(claim, text);
    }
  }
  return { type: 'busy', holder: null };
}

/** Writes the text, whole and durable, for `put` to give it its name. */
function place(path: string, text: string, put: (own: string) => boolean): boolean {
  const own = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    const file = openSync(own, 'wx');
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    return put(own);
  } finally {
    rmSync(own, { force: true });
  }
}

/** Gives a file its name unless there is one. */
function putNew(own: string, path: string, text: string): boolean {
  try {
    try {
      linkSync(own, path);
    } catch (error) {
      if (!NO_LINKS.includes(codeOf(error))) throw error;
      writeFileSync(path, text, { flag: 'wx' }); // who reads it half-written takes it for somebody's
    }
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function replace(own: string, path: string): boolean {
  renameSync(own, path);
  return true;
}

function isGone(path: string, text: string): boolean {
  const alive = isAlive(text);
  if (alive !== null) return !alive;
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && Date.now() - stat.mtimeMs > STALE_MS;
}

/** Removes what processes that died in the middle of taking this lock left: while it is ours, nobody takes it over by them. */
function removeLeft(path: string): void {
  for (const name of readdirSync(dirname(path))) {
    if (!name.startsWith(`${basename(path)}.`)) continue;
    const left = join(dirname(path), name);
    const text = read(left);
    if (text !== null && isGone(left, text)) rmSync(left, { force: true });
  }
}

function drop(path: string, text: string): void {
  if (read(path) === text) rmSync(path, { force: true });
}

/** What the file holds; null: there is none. */
function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

function touch(path: string, text: string): void {
  try {
    if (read(path) === text) utimesSync(path, new Date(), new Date());
  } catch {
    // It is gone with its folder, or the disk is: what is written fails by itself.
  }
}
