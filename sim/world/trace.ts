/** @file What happened in a world, as text: a line an event, columns separated by tabs. */
import type { CodecName } from '../../protocol/codec.ts';
import type { Effect, Event } from '../../protocol/events.ts';
import { decodeFrame } from '../../protocol/frame.ts';
import type { Peer } from '../../protocol/peer.ts';
import { quickHash } from './digest.ts';
import type { Seat } from './world.ts';

export const TRACE_HEAD = ['ms', 'peer', 'event', 'about', 'phase', 'round', 'open', 'effects'].join('\t');

/** One event of a peer: when, what, what it is about; the peer afterwards; what it did. */
export function traceLine({ peer }: Seat, event: Event, done: readonly Effect[], now: number): string {
  const { id, phase, round, exchanges } = peer;
  const effects = done.map((effect) => effectText(peer, effect)).filter((text) => text !== '');
  return [now, id, event.type, eventText(peer, event), phase, round, exchanges.length, effects.join(', ')].join('\t');
}

function eventText(peer: Peer, event: Event): string {
  switch (event.type) {
    case 'frame':
      return `${frameText(peer, event.bytes)} from ${event.from}`;
    case 'timer':
      return event.name;
    case 'trained':
      return `round ${event.round}`;
    case 'peer':
      return `${event.id} ${event.up ? 'up' : 'down'}`;
    case 'admitted':
      return `${event.id} by ${event.invite || 'nobody'}`;
    case 'oversized':
      return `from ${event.from}`;
    case 'start':
    case 'moved':
    case 'stop':
      return '';
  }
}

function effectText(peer: Peer, effect: Effect): string {
  switch (effect.type) {
    case 'send':
      return `send ${frameText(peer, effect.bytes)} to ${effect.to}`;
    case 'publish':
      return `publish ${frameText(peer, effect.bytes)}`;
    case 'save':
      return `save round ${effect.snapshot.round}`;
    case 'train':
      return `train round ${effect.round}`;
    case 'timer':
      return `timer ${effect.name} at ${effect.at}`;
    case 'dial':
    case 'drop':
      return `${effect.type} ${effect.id}`;
    case 'refuse':
      return `refuse ${effect.code} of ${effect.id}`;
    case 'report':
      return `report ${effect.metric.type}`;
    case 'finish':
      return 'finish';
  }
}

/** The message and its round; for a frame that is refused, why. */
function frameText({ runId, adapter, settings }: Peer, bytes: Uint8Array): string {
  const decoded = decodeFrame(bytes, { runId, count: adapter.length, codec: settings.codec as CodecName }, quickHash);
  return decoded.ok ? `${decoded.frame.message.type} ${decoded.frame.message.round}` : `(${decoded.code})`;
}
