/** @file A full disk stops nobody: what is to be written waits until there is room. */
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from './errors.ts';

/** What its user is told: why it waits, or, by null, that it goes on. */
export function roomText(reason: string | null): string {
  if (reason === null) return 'there is room again: saved, and going on';
  return `${reason}; waiting for room, nothing is lost (Ctrl-C stops; the same command goes on)`;
}

/** Between two tries. */
const PAUSE_MS = 2000;

export interface Waiting {
  /** Told once why it waits, and once, with null, that it has gone on. */
  readonly onFull?: ((reason: string | null) => void) | undefined;
  /** Ends the wait: the last failure is thrown then. */
  readonly signal?: AbortSignal | undefined;
}

/** Writes, again and again while the disk is full. Throws what `write` throws for any other reason. */
export async function untilThereIsRoom<T>(
  write: () => Promise<T>,
  { onFull = () => {}, signal }: Waiting = {},
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      const written = await write();
      if (tries > 1) onFull(null);
      return written;
    } catch (error) {
      if (!isFull(error) || signal?.aborted) throw error;
      if (tries === 1) onFull((error as Error).message.split(';')[0]!);
      await sleep(PAUSE_MS, undefined, signal ? { signal } : {}).catch(() => {}); // aborted: one more try, then it throws
    }
  }
}

/** Whether a write failed for want of room: on the disk, or of what this user may take of it. */
export function isFull(error: unknown): boolean {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return ['ENOSPC', 'EDQUOT'].includes(codeOf(cause));
}
