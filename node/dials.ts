/**
 * @file Which addresses of a peer to dial now. Addresses come from others, so few are dialled at once, strangers' at a bounded
 * rate, and after a failure the peer waits, and each place for strangers, twice as long each time.
 */
import { isRelayed } from './addresses.ts';
import { createBuckets } from './buckets.ts';
import { MAX_DIALLED, MAX_RELAYED, STRANGE_DIALS } from './limits.ts';

const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 60_000;
/** Peers and places in mind. */
const MAX_KEPT = 4096;

export interface Dials {
  /** Those of its addresses to dial now: none while all these places have to wait, null while it has to itself, or all strangers. */
  choose(id: string, addresses: readonly string[]): string[] | null;
  failed(id: string, addresses: readonly string[]): void;
  /** Connected, whoever dialled. */
  reached(id: string): void;
}

export function createDials(now: () => number = () => performance.now()): Dials {
  const failures = new Map<string, { count: number; until: number }>();
  const met = new Set<string>();
  const strangers = createBuckets({ ...STRANGE_DIALS, now });
  const mayDial = (key: string): boolean => (failures.get(key)?.until ?? 0) <= now();
  const fail = (key: string): void => {
    const count = (failures.get(key)?.count ?? 0) + 1;
    failures.delete(key);
    failures.set(key, { count, until: now() + Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (count - 1)) });
    if (failures.size > MAX_KEPT) failures.delete(failures.keys().next().value!);
  };
  return {
    choose: (id, addresses) => {
      if (!mayDial(id)) return null;
      // That others are said to be where one lives that was reached before says nothing of it.
      const isMet = met.has(id);
      const all = isMet ? addresses : addresses.filter((address) => mayDial(placeIn(address)));
      const direct = all.filter((address) => !isRelayed(address)).slice(0, MAX_DIALLED);
      const open = [...direct, ...all.filter(isRelayed).slice(0, MAX_RELAYED)];
      if (isMet || open.length === 0) return open;
      const allowed = open.filter(() => strangers.take(''));
      return allowed.length > 0 ? allowed : null;
    },
    failed: (id, addresses) => {
      fail(id);
      for (const address of addresses) fail(placeIn(address));
    },
    reached: (id) => {
      failures.delete(id);
      met.add(id);
      if (met.size > MAX_KEPT) met.delete(met.values().next().value!);
    },
  };
}

/** An address without whom it names: made-up ids at one place wait together, but not all that one member relays for. */
function placeIn(address: string): string {
  return isRelayed(address) ? address : address.replace(/\/p2p\/[^/]+$/, '');
}
