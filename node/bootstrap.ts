/** @file Keeps a peer that knows nobody yet, or lost everybody, looking for those it was told of. */
import type { Peer } from '../protocol/peer.ts';
import { messageOf } from './errors.ts';

/** Pause between attempts. */
const BOOTSTRAP_PAUSE_MS = 3000;

/** Dials the first peer at once, and again while nobody is connected. */
export function keepBootstrapped(
  options: { readonly bootstrap: readonly string[]; readonly onUnreachable?: (reason: string) => void },
  peer: Peer,
  dial: (addresses: readonly string[]) => Promise<string>,
): () => void {
  if (options.bootstrap.length === 0) return () => {};
  const attempt = (): void => {
    if (peer.phase === 'finished' || [...peer.members.values()].some((m) => m.connected)) return;
    dial(options.bootstrap).catch((error) => options.onUnreachable?.(messageOf(error)));
  };
  attempt();
  const timer = setInterval(attempt, BOOTSTRAP_PAUSE_MS);
  return () => clearInterval(timer);
}
