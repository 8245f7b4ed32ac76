/**
 * @file Does joining help, told while a run goes on: base, alone and swarm on texts nobody here trains on. Alone trains when the
 * trainer has nothing else to do and for a bounded share of the time, so that it lags behind the swarm.
 */
import type { Exam, Learner } from './objective.ts';
import { type Run, startOf } from './run.ts';
import { figureOf, type Samples } from './score.ts';

/** What is known so far: shares that are right, or loss a token; `at`: after how many rounds. */
export interface Look {
  readonly base: number | null;
  readonly alone: number | null;
  readonly swarm: number | null;
  readonly at: { readonly alone: number; readonly swarm: number };
  readonly samples?: Samples;
}

export interface LooksOptions {
  readonly run: Run;
  readonly learner: Learner;
  readonly exam: Exam;
  /** Names the shuffles. */
  readonly peer: string;
  /** Rounds between two scores of what was trained alone. */
  readonly every: number;
  readonly onLook: (look: Look) => void;
  /** Writes on with base and alone (null: not trained yet), and the swarm's adapter, until the signal aborts; null: there is nothing. Left out: no samples. */
  readonly sample?: (alone: Float32Array | null, signal: AbortSignal) => Promise<Omit<Samples, 'at'> | null>;
  /** Told once, where it cannot go on. */
  readonly onTrouble: (error: unknown) => void;
  /** Of the time, at most, what training and scoring alone take. */
  readonly share?: number;
  /** Ms that only rise. */
  readonly now?: () => number;
}

export interface Looks {
  /** The peer has ended its local steps of a round: the trainer waits for the neighbours, as a rule. Resolves when it is free again. */
  idle(round: number): Promise<void>;
  /** The swarm's figure, of the adapter mixed in a round. */
  swarm(figure: number, round: number): void;
  stop(): void;
}

/** At most this share of the time. */
const SHARE = 0.2;
/** Of the time, at most, what samples take. */
const SAMPLED_SHARE = 0.1;

/** Scores the base at once; the rest as it is told of. */
export function createLooks(options: LooksOptions): Looks {
  const { run, learner, exam, peer, every, onLook, onTrouble, share = SHARE, now = () => performance.now() } = options;
  const stopping = new AbortController();
  let [sample, sampleAt] = [options.sample, 0];
  const { rounds, localSteps: steps } = run.settings;
  const alone = learner.alone;
  const beganAt = now();
  let look: Look = { base: null, alone: null, swarm: null, at: { alone: 0, swarm: 0 } };
  let vector = startOf(run);
  let [trained, busyMs, lastMs, isBusy, isStopped] = [0, 0, 0, false, false];
  const tell = (change: Partial<Look>): void => {
    look = { ...look, ...change };
    if (!isStopped) onLook(look);
  };
  const takeSample = async (): Promise<void> => {
    const at = now();
    if (!sample || at < sampleAt || isStopped || look.swarm === null) return;
    const rounds = look.at;
    const samples = await sample(trained > 0 ? vector : null, stopping.signal);
    if (samples) tell({ samples: { ...samples, at: { ...rounds, alone: trained } } });
    else sample = undefined;
    sampleAt = now() + (now() - at) * (1 / SAMPLED_SHARE - 1);
  };
  const fail = (error: unknown): void => {
    if (!isStopped) onTrouble(error);
    isStopped = true;
  };
  exam.score(run.initial).then((score) => tell({ base: figureOf(score) }), fail);
  const trainOn = async (of: Learner): Promise<void> => {
    vector = (await of.train({ peer, round: trained, vector, steps })).vector;
    trained += 1;
    if (isStopped || (trained > 1 && trained % every !== 0 && trained !== rounds)) return;
    const score = await exam.score(vector);
    tell({ alone: figureOf(score), at: { ...look.at, alone: trained } });
  };
  return {
    idle: async (round) => {
      const isDue = busyMs + lastMs <= share * (now() - beganAt) && trained <= round && trained < rounds;
      if (!alone || isBusy || isStopped || !isDue) return;
      isBusy = true;
      const at = now();
      await trainOn(alone).catch(fail);
      lastMs = now() - at;
      busyMs += lastMs;
      await takeSample().catch(fail);
      isBusy = false;
    },
    swarm: (figure, round) => tell({ swarm: figure, at: { ...look.at, swarm: round } }),
    stop: () => {
      isStopped = true;
      stopping.abort();
    },
  };
}
