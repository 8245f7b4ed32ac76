/** @file What experiments leave behind: lines of JSON, one a round and one a finished run, in one file a folder. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../node/errors.ts';
import type { Confusion } from '../../node/train/score.ts';
import type { PlannedRun } from './plan.ts';

/** Raised when a figure comes to mean something else, so that old ones are not taken for new ones. */
export const RECORDS_VERSION = 2;

interface Identity {
  /** RECORDS_VERSION of the program that wrote it. */
  readonly version: number;
  /** Of the planned run: the same for the same run, whichever experiment asked for it. */
  readonly key: string;
  readonly method: string;
  readonly seed: string;
  readonly point: PlannedRun['point'];
}

export interface RoundRecord extends Identity {
  readonly type: 'round';
  readonly round: number;
  /** Mean loss of the local steps of the peers that had something to train on; null where none had. */
  readonly loss: number | null;
  /** Accuracy on development texts, of writing loss a token: of the average adapter; where nothing is averaged, the mean over the peers' own. */
  readonly development: number;
  readonly disagreement: number;
  /** How far mean(B) mean(A) was from mean(B A) before the mixing; null where factors are not averaged. */
  readonly crossTerm: number | null;
  /** Sent by all peers so far. */
  readonly bytes: number;
  /** Of the pseudo-labelled sets, means over peers; null where there are none. */
  readonly precision: number | null;
  readonly coverage: number | null;
}

/** What one peer held: texts of each class, and in the last place texts whose class nobody knows. */
export interface PeerCounts {
  readonly gold: readonly number[];
  readonly unlabelled: readonly number[];
}

/** One figure of each on the test texts. */
export interface Figures {
  /** Over the peers' own adapters. */
  readonly mean: number;
  readonly worst: number;
  /** Of the average adapter; null where each peer is alone. */
  readonly average: number | null;
  /** Of the round that was best on development texts, measured as `development` is; null where nothing is trained. */
  readonly bestRound: number | null;
}

export interface FinalRecord extends Identity {
  readonly type: 'final';
  /** Null where nothing is classified. */
  readonly accuracy:
    | (Figures & {
        /** Without the label prior taken off; of the base alone. */
        readonly uncalibrated: number | null;
        /** Of the test texts' most frequent class for every text. */
        readonly majority: number;
      })
    | null;
  /** A token, where writing is learned. */
  readonly loss?: Figures;
  /** Balanced accuracy, the mean over the peers' own adapters; null where nothing is classified. */
  readonly balanced: number | null;
  /** By class, of which there may be none: its name, and its test texts. */
  readonly classes: readonly string[];
  readonly testCounts: readonly number[];
  /** What the peers' own adapters, all together, took the test texts of each class for. */
  readonly confusion: Confusion;
  /** Optimiser steps of one learner. */
  readonly steps: number;
  readonly bytes: number;
  readonly testExamples: number;
  readonly seconds: number;
  readonly peers: readonly PeerCounts[];
  /** Hex sha256 of the base, and of the texts and labels as cut for this seed. */
  readonly hashes: { readonly base: string; readonly data: string };
}

/** What a run's peers ended with: accuracy, or loss a token. */
export function figuresOf({ accuracy, loss }: FinalRecord): Figures {
  return (accuracy ?? loss)!;
}

export type ExperimentRecord = RoundRecord | FinalRecord;

export function finalsOf(records: readonly ExperimentRecord[]): FinalRecord[] {
  return records.filter((r): r is FinalRecord => r.type === 'final');
}

export function roundsOf(records: readonly ExperimentRecord[]): RoundRecord[] {
  return records.filter((r): r is RoundRecord => r.type === 'round');
}

const FILE = 'runs.jsonl';

/** The records of a folder; a line that a crash tore is left out. Throws a UserError on a record of another version. */
export function readRecords(folder: string): ExperimentRecord[] {
  const path = join(folder, FILE);
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line, i) => {
      const record = parseLine(line);
      if (record === null) return [];
      if (record.version !== RECORDS_VERSION)
        throw new UserError(
          'incompatible',
          `${path}:${i + 1}: a record of ${record.version === undefined ? 'no version' : `version ${record.version}`}; wanted ${RECORDS_VERSION}: choose another folder with --out, or remove this file to run it all again`,
        );
      return [record];
    });
}

function parseLine(line: string): ExperimentRecord | null {
  try {
    return line === '' ? null : (JSON.parse(line) as ExperimentRecord);
  } catch {
    return null;
  }
}

/** Adds a run's records in one write, on a line of their own. */
export function appendRecords(folder: string, records: readonly ExperimentRecord[]): void {
  const path = join(folder, FILE);
  const torn = existsSync(path) && !/(^|\n)$/.test(readFileSync(path, 'utf8').slice(-1));
  appendFileSync(path, `${torn ? '\n' : ''}${records.map((r) => `${JSON.stringify(r)}\n`).join('')}`);
}

/** The records of planned runs under this plan's points: two points that come to the same run share its records. */
export function recordsOf(runs: readonly PlannedRun[], records: readonly ExperimentRecord[]): ExperimentRecord[] {
  const byKey = new Map<string, Map<string, ExperimentRecord>>();
  for (const record of records) {
    const known = byKey.get(record.key) ?? new Map<string, ExperimentRecord>();
    known.set(record.type === 'round' ? String(record.round) : 'final', record);
    byKey.set(record.key, known);
  }
  return runs.flatMap(({ key, point }) =>
    [...(byKey.get(key)?.values() ?? [])].map((record) => ({ ...record, point })),
  );
}
