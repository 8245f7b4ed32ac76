/** @file Through what a peer is connected to another, and how that and whom is said. */
import { isOwn, isPrivate } from '../addresses.ts';

/** A connection with a member. */
export interface Way {
  readonly id: string;
  /** By way of whom, '' where that is not known; null: nobody. */
  readonly relay: string | null;
  readonly through: 'relay' | 'machine' | 'lan' | 'internet';
}

/** How far a connection leads, by the host at its other end ('': another peer relays it) and those of this machine. */
export function throughOf(host: string, own: readonly string[]): Way['through'] {
  if (host === '') return 'relay';
  if (isOwn(host) || own.includes(host)) return 'machine';
  return isPrivate(host) ? 'lan' : 'internet';
}

/** What others call themselves, by id. */
export type Names = Readonly<Record<string, string>>;

/** The end of an id, by which ids differ, after the name that this peer gives itself. */
export function calledText(id: string, names: Names): string {
  const short = `..${id.slice(-6)}`;
  return names[id] ? `${names[id]} (${short})` : short;
}

/** A connection in words, to follow whom it is with. */
export function wayText({ through, relay }: Way, names: Names): string {
  switch (through) {
    case 'relay':
      return relay ? `by way of ${calledText(relay, names)}` : 'by way of another';
    case 'machine':
      return 'on this machine';
    case 'lan':
      return 'on the LAN';
    case 'internet':
      return 'directly';
  }
}
