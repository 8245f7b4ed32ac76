/** @file The points of a round at which a peer may be killed: each a moment its process can tell for itself. */
import type { Effect, Event } from '../../protocol/events.ts';
import { decodeFrame, type FrameLimits, type Hash, type Message } from '../../protocol/frame.ts';
import type { Snapshot } from '../../protocol/snapshot.ts';

/** What a peer's process is about to do, or has just done. */
export type Moment =
  | { readonly type: 'training' }
  | { readonly type: 'event'; readonly event: Event }
  | { readonly type: 'before' | 'after'; readonly effect: Effect }
  /** Every neighbour has been sent this round's adapter. */
  | { readonly type: 'sent' }
  /** Of the snapshot's file: half of it is in the temporary one; all is; it is in place, but its folder is not synced. */
  | { readonly type: 'half-written' | 'written' | 'renamed' };

interface Eye {
  /** The message of a frame that is well formed. */
  readonly read: (bytes: Uint8Array) => Message['type'] | null;
}

type Hits = (moment: Moment, eye: Eye) => boolean;

const isOpened = ({ phase, exchanged, round }: Snapshot): boolean => phase === 'exchanging' && exchanged === round;
const isMixed = ({ phase, exchanged, round }: Snapshot): boolean => phase === 'training' && exchanged === round - 1;

function saves(when: 'before' | 'after', of: (snapshot: Snapshot) => boolean): Hits {
  return (moment) => moment.type === when && moment.effect.type === 'save' && of(moment.effect.snapshot);
}

function sends(type: Message['type']): Hits {
  return (moment, { read }) =>
    moment.type === 'after' && moment.effect.type === 'send' && read(moment.effect.bytes) === type;
}

export const POINTS = {
  'it trains': ({ type }) => type === 'training',
  'it has trained and saved nothing': saves('before', isOpened),
  'its snapshot is half written': ({ type }) => type === 'half-written',
  'its snapshot is written and not in place': ({ type }) => type === 'written',
  'its snapshot is in place and the folder not synced': ({ type }) => type === 'renamed',
  'its adapter is saved and sent to nobody': saves('after', isOpened),
  'its adapter is sent to one neighbour': sends('data'),
  'its adapter is sent to all neighbours': ({ type }) => type === 'sent',
  "a neighbour's adapter comes": (moment, { read }) =>
    moment.type === 'event' && moment.event.type === 'frame' && read(moment.event.bytes) === 'data',
  'it has mixed and saved nothing': saves('before', isMixed),
  'it has mixed and saved, and acknowledged nothing': saves('after', isMixed),
  'it has acknowledged one adapter': sends('ack'),
} as const satisfies Record<string, Hits>;

export type PointName = keyof typeof POINTS;
export const POINT_NAMES = Object.keys(POINTS) as readonly PointName[];

/** Whether a moment is at the point. */
export function isAt(point: PointName, moment: Moment, limits: FrameLimits, hash: Hash): boolean {
  const read = (bytes: Uint8Array): Message['type'] | null => {
    const decoded = decodeFrame(bytes, limits, hash);
    return decoded.ok ? decoded.frame.message.type : null;
  };
  const hits: Hits = POINTS[point];
  return hits(moment, { read });
}
