/** @file Where a peer stands, as people ask: connected to whom, waiting for whom, and until when. */

import { awaited } from '../protocol/patience.ts';
import type { Peer } from '../protocol/peer.ts';

export interface Standing {
  /** Ids of the peers a connection is open to, sorted. */
  readonly connected: readonly string[];
  /** Ids of those without whom it does not go on yet, sorted. */
  readonly awaited: readonly string[];
  /** When it goes on without them (ms, on the clock of the runtime); null: nothing is waited for, or for as long as it takes. */
  readonly untilMs: number | null;
  /** Has been left with too few others, and does not train until they are back or for too long. */
  readonly isPausing: boolean;
}

/** Reads it off the peer; changes nothing. */
export function standingOf(peer: Peer): Standing {
  const connected = [...peer.members.values()].filter((m) => m.connected).map(({ id }) => id);
  const waits = waitsFor(peer).sort();
  const isTimed = peer.phase === 'gathering' || waits.length > 0;
  const untilMs = isTimed && peer.deadlineAt > 0 && Number.isFinite(peer.deadlineAt) ? peer.deadlineAt : null;
  return {
    connected: connected.sort(),
    awaited: waits,
    untilMs,
    isPausing: peer.phase === 'gathering' && peer.isPausing,
  };
}

function waitsFor(peer: Peer): string[] {
  switch (peer.phase) {
    case 'gathering':
    case 'training':
      return [];
    case 'asking':
      return (peer.question?.asked ?? []).filter((id) => !peer.question?.answers[id]);
    case 'exchanging':
      return awaited(peer);
    case 'opening':
    case 'finished':
      return [...new Set(peer.exchanges.flatMap(({ edges }) => Object.keys(edges)))];
  }
}
