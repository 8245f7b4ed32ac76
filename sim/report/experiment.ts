/** @file An experiment's records as a table with spread over seeds, learning curves, accuracy against bytes, and who held what: Markdown and one HTML page. */

import { METHODS } from '../learning/methods.ts';
import {
  type ExperimentRecord,
  type FinalRecord,
  finalsOf,
  type PeerCounts,
  type RoundRecord,
  roundsOf,
} from '../learning/records.ts';
import type { ExperimentSpec } from '../learning/spec.ts';
import { type Cell, COLUMNS, cellOf, type Row, type Summary, summarise } from '../learning/summary.ts';
import { pointText } from '../points.ts';
import { lineChart, type Series, stackedBars } from './chart.ts';
import { escaped, htmlRow, markdownSection } from './markup.ts';

/** A column of the table, left out where no row has it. */
interface Column {
  readonly title: string;
  readonly of: (row: Row) => string;
}

function columnsOf({ rows, reference }: Summary): Column[] {
  const some = (has: (row: Row) => unknown, column: Column): Column[] => (rows.some(has) ? [column] : []);
  return [
    ...some((row) => row.point, { title: 'point', of: (row) => row.point }),
    { title: 'method', of: (row) => row.method },
    ...COLUMNS.map(({ title }, i): Column => ({ title, of: (row) => percent(row.cells[i]!) })),
    ...some((row) => row.difference, {
      title: `minus ${reference}`,
      of: ({ difference }) => (difference ? `${difference.mean > 0 ? '+' : ''}${percent(difference)}` : ''),
    }),
    { title: 'MB sent', of: (row) => row.megabytes.toFixed(2) },
    ...some((row) => row.crossTerm, {
      title: 'largest cross term',
      of: ({ crossTerm }) => crossTerm?.mean.toPrecision(2) ?? '',
    }),
    ...some((row) => row.precision, {
      title: 'pseudo precision',
      of: ({ precision }) => (precision ? percent(precision) : ''),
    }),
  ];
}

/** What the numbers rest on, in one line. */
function footing(records: readonly ExperimentRecord[]): string {
  const finals = finalsOf(records);
  const range = (values: readonly number[]): string => {
    const all = [...new Set(values)].sort((a, b) => a - b);
    return all.length > 1 ? `${all[0]} to ${all.at(-1)}` : String(all[0] ?? 0);
  };
  const uncalibrated = [...new Set(finals.map((r) => pointText(r.point)))].flatMap((point) => {
    const cell = cellOf(finals.flatMap((r) => (pointText(r.point) === point ? (r.accuracy.uncalibrated ?? []) : [])));
    return cell ? [`${percent(cell)}${point && ` (${point})`}`] : [];
  });
  const bases = [...new Set(finals.map((r) => r.hashes.base.slice(0, 12)))];
  return [
    `${new Set(finals.map((r) => r.seed)).size} paired seeds, ${range(finals.map((r) => r.testExamples))} test texts, ${range(finals.flatMap((r) => r.steps || []))} optimiser steps a learner, base ${bases.join(', ')}; % right, mean ± standard deviation over seeds.`,
    ...(uncalibrated.length > 0 ? [`The base without its label prior taken off: ${uncalibrated.join(', ')}.`] : []),
    ...lackOf(finals),
  ].join(' ');
}

/** Who has nothing to learn from, where some have not. */
function lackOf(finals: readonly FinalRecord[]): string[] {
  const holders = (has: (peer: PeerCounts) => boolean): string[] =>
    [...new Set(finals.map(({ peers }) => `${peers.filter(has).length} of ${peers.length}`))].sort();
  const total = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);
  const isLacking = finals.some(({ peers }) => peers.some(({ gold }) => total(gold) === 0));
  const classes = Math.max(0, ...finals.map(({ peers }) => peers[0]!.gold.length - 1));
  const missing = Array.from({ length: classes }, (_, y) => y).filter((y) =>
    finals.some(({ peers }) => peers.every(({ gold }) => (gold[y] ?? 0) === 0)),
  );
  return [
    ...(isLacking
      ? [
          `Peers with labelled texts: ${holders(({ gold }) => total(gold) > 0).join(', ')}; with any text: ${holders(({ gold, unlabelled }) => total(gold) + total(unlabelled) > 0).join(', ')}.`,
        ]
      : []),
    ...(missing.length > 0 ? [`No peer has a labelled text of class ${missing.join(', ')} in some runs.`] : []),
  ];
}

