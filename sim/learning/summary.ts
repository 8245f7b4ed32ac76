/** @file Records drawn together: one row a point and method, means with their spread over seeds, differences seed by seed. */
import { pointText } from '../points.ts';
import { type ExperimentRecord, type FinalRecord, finalsOf, type RoundRecord, roundsOf } from './records.ts';
import type { ExperimentSpec } from './spec.ts';

export interface Cell {
  readonly mean: number;
  /** Standard deviation over seeds; null with one. */
  readonly spread: number | null;
}

export interface Row {
  readonly point: string;
  readonly method: string;
  /** In the order of COLUMNS. */
  readonly cells: readonly Cell[];
  /** The average adapter's accuracy minus the reference row's, seed by seed; null for the reference itself. */
  readonly difference: Cell | null;
  readonly megabytes: number;
  /** The largest of a run's rounds; null where there is none. */
  readonly crossTerm: Cell | null;
  /** Of the last pseudo-labelled sets. */
  readonly precision: Cell | null;
}

/** What of a finished run is compared. */
export const COLUMNS: readonly { readonly title: string; readonly of: (record: FinalRecord) => number }[] = [
  { title: 'peers, mean', of: (r) => r.accuracy.mean },
  { title: 'worst peer', of: (r) => r.accuracy.worst },
  { title: 'average adapter', of: (r) => r.accuracy.average },
  { title: 'best round', of: (r) => r.accuracy.bestRound },
];

export interface Summary {
  readonly rows: readonly Row[];
  /** What differences are taken from: a method at each point, or one point; null where there is one row only. */
  readonly reference: string | null;
}

/** In the order of the experiment. With several methods the last is the reference at each point, else the first point is. */
export function summarise(spec: ExperimentSpec, records: readonly ExperimentRecord[]): Summary {
  const finals = finalsOf(records);
  const points = [...new Set(finals.map((r) => pointText(r.point)))];
  const byMethod = spec.methods.length > 1;
  const reference = byMethod ? spec.methods.at(-1)! : (points[0] ?? null);
  const of = (point: string, method: string): FinalRecord[] =>
    finals.filter((r) => pointText(r.point) === point && r.method === method);
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
          cells: COLUMNS.map((column) => cellOf(group.map(column.of))!),
          difference: against[0] === group[0] ? null : differenceOf(group, against),
          megabytes: group.reduce((sum, r) => sum + r.bytes, 0) / group.length / 1e6,
          crossTerm: cellOf(group.flatMap((final) => largestCrossTerm(records, final) ?? [])),
          precision: cellOf(last.flatMap((r) => r.precision ?? [])),
        },
      ];
    }),
  );
  return { rows, reference: rows.length > 1 ? reference : null };
}

function largestCrossTerm(records: readonly ExperimentRecord[], { key }: FinalRecord): number | null {
  const terms = roundsOf(records).flatMap((r) => (r.key === key ? (r.crossTerm ?? []) : []));
  return terms.length > 0 ? Math.max(...terms) : null;
}

function lastRound(records: readonly ExperimentRecord[], { key }: FinalRecord): RoundRecord | undefined {
  return roundsOf(records).findLast((r) => r.key === key);
}

/** Over the seeds both have. */
function differenceOf(group: readonly FinalRecord[], against: readonly FinalRecord[]): Cell | null {
  return cellOf(
    group.flatMap((record) => {
      const other = against.find(({ seed }) => seed === record.seed);
      return other ? [record.accuracy.average - other.accuracy.average] : [];
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
