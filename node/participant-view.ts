/** @file What there is to see of a peer while it takes part, kept up to date by its metrics. */
import type { Exchanged, Metric } from '../protocol/events.ts';
import type { Refusal } from '../protocol/frame.ts';
import type { Peer } from '../protocol/peer.ts';
import type { Comparison } from './chronicle/record.ts';
import type { Way } from './network/ways.ts';
import { type Standing, standingOf } from './standing.ts';
import type { Learner } from './train/objective.ts';
import type { Run } from './train/run.ts';
import type { Score } from './train/score.ts';

/** What there is to see of a peer. */
export interface ParticipantView {
  readonly id: string;
  /** What it calls itself; '': nothing. */
  readonly name: string;
  round: number;
  rounds: number;
  phase: Peer['phase'];
  /** Whether its user has paused it: it begins no further training. */
  isHeld: boolean;
  /** Mean loss of the last local round. */
  loss: number | null;
  /** On development texts, of the last mixed adapter. */
  score: Score | null;
  /** Mean relative distance of the neighbours' adapters. */
  distance: number | null;
  /** How far averaging the factors was from averaging their products. */
  crossTerm: number | null;
  neighbours: number;
  late: number;
  /** Rounds in which training gave numbers that are not finite. */
  diverged: number;
  /** Exchanges given up with peers that are gone for good. */
  abandoned: number;
  /** Whose exchanges were still undecided at the end. */
  undecided: readonly string[];
  /** Pseudo-labelled examples trained on. */
  pseudo: number;
  /** Their share of the unlabelled texts, and of them the share that is right where that is known. */
  coverage: number;
  precision: number | null;
  members: number;
  /** Rounds mixed with whom. */
  mixedWith: Record<string, number>;
  /** Whose adapter it went on with when it came late; null: nobody's. */
  adoptedFrom: string | null;
  /** How many members there are to be while it waits for them. */
  wanted: number;
  standing: Standing;
  /** Whether joining helps, as far as that is known; null: nothing yet. */
  comparison: Comparison | null;
  /** Connections with members, direct ones first. */
  readonly ways: readonly Way[];
  /** What others call themselves, by id; anybody's word. */
  readonly names: Readonly<Record<string, string>>;
  readonly objective: Run['objective'];
  labelled: number;
  unlabelled: number;
  /** Handed to the network so far. */
  readonly sentBytes: number;
  refused: Partial<Record<Refusal, number>>;
}

/** How a peer stands before anything has happened. */
export function createView(
  peer: Peer,
  { learner, name }: { readonly learner: Learner; readonly name: string },
): Omit<ParticipantView, 'ways' | 'names' | 'sentBytes'> {
  return {
    id: peer.id,
    name,
    round: peer.round,
    rounds: peer.settings.rounds + peer.settings.closingRounds,
    phase: peer.phase,
    isHeld: false,
    loss: null,
    score: null,
    distance: null,
    crossTerm: null,
    neighbours: 0,
    late: 0,
    diverged: 0,
    abandoned: 0,
    undecided: [],
    pseudo: 0,
    coverage: 0,
    precision: null,
    members: 1,
    mixedWith: {},
    adoptedFrom: null,
    wanted: peer.settings.minPeers,
    standing: standingOf(peer),
    comparison: null,
    objective: learner.objective,
    labelled: learner.labelled,
    unlabelled: learner.unlabelled,
    refused: {},
  };
}

/** Takes over what a metric says. */
export function noteMetric(view: ParticipantView, metric: Metric, onNotice: (line: string) => void): void {
  switch (metric.type) {
    case 'gathering':
      view.wanted = metric.wanted;
      break;
    case 'trained':
      view.loss = metric.loss;
      break;
    case 'mixed':
      view.neighbours = metric.mixed;
      view.distance = metric.distance;
      view.crossTerm = metric.crossTerm;
      view.late += metric.late;
      countMixed(view, metric.with);
      break;
    case 'skipped':
      onNotice(`the others are at round ${metric.to}: skipped from ${metric.from}`);
      break;
    case 'adopted':
      view.adoptedFrom = metric.from;
      onNotice(`came late to round ${metric.round}: went on with the adapter of ${metric.from}`);
      break;
    case 'abandoned':
      view.abandoned += 1;
      break;
    case 'undecided':
      view.undecided = metric.with;
      break;
    case 'late':
      countMixed(view, metric.with);
      break;
    case 'cancelled':
    case 'crowded':
      break;
    case 'diverged':
      onNotice(`round ${metric.round}: training gave numbers that are not finite; kept the adapter from before`);
      break;
  }
}

function countMixed(view: ParticipantView, exchanged: readonly Exchanged[]): void {
  for (const { id } of exchanged) view.mixedWith[id] = (view.mixedWith[id] ?? 0) + 1;
}
