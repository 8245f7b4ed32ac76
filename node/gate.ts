/**
 * @file Who may connect: handshakes and connections have slots, in all and of one address; a newcomer gets that of who never
 * said anything, of a second connection, or of the most crowded address. As Bitcoin's nodes do (Heilman et al. 2015).
 */
import type { Refusal } from '../protocol/frame.ts';
import { isRelayed } from './addresses.ts';
import { createBuckets } from './buckets.ts';
import { ARRIVALS, GRACE_MS, MAX_SLOTS, MAX_SLOTS_PER_ADDRESS, SILENCE_MS } from './limits.ts';

/** A connection that comes in, as the transport has it. */
export interface Incoming {
  readonly timeline: { readonly upgraded?: number; readonly close?: number };
  abort(error: Error): void;
}

export interface Gate {
  /** Whether a connection from this host, or from this address by way of a member, may go on; another may have to go for it. */
  admit(incoming: Incoming, host: string): boolean;
  /** Its other end has proved who it is. */
  identify(timeline: Incoming['timeline'], id: string): void;
  /** It has said something of this run. */
  heard(id: string): void;
  gone(id: string): void;
  /** Closes those that have not said anything for too long; to be called now and then. */
  sweep(): void;
}

interface Entry {
  readonly incoming: Incoming;
  readonly timeline: Incoming['timeline'];
  readonly group: string;
  readonly at: number;
  id: string;
}

/** Connections that one address may keep where all slots are taken. */
const FAIR_SHARE = 8;
/** Peers in mind that have said something. */
const MAX_HEARD = 4096;
/** Who has said nothing for so long may have to go. */
const QUIET_MS = 60_000;

export function createGate(options: { onRefuse: (who: string, code: Refusal) => void; now?: () => number }): Gate {
  const { onRefuse, now = () => performance.now() } = options;
  const arrivals = createBuckets({ ...ARRIVALS, now });
  const entries = new Map<Incoming['timeline'], Entry>();
  const heardAt = new Map<string, number>();
  const tidy = (): void => {
    for (const [timeline] of entries) if (timeline.close !== undefined) entries.delete(timeline);
  };
  const isOpen = ({ timeline }: Entry): boolean => timeline.upgraded !== undefined;
  const close = (entry: Entry, why: string): void => {
    entries.delete(entry.timeline);
    entry.incoming.abort(new Error(why));
  };
  /** How readily a connection is given up; infinitely: it is not. */
  const rank = (entry: Entry, all: readonly Entry[], crowd: number): number => {
    if (now() - entry.at < GRACE_MS) return Number.POSITIVE_INFINITY;
    const lastHeard = heardAt.get(entry.id);
    if (!isOpen(entry) || lastHeard === undefined) return 0;
    if (all.some((other) => other !== entry && other.id === entry.id && other.at >= entry.at)) return 1;
    if (now() - lastHeard >= QUIET_MS) return 2;
    return crowd > FAIR_SHARE ? 3 : Number.POSITIVE_INFINITY;
  };
  /** Closes the least worth of these, the oldest of the most crowded address first. */
  const makeRoom = (all: readonly Entry[], last: number): boolean => {
    const crowds = new Map<string, number>();
    for (const { group } of all) crowds.set(group, (crowds.get(group) ?? 0) + 1);
    const crowdOf = ({ group }: Entry): number => crowds.get(group)!;
    const ranked = all
      .map((entry) => ({ entry, worth: rank(entry, all, crowdOf(entry)) }))
      .filter(({ worth }) => worth <= last)
      .sort((a, b) => a.worth - b.worth || crowdOf(b.entry) - crowdOf(a.entry) || a.entry.at - b.entry.at);
    if (ranked.length === 0) return false;
    close(ranked[0]!.entry, 'its slot goes to another');
    return true;
  };
  return {
    admit: (incoming, host) => {
      tidy();
      const group = groupOf(host);
      const refuse = (code: Refusal): false => {
        onRefuse(host, code);
        return false;
      };
      if (!arrivals.take(group)) return refuse('crowded-address');
      const beside = [...entries.values()].filter((entry) => entry.group === group);
      if (beside.length >= MAX_SLOTS_PER_ADDRESS && !makeRoom(beside, 2)) return refuse('crowded-address');
      if (entries.size >= MAX_SLOTS && !makeRoom([...entries.values()], 3)) return refuse('no-slot');
      const { timeline } = incoming;
      entries.set(timeline, { incoming, timeline, group, at: now(), id: '' });
      return true;
    },
    identify: (timeline, id) => {
      const entry = entries.get(timeline);
      if (entry) entry.id = id;
    },
    heard: (id) => {
      heardAt.delete(id);
      heardAt.set(id, now());
      // Frames may be read after their connection has closed.
      if (heardAt.size > MAX_HEARD) heardAt.delete(heardAt.keys().next().value!);
    },
    gone: (id) => heardAt.delete(id),
    sweep: () => {
      tidy();
      for (const entry of [...entries.values()]) {
        if (!isOpen(entry) || heardAt.has(entry.id) || now() - entry.at < SILENCE_MS) continue;
        onRefuse(entry.id, 'silent');
        close(entry, 'it says nothing');
      }
    },
  };
}

/** What counts as one address: of IPv6, all of a network, since whoever has one has them all; all that one member relays. */
function groupOf(host: string): string {
  if (isRelayed(host)) return host.slice(0, host.indexOf('/p2p-circuit'));
  if (!host.includes(':')) return host;
  const [head = '', tail] = host.split('::');
  const [before, after] = [head.split(':').filter(Boolean), (tail ?? '').split(':').filter(Boolean)];
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...new Array<string>(Math.max(0, zeros)).fill('0'), ...after].slice(0, 4).join(':');
}
