/** @file What an attack of `npm run redteam` is: what is done, in a process of its own, and what must hold meanwhile. */
import type { Refusal } from '../../protocol/frame.ts';

/** Places of the invite that an attacker has. */
export const PLACES = 16;

/** What attackers know of the swarm they attack: what an invite says, and where each peer listens. */
export interface Target {
  /** Made for this attack, with PLACES places; strangers make no use of it but to know which run it is. */
  readonly invite: string;
  /** One that has expired. */
  readonly expired: string;
  readonly runId: string;
  /** Of each honest peer, with its id. */
  readonly addresses: readonly string[];
  /** Where this attacker is, and hosts of its own network that nobody else has. */
  readonly host: string;
  readonly decoys: readonly string[];
  /** What a round took before (ms). */
  readonly roundMs: number;
  /** State folders of the honest, whose users may do something about it. */
  readonly folders: readonly string[];
  /** Whether it is to be over soon. */
  readonly isShort: boolean;
}

/** What must hold for the honest; what is left out is not asked. */
export interface Bars {
  /** Their median round, and the 95th percentile, in those before. */
  readonly median?: number;
  readonly p95?: number;
  /** Resident memory above what it was, and above that a minute later at most (MB). */
  readonly moreMb?: number;
  readonly backMb?: number;
  /** A newcomer takes part within (ms). */
  readonly newcomerMs?: number;
  /** One of these codes is counted within (ms). */
  readonly codes?: readonly Refusal[];
  readonly refusedMs?: number;
  /** Hosts that are dialled for somebody's word, at most. */
  readonly dialled?: number;
}

export interface Attack {
  readonly about: string;
  readonly bars: Bars;
  /** Whether a newcomer comes while it lasts, also where little time is. */
  readonly isOfNewcomers?: true;
  /** Whether it takes the honest some rounds to know what they have in somebody, so that it is looked at for longer. */
  readonly isLong?: true;
  /** Whether the swarm attacked is open to everybody. */
  readonly isOpen?: true;
  /** Where the attack is of a whole run of its own, by this rule of mixing: it is judged by what the honest have learned. */
  readonly course?: {
    readonly rule: 'clip' | 'mean';
    /** Whether nobody attacks, so that there is something to compare with. */
    readonly isByThemselves: boolean;
    /** Whether it is run where little time is. */
    readonly isShort: boolean;
  };
  /** Attacks until the signal, having called `begin` at the first blow; resolves to what was done, and what else is judged. */
  readonly run: (target: Target, signal: AbortSignal, begin: () => void) => Promise<Done>;
}

export interface Done {
  readonly text: string;
  readonly dialled?: number;
  /** What else was seen, in words. */
  readonly more?: string;
  /** How often somebody was let in who must not be. */
  readonly letIn?: number;
}

/** Somebody who is silent or slow. */
export const SILENCE: Bars = { median: 1.3 };
/** Somebody who sends more than anybody can want. */
export const FLOOD: Bars = { p95: 2, moreMb: 150, backMb: 20, newcomerMs: 15_000 };

/** A flood that is refused under one of these codes. */
export function refusedAs(codes: readonly Refusal[]): Bars {
  return { ...FLOOD, codes, refusedMs: 10_000 };
}
