/** @file What happens to a peer, and what a peer wants done. Effects are carried out first in, first out. */
import type { Refusal } from './frame.ts';
import type { Snapshot } from './snapshot.ts';

export type TimerName = 'round' | 'retry' | 'announce';

export interface TrainStats {
  /** Mean loss over the round's steps; null where there was nothing to train on. */
  readonly loss: number | null;
}

export type Event =
  | { readonly type: 'start'; readonly addresses: readonly string[] }
  /** It can be reached at these addresses from now on, and not at those from before. */
  | { readonly type: 'moved'; readonly addresses: readonly string[] }
  /** Someone wants this peer to stop: it says goodbye. */
  | { readonly type: 'stop' }
  | { readonly type: 'timer'; readonly name: TimerName }
  /** `via`: whose connection it came over, where that is known; for what is passed on it is another than the sender. */
  | { readonly type: 'frame'; readonly from: string; readonly bytes: Uint8Array; readonly via?: string }
  /**
   * Verified by the driver: this peer is in the run, let in by that invite ('': the first of a run). Given before anything
   * else of it, and again wherever the member that is kept has another invite, since members are forgotten.
   */
  | { readonly type: 'admitted'; readonly id: string; readonly invite: string }
  /** Someone sent more than any frame holds; it was cut off. */
  | { readonly type: 'oversized'; readonly from: string }
  /** The answer to a train effect. */
  | { readonly type: 'trained'; readonly round: number; readonly adapter: Float32Array; readonly stats: TrainStats }
  /** A connection opened; or closed, or could not be had: `untried` where no dial was made, since too many were of late. */
  | { readonly type: 'peer'; readonly id: string; readonly up: boolean; readonly untried?: true };

export type Effect =
  /** Durable before any later effect is carried out; a failure stops the peer. */
  | { readonly type: 'save'; readonly snapshot: Snapshot }
  | { readonly type: 'train'; readonly round: number; readonly adapter: Float32Array; readonly steps: number }
  | { readonly type: 'send'; readonly to: string; readonly bytes: Uint8Array }
  /** To everybody, signed. */
  | { readonly type: 'publish'; readonly bytes: Uint8Array }
  /** Replaces an earlier timer of the name. */
  | { readonly type: 'timer'; readonly name: TimerName; readonly at: number }
  | { readonly type: 'dial'; readonly id: string; readonly addresses: readonly string[] }
  | { readonly type: 'drop'; readonly id: string }
  | { readonly type: 'refuse'; readonly id: string; readonly code: Refusal }
  | { readonly type: 'report'; readonly metric: Metric }
  /** Nothing is left to do; the driver may stop. */
  | { readonly type: 'finish' };

/** A neighbour's adapter of a round. */
export interface Exchanged {
  readonly id: string;
  readonly round: number;
  /** Relative distance from what was sent to it. */
  readonly distance: number;
  /** Whether it was further away than a rule with a radius lets a neighbour move a peer, and so moved it by less. */
  readonly isClipped: boolean;
}

export type Metric =
  /** Waits for members, until `until` (ms; null: for ever). */
  | { readonly type: 'gathering'; readonly members: number; readonly wanted: number; readonly until: number | null }
  | { readonly type: 'trained'; readonly round: number; readonly loss: number | null }
  | {
      readonly type: 'mixed';
      readonly round: number;
      readonly adapter: Float32Array;
      /** Neighbours an exchange was opened with, those whose adapter was mixed in (also of earlier rounds), and those left for later. */
      readonly neighbours: number;
      readonly mixed: number;
      readonly late: number;
      /** Whose adapters were mixed in. */
      readonly with: readonly Exchanged[];
      /** How far averaging these factors is from averaging their products (mixing.ts); null where that is not done. */
      readonly crossTerm: number | null;
      /** Mean relative distance of the neighbours' adapters from what was sent to them; null without any. */
      readonly distance: number | null;
    }
  /** Rounds skipped because the others were further on. */
  | { readonly type: 'skipped'; readonly from: number; readonly to: number }
  /** Came late, so goes on with the adapter of another. */
  | {
      readonly type: 'adopted';
      readonly round: number;
      readonly from: string;
      readonly before: Float32Array;
      readonly adapter: Float32Array;
    }
  /** Adapters of earlier rounds, mixed in between two mixings. */
  | { readonly type: 'late'; readonly with: readonly Exchanged[] }
  /** An exchange that neither end mixes, by agreement. */
  | { readonly type: 'cancelled'; readonly round: number; readonly with: string }
  /** One given up for want of room, since its other end is gone for good: should it come back, it may have mixed alone. */
  | { readonly type: 'abandoned'; readonly round: number; readonly with: string }
  /** A round without an exchange, since too many are undecided. */
  | { readonly type: 'crowded'; readonly round: number; readonly open: number }
  /** What is open at the end stays so, in case its other end comes back. */
  | { readonly type: 'undecided'; readonly with: readonly string[] }
  /** Training gave numbers that are not finite; the round goes on with the adapter from before. */
  | { readonly type: 'diverged'; readonly round: number };
