/** @file What a run of a scenario is: its world, its faults and liars, its settings. */
import type { RunSettings } from '../../protocol/config.ts';
import type { Scenario as Learning } from '../learning/scenario.ts';
import type { Point } from '../points.ts';
import type { NetworkModel } from './network.ts';
import type { Strangers } from './strangers.ts';

/** How many of each befall peers drawn at random, one after the other. */
export interface Faults {
  /** As kill -9, after any effect of a step; each is down for `downMs` and comes back from its last snapshot. */
  readonly crashes: number;
  /** A save that fails, which stops the peer. */
  readonly fullDisks: number;
  /** Snapshots altered while a peer is down: it comes back as a new peer. */
  readonly spoiltSnapshots: number;
  /** Clocks that jump ahead, as a laptop's that slept. */
  readonly clockJumps: number;
  /** Processes that stand still for up to `freezeMs` and go on, as one that is stopped or swapped out. */
  readonly freezes: number;
}

/** Who lies, and how: a kind of faults.ts or attacks.ts. */
export interface Lies {
  readonly share: number;
  readonly kind: string;
}

/** The world of one run. Any of it, and any setting, may vary. */
export interface Scenario extends NetworkModel, Faults {
  readonly peers: number;
  /** Everybody knows everybody and can reach them, and nobody announces itself: for thousands. */
  readonly roster: boolean;
  /** Numbers of an adapter. */
  readonly size: number;
  readonly trainer: string;
  /** Labelled points a peer has, with trainer `logistic`. */
  readonly samples: number;
  /** How unlike peers' labels are, with trainer `logistic`: 0 alike, 1 one class each. */
  readonly skew: number;
  /** Concentration of peers' shares of the classes, with trainer `logistic`; 0: alike. */
  readonly dirichlet: number;
  /** With trainer `lora`: data, gold and all, as in an experiment's file. */
  readonly learning: Partial<Learning>;
  /** Virtual ms of a round's training, uniform; where there are no device classes. */
  readonly trainMs: readonly [number, number];
  /** Classes of devices, dealt to the peers by share, the first first. */
  readonly devices: readonly DeviceClass[];
  readonly stragglers: { readonly share: number; readonly slowdown: number };
  /** The last so many peers come so much later. */
  readonly joiners: number;
  readonly joinMs: number;
  /** Whether every round's adapters are scored, or the last alone. */
  readonly scored: string;
  /** A share of the peers lies, in one way. */
  readonly liars: Lies;
  /** Members made up from outside. */
  readonly strangers: Strangers;
  /** How long a process stands still, at most, and how long a peer is down (virtual ms). */
  readonly freezeMs: number;
  readonly downMs: number;
  /** Virtual time after which faults end and what is open is settled. */
  readonly untilMs: number;
}

export interface DeviceClass {
  readonly name: string;
  readonly share: number;
  /** Virtual ms of one optimiser step, uniform. */
  readonly stepMs: readonly [number, number];
}

export interface ScenarioRun {
  readonly point: Point;
  readonly seed: string;
  readonly scenario: Scenario;
  readonly settings: RunSettings;
}
