/**
 * @file Strangers: members made up by somebody outside, any number at no cost. They announce themselves over one connection,
 * or connect, and say of rounds and adapters what they like; at some time they are gone.
 */
import { CODECS, type CodecName } from '../../protocol/codec.ts';
import type { RunSettings } from '../../protocol/config.ts';
import type { Event } from '../../protocol/events.ts';
import { decodeFrame, encodeFrame, type Message } from '../../protocol/frame.ts';
import { quickHash } from './digest.ts';
import type { Outsiders } from './network.ts';
import type { World } from './world.ts';

export interface Strangers {
  readonly kind: string;
  readonly count: number;
  /** While they are there (virtual ms). */
  readonly fromMs: number;
  readonly untilMs: number;
  /** How many invites let them in; 0: the run is open, and nobody needs one. */
  readonly invites: number;
}

interface Kind {
  readonly about: string;
  /** Whether they can be reached, and are connected to everybody. */
  readonly isThere: boolean;
  /** The round they say that they are at, of so many. */
  readonly round: (rounds: number) => number;
  /** Whether one comes as the one before it goes. */
  readonly isInTurn?: true;
}

export const STRANGERS: Readonly<Record<string, Kind>> = {
  far: { about: 'said over one connection to be at the last round', isThere: false, round: (rounds) => rounds },
  alike: {
    about: 'connected to everybody, at the last round, and with one adapter for whoever asks',
    isThere: true,
    round: (rounds) => rounds,
  },
  crowd: { about: 'said over one connection to be there, at the first round', isThere: false, round: () => 0 },
  idle: { about: 'connected to everybody, at the first round, sending nothing', isThere: true, round: () => 0 },
  names: {
    about: 'the same, under name after name, one at a time',
    isThere: true,
    round: () => 0,
    isInTurn: true,
  },
};

/** Who told of them. */
const CARRIER = 'stranger';
/** Peers one invite lets in. */
const PEERS_AN_INVITE = 4;
const ADDRESSES = ['/stranger'];

/** What let a peer in: an invite of one of its elders, who gave it; in an open run all are invited by the first. */
export function inviteOf({ invites }: Strangers, peer: number): { invite: string; inviter: number | null } {
  if (peer === 0) return { invite: '', inviter: null };
  const inviter = invites > 0 ? Math.floor((peer - 1) / PEERS_AN_INVITE) : 0;
  return { invite: invites > 0 ? `by ${inviter}` : '', inviter };
}

export interface Invasion extends Outsiders {
  /** To be called once, before anything happens. */
  readonly begin: () => void;
}

/** Strangers that come and go in a world, as a scenario has it. */
export function invade(
  { kind, count, fromMs, untilMs, invites }: Strangers,
  { runId, settings, size, world }: { runId: string; settings: RunSettings; size: number; world: () => World },
): Invasion {
  const { isThere, round, isInTurn = false } = STRANGERS[kind]!;
  const codec = settings.codec as CodecName;
  const last = round(settings.rounds + settings.closingRounds);
  const ids = Array.from({ length: count }, (_, i) => `${CARRIER}-${String(i).padStart(5, '0')}`);
  const poison = CODECS[codec].encode(new Float32Array(size).fill(10));
  let sequence = 0;
  const framed = (from: string, message: Message): Event => {
    const bytes = encodeFrame({ message, sequence: sequence++ }, runId, quickHash);
    return { type: 'frame', from, bytes, via: isThere ? from : CARRIER };
  };
  /** When the one of that place comes, and goes. */
  const stayOf = (i: number): readonly [number, number] => {
    const turnMs = (untilMs - fromMs) / count;
    return isInTurn ? [Math.round(fromMs + i * turnMs), Math.round(fromMs + (i + 1) * turnMs)] : [fromMs, untilMs];
  };
  const isPresent = (i: number, now: number): boolean => i >= 0 && now >= stayOf(i)[0] && now < stayOf(i)[1];
  return {
    isThere: (id, now) => isThere && isPresent(ids.indexOf(id), now),
    hear: (from, to, bytes) => {
      if (!isThere) return;
      const decoded = decodeFrame(bytes, { runId, count: size, codec }, quickHash);
      if (!decoded.ok || decoded.frame.message.type !== 'ask') return;
      world().tell(
        world().now(),
        from,
        framed(to, { type: 'adapter', round: last, codec, count: size, payload: poison }),
      );
    },
    begin: () => {
      const { seats, tell } = world();
      const announced: Message = { type: 'announce', round: last, state: 'joined', addresses: ADDRESSES };
      for (const [i, id] of ids.entries()) {
        const [comesMs, goesMs] = stayOf(i);
        for (let at = comesMs; at < goesMs; at += settings.announceMs) {
          const said = framed(id, announced);
          for (const to of seats.keys()) {
            if (invites > 0) tell(at, to, { type: 'admitted', id, invite: `by stranger ${i % invites}` });
            if (isThere) tell(at, to, { type: 'peer', id, up: true });
            tell(at, to, said);
          }
        }
      }
      if (!isThere) return;
      for (const [i, id] of ids.entries())
        for (const to of seats.keys()) tell(stayOf(i)[1], to, { type: 'peer', id, up: false });
    },
  };
}
