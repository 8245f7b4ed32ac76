/** @file A lock on a repository of the cache, so that two processes do not download one file into one place; the second waits. */
import {
  closeSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../atomic.ts';
import { codeOf, messageOf, UserError } from '../errors.ts';
import { isRunning } from '../running.ts';

/** How often a lock is touched by who holds it, and looked at by who waits. */
const TOUCH_MS = 5000;
const LOOK_MS = 250;
/** A lock that nobody has touched for so long is one of a machine that is gone. */
const STALE_MS = 60_000;

/** What a lock of this process holds. */
const SELF = `${process.pid} ${hostname()}`;

/**
 * Holds the lock of a repository while `act` works. Throws a UserError where none can be made, and what the signal was aborted
 * with; `onWait` hears whom is waited for.
 */
export async function whileLocked<T>(
  repository: string,
  { signal, onWait }: { signal?: AbortSignal; onWait?: (holder: string) => void },
  act: () => Promise<T>,
): Promise<T> {
  const path = join(dirname(repository), '.locks', basename(repository), 'lorikeet.lock');
  for (let told = false; !take(path); ) {
    const holder = holderOf(path);
    if (!told && holder !== '') onWait?.(holder);
    told ||= holder !== '';
    await sleep(LOOK_MS, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
  }
  const timer = setInterval(() => touch(path), TOUCH_MS);
  timer.unref();
  try {
    return await act();
  } finally {
    clearInterval(timer);
    if (holderOf(path) === SELF) rmSync(path, { force: true });
  }
}

/** Whether the lock is ours now; one whose holder is gone is removed for the next look. */
function take(path: string): boolean {
  try {
    makeFolder(dirname(path));
    const file = openSync(path, 'wx');
    writeSync(file, SELF);
    closeSync(file);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST')
      throw new UserError(
        'storage',
        `${path}: ${messageOf(error)}; check its permissions, or set HF_HUB_CACHE to another folder`,
      );
    const holder = holderOf(path);
    if (isGone(path, holder)) removeLock(path, holder);
    return false;
  }
}

function isGone(path: string, holder: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return false;
  if (Date.now() - stat.mtimeMs > STALE_MS) return true;
  const [pid, host] = holder.split(' ');
  return host === hostname() && !isRunning(Number(pid));
}

/** Removes the lock of a holder; where another process has just taken it instead, that one gets it back. */
function removeLock(path: string, holder: string): void {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
    if (readFileSync(aside, 'utf8') !== holder) linkSync(aside, path);
  } catch {
    // Somebody else was faster: the next look shows who holds it.
  }
  rmSync(aside, { force: true });
}

/** Process and machine. */
function holderOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // it has just been let go
  }
}

function touch(path: string): void {
  try {
    utimesSync(path, new Date(), new Date());
  } catch {
    // The lock is gone with the cache: what is written fails by itself.
  }
}
