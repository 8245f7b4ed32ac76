/** @file An experiment's records as a table with spread over seeds, learning curves, and accuracy against bytes: Markdown and one HTML page. */

import { lineChart, type Series } from './chart.ts';
import type { ExperimentRecord, FinalRecord, RoundRecord } from './experiment.ts';
import { METHODS } from './methods.ts';
import type { ExperimentSpec } from './spec.ts';

interface Cell {
  readonly mean: number;
  /** Standard deviation over seeds; null with one. */
  readonly spread: number | null;
  readonly count: number;
}

interface Row {
  readonly point: string;
  readonly method: string;
  readonly cells: readonly Cell[];
  readonly megabytes: number;
}

const COLUMNS: readonly { readonly title: string; readonly of: (record: FinalRecord) => number }[] = [
  { title: 'peers, mean', of: (r) => r.accuracy.mean },
  { title: 'worst peer', of: (r) => r.accuracy.worst },
  { title: 'average adapter', of: (r) => r.accuracy.average },
  { title: 'best round', of: (r) => r.accuracy.bestRound },
];

/** One row a point and method, in the order of the experiment. */
export function summarise(records: readonly ExperimentRecord[]): Row[] {
  const finals = records.filter((r): r is FinalRecord => r.type === 'final');
  const groups = new Map<string, FinalRecord[]>();
  for (const record of finals) {
    const key = `${pointText(record.point)}\n${record.method}`;
    groups.set(key, [...(groups.get(key) ?? []), record]);
  }
  return [...groups].map(([key, group]) => {
    const [point, method] = key.split('\n') as [string, string];
    const cells = COLUMNS.map(({ of }) => cellOf(group.map(of)));
    return { point, method, cells, megabytes: group.reduce((sum, r) => sum + r.bytes, 0) / group.length / 1e6 };
  });
}

export function markdownReport(spec: ExperimentSpec, records: readonly ExperimentRecord[], command: string): string {
  const rows = summarise(records);
  const varied = rows.some((row) => row.point !== '');
  const finals = records.filter((r): r is FinalRecord => r.type === 'final');
  const base = finals.flatMap((r) => r.accuracy.uncalibrated ?? []);
  const head = [...(varied ? ['point'] : []), 'method', ...COLUMNS.map((c) => c.title), 'MB sent'];
  const seeds = new Set(finals.map((r) => r.seed)).size;
  return [
    `## ${spec.name}`,
    '',
    spec.about,
    '',
    `\`${command}\``,
    '',
    `${seeds} paired seeds, ${finals[0]?.testExamples ?? 0} test texts, ${finals[0]?.steps || finals.find((r) => r.steps)?.steps || 0} optimiser steps a learner; % right, mean ± standard deviation over seeds.${base.length ? ` The base without its label prior taken off: ${percent(cellOf(base))}.` : ''}`,
    '',
    `| ${head.join(' | ')} |`,
    `|${head.map(() => '---').join('|')}|`,
    ...rows.map(
      (row) =>
        `| ${[...(varied ? [row.point] : []), row.method, ...row.cells.map(percent), row.megabytes.toFixed(2)].join(' | ')} |`,
    ),
    '',
  ].join('\n');
}

/** The same with pictures, as one file that needs nothing else. */
export function htmlReport(spec: ExperimentSpec, records: readonly ExperimentRecord[], command: string): string {
  const rows = summarise(records);
  const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const cells = (tag: string, items: readonly string[]): string =>
    `<tr>${items.map((item) => `<${tag}>${escaped(item)}</${tag}>`).join('')}</tr>`;
  const head = ['point', 'method', ...COLUMNS.map((c) => c.title), 'MB sent'];
  const body = rows
    .map((row) => cells('td', [row.point, row.method, ...row.cells.map(percent), row.megabytes.toFixed(2)]))
    .join('\n');
  const used = [...new Set(rows.map((row) => row.method))]
    .map((method) => cells('td', [method, METHODS[method]?.about ?? '']))
    .join('\n');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(spec.name)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 980px; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: right; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; } code { background: #f3f3f3; padding: .1rem .3rem; } svg { max-width: 100%; }
</style></head><body>
<h1>${escaped(spec.name)}</h1><p>${escaped(spec.about)}</p><p><code>${escaped(command)}</code></p>
<table>${cells('th', head)}${body}</table>
<h2>Development accuracy of the average adapter, round by round</h2>
${learningCurves(records)}
<h2>Accuracy against bytes sent</h2>
${accuracyAgainstBytes(records)}
<h2>Methods</h2><table>${used}</table>
</body></html>
`;
}

function learningCurves(records: readonly ExperimentRecord[]): string {
  const rounds = records.filter((r): r is RoundRecord => r.type === 'round');
  return seriesBy(rounds, (round) => [round.round + 1, 100 * round.development])
    .map(([point, series]) => lineChart({ title: point, x: 'round', y: '% right', series }))
    .join('\n');
}

function accuracyAgainstBytes(records: readonly ExperimentRecord[]): string {
  const rounds = records.filter((r): r is RoundRecord => r.type === 'round' && r.bytes > 0);
  return seriesBy(rounds, (round) => [Math.log10(round.bytes / 1e6), 100 * round.development])
    .map(([point, series]) => lineChart({ title: point, x: 'log10 of MB sent by all', y: '% right', series }))
    .join('\n');
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

function cellOf(values: readonly number[]): Cell {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / Math.max(1, values.length - 1);
  return { mean, spread: values.length > 1 ? Math.sqrt(variance) : null, count: values.length };
}

function percent({ mean, spread }: Cell): string {
  return spread === null ? (100 * mean).toFixed(1) : `${(100 * mean).toFixed(1)} ± ${(100 * spread).toFixed(1)}`;
}

function pointText(point: Readonly<Record<string, unknown>>): string {
  return Object.entries(point)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}
