/** @file A lock on a repository of the cache, so that two processes do not download one file into one place; the second waits. */
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../atomic.ts';
import { messageOf, UserError } from '../errors.ts';
import { type Busy, type Lock, takeLock } from '../lock.ts';

/** How often it is looked at by who waits. */
const LOOK_MS = 250;

/**
 * Holds the lock of a repository while `act` works. Throws a UserError where none can be made, and what the signal was aborted
 * with; `onWait` hears the number of the process that is waited for.
 */
export async function whileLocked<T>(
  repository: string,
  { signal, onWait }: { signal?: AbortSignal; onWait?: (pid: number) => void },
  act: () => Promise<T>,
): Promise<T> {
  const path = join(dirname(repository), '.locks', basename(repository), 'lorikeet.lock');
  let told = false;
  let taken = take(path);
  while (taken.type === 'busy') {
    if (!told && taken.holder) onWait?.(taken.holder.pid);
    told ||= taken.holder !== null;
    await sleep(LOOK_MS, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
    taken = take(path);
  }
  try {
    return await act();
  } finally {
    taken.release();
  }
}

function take(path: string): Lock | Busy {
  try {
    makeFolder(dirname(path));
    return takeLock(path);
  } catch (error) {
    throw new UserError(
      'storage',
      `${path}: ${messageOf(error)}; check its permissions, or set HF_HUB_CACHE to another folder`,
    );
  }
}
