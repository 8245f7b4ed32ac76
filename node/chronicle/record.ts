/** @file What a chronicle holds, as JSON: times in ms since 1970, sizes in bytes, ids of peers as they are. */
import type { MemberState, Message, Refusal } from '../../protocol/frame.ts';
import type { Phase } from '../../protocol/snapshot.ts';
import type { Samples } from '../train/score.ts';

/** Raised when a field comes to mean something else. */
export const RECORD_VERSION = 1;

/** Which peer of which run. */
export interface Subject {
  readonly id: string;
  /** As people call it; '': nothing. */
  readonly name: string;
  readonly runId: string;
  readonly objective: 'classify' | 'next-token';
  /** Of what is classified. */
  readonly classes: readonly string[];
  readonly base: string;
  readonly rule: string;
  readonly codec: string;
  readonly schedule: string;
  /** Rounds that train, and those that only mix. */
  readonly rounds: number;
  readonly closingRounds: number;
  /** Whether anybody may take part, without an invite. */
  readonly isOpen: boolean;
}

/** How the peer stands now. */
export interface Head {
  readonly at: number;
  readonly beganAt: number;
  readonly phase: Phase;
  readonly round: number;
  readonly members: number;
  /** How many are to be here before it begins. */
  readonly wanted: number;
  readonly awaited: readonly string[];
  /** When it goes on without them; null: it waits for nothing, or for as long as it takes. */
  readonly untilMs: number | null;
  readonly isPausing: boolean;
  readonly labelled: number;
  readonly unlabelled: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly diverged: number;
  readonly adoptedFrom: string | null;
  readonly undecided: readonly string[];
  /** Refused messages by code, those of who is not listed among the peers too. */
  readonly refused: Counts;
}

export type Counts = Readonly<Partial<Record<Refusal, number>>>;

/** An exchange with one neighbour. */
export interface EdgeRecord {
  readonly id: string;
  /** When this peer's adapter was handed to the network, and when the neighbour's came; null: not. */
  readonly sentAt: number | null;
  readonly receivedAt: number | null;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Of the neighbour's adapter, relative; null: not mixed. */
  readonly distance: number | null;
  readonly isClipped: boolean;
  /** `late`: mixed after its round had ended. */
  readonly outcome: 'open' | 'mixed' | 'late' | 'cancelled' | 'abandoned';
}

export interface RoundRecord {
  readonly round: number;
  readonly beganAt: number;
  readonly trainedAt: number | null;
  readonly mixedAt: number | null;
  /** Mean loss of the local steps; null: none were taken. */
  readonly loss: number | null;
  /** Of the mixed adapter on texts to watch: the share that is right, or loss a token. */
  readonly score: number | null;
  /** Means over the round's neighbours. */
  readonly distance: number | null;
  readonly crossTerm: number | null;
  /** Neighbours that were left for later. */
  readonly missed: number;
  /** Texts with a soft label, and of those whose label is known the share that is right. */
  readonly softLabels: number;
  readonly precision: number | null;
  readonly edges: readonly EdgeRecord[];
}

/** What travels, by message. */
export type Kind = Message['type'] | 'unknown';
export interface Parcels {
  readonly count: number;
  readonly bytes: number;
}
export type Traffic = Readonly<Partial<Record<Kind, Parcels>>>;

/** What is known of another peer. */
export interface PeerRecord {
  readonly id: string;
  /** What it calls itself, which is anybody's word; '': nothing. */
  readonly name: string;
  readonly state: MemberState | 'unknown';
  readonly isConnected: boolean;
  readonly round: number;
  /** Usual wait for its adapter, and rounds it has missed in a row. */
  readonly waitMs: number | null;
  readonly missed: number;
  /** Exchanges that were mixed, of these those after their round and those clipped; and those that came to nothing. */
  readonly mixed: number;
  readonly late: number;
  readonly clipped: number;
  readonly given: number;
  readonly distance: number | null;
  readonly refused: Counts;
  readonly isBanned: boolean;
  readonly sent: Traffic;
  readonly received: Traffic;
}

export interface Notice {
  readonly at: number;
  readonly text: string;
}

/** Base, alone and swarm on texts nobody trained on: shares that are right, or loss a token; null: not known (yet). */
export interface Comparison {
  readonly texts: number;
  readonly base: number;
  readonly alone: number | null;
  readonly swarm: number | null;
  /** After how many rounds alone and swarm were scored while the run goes on; null: it is over. */
  readonly at: { readonly alone: number; readonly swarm: number } | null;
  /** Of a run that writes, where that can be had in time. */
  readonly samples?: Samples;
}

export interface Whole {
  readonly version: number;
  readonly subject: Subject;
  readonly head: Head;
  readonly rounds: readonly RoundRecord[];
  readonly peers: readonly PeerRecord[];
  /** What went to everybody at once. */
  readonly published: Traffic;
  readonly notices: readonly Notice[];
  readonly comparison: Comparison | null;
}

/** What has changed: rounds and peers by number and id; all else whole. */
export type Patch = Partial<Omit<Whole, 'version' | 'subject' | 'head'>> & Pick<Whole, 'head'>;