export function markdownReport(spec: ExperimentSpec, records: readonly ExperimentRecord[], command: string): string {
  const summary = summarise(spec, records);
  const columns = columnsOf(summary);
  return markdownSection({
    ...spec,
    command,
    footing: footing(records),
    head: columns.map((c) => c.title),
    rows: summary.rows.map((row) => columns.map((c) => c.of(row))),
  });
}

/** The same with pictures, as one file that needs nothing else. */
export function htmlReport(spec: ExperimentSpec, records: readonly ExperimentRecord[], command: string): string {
  const summary = summarise(spec, records);
  const columns = columnsOf(summary);
  const body = summary.rows
    .map((row) =>
      htmlRow(
        'td',
        columns.map((c) => c.of(row)),
      ),
    )
    .join('\n');
  const used = [...new Set(summary.rows.map((row) => row.method))]
    .map((method) => htmlRow('td', [method, METHODS[method]?.about ?? '']))
    .join('\n');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(spec.name)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: right; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; } code { background: #f3f3f3; padding: .1rem .3rem; } svg { max-width: 100%; }
</style></head><body>
<h1>${escaped(spec.name)}</h1><p>${escaped(spec.about)}</p><p><code>${escaped(command)}</code></p>
<p>${escaped(footing(records))}</p>
<table>${htmlRow(
    'th',
    columns.map((c) => c.title),
  )}${body}</table>
<h2>Development accuracy of the average adapter, round by round</h2>
${learningCurves(records)}
<h2>Accuracy against bytes sent</h2>
${accuracyAgainstBytes(records)}
<h2>Who holds what</h2>
${partitions(records)}
<h2>Methods</h2><table>${used}</table>
</body></html>
`;
}

function learningCurves(records: readonly ExperimentRecord[]): string {
  return seriesBy(roundsOf(records), (round) => [round.round + 1, 100 * round.development])
    .map(([point, series]) => lineChart({ title: point, x: 'round', y: '% right', series }))
    .join('\n');
}

function accuracyAgainstBytes(records: readonly ExperimentRecord[]): string {
  const rounds = roundsOf(records).filter((r) => r.bytes > 0);
  return seriesBy(rounds, (round) => [Math.log10(round.bytes / 1e6), 100 * round.development])
    .map(([point, series]) => lineChart({ title: point, x: 'log10 of MB sent by all', y: '% right', series }))
    .join('\n');
}

/** How texts were dealt, with the first seed; a picture for each way that differs. */
function partitions(records: readonly ExperimentRecord[]): string {
  const finals = finalsOf(records);
  const first = finals.filter((r) => r.seed === finals[0]?.seed);
  const drawn = new Map<string, string>();
  for (const { point, peers, seed } of first) {
    const classes = peers[0]!.gold.length;
    const names = Array.from({ length: classes }, (_, y) => (y < classes - 1 ? `class ${y}` : 'unknown'));
    const used = names.map((_, y) => peers.some((p) => p.gold[y]! + p.unlabelled[y]! > 0));
    const bars = peers.map((p, i) => ({
      name: `peer ${i}`,
      values: names.flatMap((_, y) => (used[y] ? [p.gold[y]!, p.unlabelled[y]!] : [])),
    }));
    const parts = names.flatMap((name, y) => (used[y] ? [`${name}, labelled`, `${name}, unlabelled`] : []));
    const key = JSON.stringify(bars);
    const title = [pointText(point), `seed ${seed}`].filter(Boolean).join(', ');
    if (!drawn.has(key)) drawn.set(key, stackedBars({ title, x: 'texts', parts, bars }));
  }
  return [...drawn.values()].join('\n');
}

/** For each point, a series a method: the mean over seeds of what `at` gives at each round. */
function seriesBy(rounds: readonly RoundRecord[], at: (round: RoundRecord) => [number, number]): [string, Series[]][] {
  const points = [...new Set(rounds.map((r) => pointText(r.point)))];
  return points.map((point) => {
    const here = rounds.filter((r) => pointText(r.point) === point);
    const series = [...new Set(here.map((r) => r.method))].map((method): Series => {
      const mine = here.filter((r) => r.method === method);
      const numbers = [...new Set(mine.map((r) => r.round))].sort((a, b) => a - b);
      const points_ = numbers.map((n): [number, number] => {
        const each = mine.filter((r) => r.round === n).map(at);
        return [each.reduce((s, [x]) => s + x, 0) / each.length, each.reduce((s, [, y]) => s + y, 0) / each.length];
      });
      return { name: method, points: points_ };
    });
    return [point, series];
  });
}

function percent({ mean, spread }: Cell): string {
  return spread === null ? (100 * mean).toFixed(1) : `${(100 * mean).toFixed(1)} ± ${(100 * spread).toFixed(1)}`;
}
