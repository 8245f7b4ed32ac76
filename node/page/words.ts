/** @file Names, figures and times as the page says them. */
import type { Head, Kind, PeerRecord, Subject } from '../chronicle/record.ts';
import { durationText, figureText } from '../figures.ts';
import type { Source } from './live.ts';

export function percentText(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Milliseconds in the unit that fits. */
export function spanText(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : durationText(ms / 1000);
}

export function timeText(at: number): string {
  return new Date(at).toLocaleTimeString(undefined, { hour12: false });
}

/** The end of an id, by which ids differ. */
export function shortId(id: string): string {
  return `..${id.slice(-6)}`;
}

/** What peers are called: by their names where they are of this process, else by their ids, after the names they give themselves. */
export function namesOf(sources: readonly Source[]): (id: string) => string {
  const own = new Map(sources.map(({ whole: { subject } }) => [subject.id, ownName(subject, sources.length)]));
  const others = new Map(sources.flatMap(({ whole: { peers } }) => peers.map(({ id, name }) => [id, name] as const)));
  return (id) => own.get(id) ?? (others.get(id) ? `${others.get(id)} (${shortId(id)})` : shortId(id));
}

function ownName({ name, id }: Subject, count: number): string {
  return name || (count === 1 ? 'you' : shortId(id));
}

/** How well it does, by what it learns. */
export const MEASURES: Readonly<
  Record<Subject['objective'], { title: string; axis: string; format: (y: number) => string }>
> = {
  classify: { title: 'Right on texts to watch', axis: 'share that is right', format: percentText },
  'next-token': { title: 'Loss on texts to watch', axis: 'loss a token', format: figureText },
};

export function phaseText(head: Head, nameOf: (id: string) => string): string {
  const { phase, members, wanted, isPausing, awaited, untilMs, at } = head;
  const whom =
    awaited.slice(0, 3).map(nameOf).join(', ') + (awaited.length > 3 ? ` and ${awaited.length - 3} more` : '');
  const until = untilMs === null ? '' : `, ${durationText(Math.max(0, untilMs - at) / 1000)} at most`;
  switch (phase) {
    case 'gathering':
      if (isPausing) return `pausing: ${members} of ${wanted} here${until}`;
      return members < wanted ? `waiting for ${wanted - members} more${until}` : `waiting for peers${until}`;
    case 'asking':
      return 'asking for the adapter of this round';
    case 'training':
      return 'training';
    case 'opening':
      return 'waiting until an earlier exchange has ended';
    case 'exchanging':
      return whom ? `waiting for ${whom}${until}` : 'exchanging adapters';
    case 'finished':
      return whom ? `done; waiting for word of ${whom}` : 'done';
  }
}

/** How a peer is, in a word that has a colour. */
export type Standing = 'own' | 'here' | 'late' | 'away' | 'finished' | 'refused';
export const STANDINGS: Readonly<Record<Standing, string>> = {
  own: 'of this machine',
  here: 'connected',
  late: 'late: it missed its last rounds',
  away: 'not connected',
  finished: 'finished',
  refused: 'refused',
};

export function standingOf(peer: PeerRecord): Standing {
  if (peer.isBanned) return 'refused';
  if (peer.state === 'finished') return 'finished';
  if (!peer.isConnected || peer.state === 'left') return 'away';
  return peer.missed > 0 ? 'late' : 'here';
}

/** What travels, in words: who asks what left their machine reads these. */
export const KINDS: Readonly<Record<Kind, string>> = {
  data: 'the adapter of a round',
  adapter: 'the adapter, for one that came late',
  announce: 'announcement: that this peer is here, its round, its addresses',
  peers: 'ids and addresses of others',
  ack: 'word: an adapter was mixed in',
  nack: 'word: there is no such exchange',
  cancel: 'word: an exchange is called off',
  have: 'reminder: my adapter waits for your word',
  want: 'reminder: I wait for your adapter',
  ask: 'question: which adapter to go on with',
  unknown: 'what is none of these',
};

/** About how long the rest takes (ms), by the rounds seen so far; null: not known yet. */
export function leftOf({ head, rounds, subject }: Source['whole']): number | null {
  const mixed = rounds.filter(({ mixedAt }) => mixedAt !== null);
  const [first, last] = [mixed[0], mixed.at(-1)];
  if (!first || !last || head.phase === 'finished') return null;
  const pace = (last.mixedAt! - first.beganAt) / (last.round - first.round + 1);
  return Math.max(0, pace * (subject.rounds + subject.closingRounds - 1 - last.round) - (head.at - last.mixedAt!));
}
