/** @file Records drawn together: one row a point and method, means with their spread over seeds, differences seed by seed. */
import { type Confusion, isUneven, sumConfusions } from '../../node/train/score.ts';
import { pointText } from '../points.ts';
import { type ExperimentRecord, type FinalRecord, figuresOf, finalsOf, type RoundRecord, roundsOf } from './records.ts';
import type { ExperimentSpec } from './spec.ts';

export interface Cell {
  readonly mean: number;
  /** Standard deviation over seeds; null with one. */
  readonly spread: number | null;
}

export interface Row {
  readonly point: string;
  readonly method: string;
  /** In the order of COLUMNS; null where there is nothing to measure. */
  readonly cells: readonly (Cell | null)[];
  /** Balanced accuracy of the peers' own adapters. */
  readonly balanced: Cell | null;
  /** Figures of the peers' own adapters minus the reference row's, seed by seed; null for the reference itself. */
  readonly difference: Cell | null;
  /** Null where nothing is run. */
  readonly megabytes: number | null;
  /** The largest of a run's rounds; null where there is none. */
  readonly crossTerm: Cell | null;
  /** Of the last pseudo-labelled sets. */
  readonly precision: Cell | null;
  /** Of all seeds and the peers' own adapters; null where nothing is run. */
  readonly confusion: { readonly classes: readonly string[]; readonly table: Confusion } | null;
}

/** What of a finished run is compared. */
export const COLUMNS: readonly { readonly title: string; readonly of: (record: FinalRecord) => number | null }[] = [
  { title: 'peers, mean', of: (r) => figuresOf(r).mean },
  { title: 'worst peer', of: (r) => figuresOf(r).worst },
  { title: 'average adapter', of: (r) => figuresOf(r).average },
  { title: 'best round', of: (r) => figuresOf(r).bestRound },
];

/** The row of what needs no model: the test texts' most frequent class for everything. */
export const MAJORITY = 'majority class';

export interface Summary {
  /** What the figures are: shares that are right, or loss a token. */
  readonly measure: 'accuracy' | 'loss';
  readonly rows: readonly Row[];
  /** What differences are taken from: a method at each point, or one point; null where there is one row only. */
  readonly reference: string | null;
  /** Whether some class has far more test texts than another. */
  readonly isUneven: boolean;
}

/** In the order of the experiment. With several methods the last is the reference at each point, else the first point is. */
export function summarise(spec: ExperimentSpec, records: readonly ExperimentRecord[]): Summary {
  const finals = finalsOf(records);
  const points = [...new Set(finals.map((r) => pointText(r.point)))];
  const byMethod = spec.methods.length > 1;
  const reference = byMethod ? spec.methods.at(-1)! : (points[0] ?? null);
  const of = (point: string, method: string): FinalRecord[] =>
    finals.filter((r) => pointText(r.point) === point && r.method === method);
  const isOfClasses = finals.every((r) => r.accuracy !== null);
  const rows = points.flatMap((point) =>
    spec.methods.flatMap((method): Row[] => {
      const group = of(point, method);
      if (group.length === 0) return [];
      const against = byMethod ? of(point, reference!) : of(reference!, method);
      const last = group.flatMap((final) => lastRound(records, final) ?? []);
      return [
        {
          point,
          method,
          cells: COLUMNS.map((column) => cellOf(group.flatMap((r) => column.of(r) ?? []))),
          balanced: cellOf(group.flatMap((r) => r.balanced ?? [])),
          difference: against[0] === group[0] ? null : differenceOf(group, against),
          megabytes: group.reduce((sum, r) => sum + r.bytes, 0) / group.length / 1e6,
          crossTerm: cellOf(group.flatMap((final) => largestCrossTerm(records, final) ?? [])),
          precision: cellOf(last.flatMap((r) => r.precision ?? [])),
          confusion: isOfClasses
            ? { classes: group[0]!.classes, table: sumConfusions(group.map((r) => r.confusion)) }
            : null,
        },
      ];
    }),
  );
  const majorities = points.map((point) => {
    const here = finals.filter((r) => pointText(r.point) === point);
    return isOfClasses ? [majorityRow(point, here, byMethod ? of(point, reference!) : [])] : [];
  });
  return {
    measure: isOfClasses ? 'accuracy' : 'loss',
    rows: points.flatMap((point, i) => [...majorities[i]!, ...rows.filter((row) => row.point === point)]),
    reference: rows.length > 1 ? reference : null,
    isUneven: finals.some((r) => isUneven(r.testCounts)),
  };
}

/** Always answering one class, by the test texts of each seed: what every method should be above. */
function majorityRow(point: string, finals: readonly FinalRecord[], against: readonly FinalRecord[]): Row {
  const bySeed = [...new Map(finals.map((r) => [r.seed, r])).values()];
  const share = cellOf(bySeed.flatMap((r) => r.accuracy?.majority ?? []));
  const pairs = bySeed.flatMap((r) =>
    against.filter(({ seed }) => seed === r.seed).map((other) => [r, other] as const),
  );
  return {
    point,
    method: MAJORITY,
    // Every peer would answer alike; there is no adapter and there are no rounds.
    cells: COLUMNS.map((_, i) => (i < 2 ? share : null)),
    balanced: cellOf(bySeed.map((r) => 1 / r.testCounts.filter((count) => count > 0).length)),
    difference: cellOf(pairs.map(([r, other]) => r.accuracy!.majority - other.accuracy!.mean)),
    megabytes: null,
    crossTerm: null,
    precision: null,
    confusion: null,
  };
}

function largestCrossTerm(records: readonly ExperimentRecord[], { key }: FinalRecord): number | null {
  const terms = roundsOf(records).flatMap((r) => (r.key === key ? (r.crossTerm ?? []) : []));
  return terms.length > 0 ? Math.max(...terms) : null;
}

function lastRound(records: readonly ExperimentRecord[], { key }: FinalRecord): RoundRecord | undefined {
  return roundsOf(records).findLast((r) => r.key === key);
}

/** Over the seeds both have, of what the peers end with. */
function differenceOf(group: readonly FinalRecord[], against: readonly FinalRecord[]): Cell | null {
  return cellOf(
    group.flatMap((record) => {
      const other = against.find(({ seed }) => seed === record.seed);
      return other ? [figuresOf(record).mean - figuresOf(other).mean] : [];
    }),
  );
}

/** Mean and standard deviation; null of nothing. */
export function cellOf(values: readonly number[]): Cell | null {
  if (values.length === 0) return null;
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / Math.max(1, values.length - 1);
  return { mean, spread: values.length > 1 ? Math.sqrt(variance) : null };
}
