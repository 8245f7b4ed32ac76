/** @file Whom an invite names: this peer, and a few of those it is connected to that were seen to answer a stranger. */
import type { Acquaintance } from '../protocol/frame.ts';
import { isLoopback, isPublic, worthTelling } from './addresses.ts';
import { isInvitable } from './invite.ts';

/** Besides this peer; each more than doubles the odds that somebody is there, and makes the invite longer. */
const MAX_OTHERS = 3;
const MAX_OWN_ADDRESSES = 4;
const MAX_OTHERS_ADDRESSES = 2;
/** Of all addresses of an invite: more is no pleasure to paste. */
const MAX_CHARACTERS = 1000;
/** Members that do not answer, for they may be busy, are tried again later, a few times. */
const MAX_TRIES = 3;
const RETRY_MS = 30_000;
/** Whom to keep in mind for that. */
const MAX_TRIED = 64;

export interface Contacts {
  /** What an invite names now, this peer first. */
  addresses(): string[];
  /** Where others were seen to answer, also those that have left since; the newest first. */
  others(): string[];
  /** Tries whoever is new, one after the other, while there are too few. */
  look(): void;
  stop(): void;
}

/** `onMore` is told when one more has answered. */
export function createContacts(options: {
  own: () => readonly string[];
  connected: () => readonly Acquaintance[];
  answers: (address: string, signal: AbortSignal) => Promise<boolean>;
  onMore: () => void;
  now?: () => number;
}): Contacts {
  const { now = Date.now } = options;
  const stopping = new AbortController();
  const tried = new Map<string, { count: number; at: number }>();
  const seen = new Map<string, readonly string[]>();
  let isBusy = false;
  const own = (): string[] => worthTelling(options.own().filter(isInvitable), MAX_OWN_ADDRESSES);
  /** Loopback leads elsewhere from another machine. */
  const candidates = (addresses: readonly string[]): string[] => {
    const isLocal = own().every(isLoopback);
    const usable = addresses.filter((address) => isInvitable(address) && (isLocal || !isLoopback(address)));
    return worthTelling(usable, MAX_OTHERS_ADDRESSES);
  };
  const others = (): (readonly string[])[] =>
    options
      .connected()
      .flatMap(({ id, addresses }) => {
        const answering = (seen.get(id) ?? []).filter((address) => addresses.includes(address));
        return answering.length > 0 ? [answering] : [];
      })
      .slice(0, MAX_OTHERS);
  const look = (): void => {
    if (isBusy || stopping.signal.aborted || others().length >= MAX_OTHERS) return;
    for (const { id, addresses } of options.connected()) {
      const places = candidates(addresses);
      const key = `${id} ${places.join()}`;
      const { count, at } = tried.get(key) ?? { count: 0, at: 0 };
      const isNew = count === 0 && tried.size < MAX_TRIED;
      const isAgain = count > 0 && count < MAX_TRIES && now() - at >= RETRY_MS;
      if (places.length === 0 || places.every((place) => seen.get(id)?.includes(place)) || !(isNew || isAgain))
        continue;
      tried.set(key, { count: count + 1, at: now() });
      isBusy = true;
      tryOne(id, places).finally(() => {
        isBusy = false;
        look();
      });
      return;
    }
  };
  const tryOne = async (id: string, places: readonly string[]): Promise<void> => {
    const found = await Promise.all(places.map((place) => options.answers(place, stopping.signal).catch(() => false)));
    if (stopping.signal.aborted || !found.includes(true)) return;
    seen.set(
      id,
      places.filter((_, i) => found[i]),
    );
    options.onMore();
  };
  return {
    look,
    stop: () => stopping.abort(),
    others: () => [...seen.values()].reverse().flat(),
    addresses: () => {
      const named = own();
      for (const places of others()) if ([...named, ...places].join().length <= MAX_CHARACTERS) named.push(...places);
      const useful = named.filter(isPublic);
      return useful.length > 0 ? useful : named;
    },
  };
}
