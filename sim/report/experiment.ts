/**
 * @file An experiment's records as a table with spread over seeds, learning curves, accuracy (of writing loss a token) against
 * bytes, and who held what: as Markdown, and for the page.
 */

import type { BarsData, ChartData, Report, TableData } from '../../node/page/report.ts';
import { classCounts } from '../../node/train/score.ts';
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
import { type Cell, COLUMNS, cellOf, MAJORITY, type Row, type Summary, summarise } from '../learning/summary.ts';
import { pointText } from '../points.ts';
import { markdownSection, markdownTable } from './markup.ts';
import { overSeeds } from './spread.ts';

/** A column of the table, left out where no row has it. */
interface Column {
  readonly title: string;
  readonly of: (row: Row) => string;
}

/** How figures are written, and what they are called. */
interface Measure {
  readonly cell: (cell: Cell | null) => string;
  readonly unit: string;
  /** Of the pictures' axis, by which figures are multiplied. */
  readonly scale: number;
  readonly name: string;
}

const MEASURES: Readonly<Record<Summary['measure'], Measure>> = {
  accuracy: { cell: percent, unit: '% right', scale: 100, name: 'accuracy' },
  loss: { cell: plain, unit: 'loss a token', scale: 1, name: 'loss a token' },
};

function columnsOf({ rows, reference, isUneven, measure }: Summary): Column[] {
  const { cell: figure } = MEASURES[measure];
  const some = (has: (row: Row) => unknown, column: Column): Column[] => (rows.some(has) ? [column] : []);
  return [
    ...some((row) => row.point, { title: 'point', of: (row) => row.point }),
    { title: 'method', of: (row) => row.method },
    ...COLUMNS.map(({ title }, i): Column => ({ title, of: (row) => figure(row.cells[i]!) })),
    ...(isUneven ? [{ title: 'balanced', of: (row: Row) => percent(row.balanced) }] : []),
    ...some((row) => row.difference, {
      title: `minus ${reference}`,
      of: ({ difference }) => (difference && difference.mean > 0 ? '+' : '') + figure(difference),
    }),
    { title: 'MB sent', of: (row) => row.megabytes?.toFixed(2) ?? NOTHING },
    ...some((row) => row.crossTerm, {
      title: 'largest cross term',
      of: ({ crossTerm }) => crossTerm?.mean.toPrecision(2) ?? NOTHING,
    }),
    ...some((row) => row.precision, { title: 'pseudo precision', of: ({ precision }) => percent(precision) }),
  ];
}

/** Where there was nothing to measure. */
const NOTHING = '-';

/** What the columns and rows mean: beside every table. */
function legendOf({ rows, reference, isUneven, measure }: Summary): string[] {
  const has = (wanted: (row: Row) => unknown): boolean => rows.some(wanted);
  return [
    'peers, mean; worst peer: each peer scored with the adapter it ends with, which is what a user gets',
    "average adapter: the mean of all peers' adapters at the end, which nobody need hold; none where each peer is alone",
    `best round: looking back, the round that scored best on development texts, which are ${measure === 'accuracy' ? 'labelled ' : ''}texts that no peer has: the average adapter of that round (of alone: the mean over the peers' own)`,
    ...(isUneven
      ? [
          "balanced: the mean over classes of the share of each that is right, since the test texts are not as many of each class; of the peers' own adapters",
        ]
      : []),
    ...(has((row) => row.difference) ? [`minus ${reference}: of "peers, mean", seed by seed`] : []),
    ...(measure === 'accuracy' ? [`${MAJORITY}: the test texts' most frequent class for every text`] : []),
    `${NOTHING}: there is nothing to measure or, under "minus", nothing to compare with`,
  ];
}

/** What the texts of each class were taken for, a row a class; none where classes are even. */
function confusionRows({ rows, isUneven }: Summary): { head: string[]; rows: string[][] } | null {
  const scored = rows.flatMap(({ point, method, confusion }) => (confusion ? [{ point, method, ...confusion }] : []));
  if (!isUneven || scored.length === 0) return null;
  const widest = scored.reduce((a, b) => (b.classes.length > a.classes.length ? b : a));
  const isPlain = scored.every(({ classes }) => String(classes) === String(widest.classes));
  const hasPoints = scored.some(({ point }) => point);
  return {
    head: [
      ...(hasPoints ? ['point'] : []),
      ...['method', 'texts of class', 'share of all'],
      ...widest.classes.map((name, y) => `called ${isPlain ? name : `class ${y}`}`),
    ],
    rows: scored.flatMap(({ point, method, classes, table }) => {
      const counts = classCounts(table);
      const all = counts.reduce((a, b) => a + b, 0);
      const share = (part: number, whole: number): string => (whole > 0 ? (100 * (part / whole)).toFixed(1) : NOTHING);
      return table.map((row, y) => [
        ...(hasPoints ? [point] : []),
        ...[method, classes[y]!, share(counts[y]!, all)],
        ...widest.classes.map((_, k) => (k < row.length ? share(row[k]!, counts[y]!) : NOTHING)),
      ]);
    }),
  };
}

const CONFUSION_TITLE = "What the texts of each class were called by the peers' own adapters, %";

/** What the numbers rest on, in one line. */
function footing(spec: ExperimentSpec, records: readonly ExperimentRecord[], { measure }: Summary): string {
  const finals = finalsOf(records);
  const range = (values: readonly number[]): string => {
    const all = [...new Set(values)].sort((a, b) => a - b);
    return all.length > 1 ? `${all[0]} to ${all.at(-1)}` : String(all[0] ?? 0);
  };
  const uncalibrated = [...new Set(finals.map((r) => pointText(r.point)))].flatMap((point) => {
    const cell = cellOf(finals.flatMap((r) => (pointText(r.point) === point ? (r.accuracy?.uncalibrated ?? []) : [])));
    return cell ? [`${percent(cell)}${point && ` (${point})`}`] : [];
  });
  const seeds = new Set(finals.map((r) => r.seed)).size;
  const steps = finals.flatMap((r) => r.steps || []);
  const planned = spec.points.length * spec.methods.length * spec.seeds.length;
  const bases = [...new Set(finals.map((r) => r.hashes.base.slice(0, 12)))];
  return [
    `${counted(seeds, 'paired seed')}, ${range(finals.map((r) => r.testExamples))} test texts, ${steps.length > 0 ? range(steps) : 'no'} optimiser steps a learner, base ${bases.join(', ')}; ${MEASURES[measure].unit}${seeds > 1 ? ', mean ± standard deviation over seeds' : ''}.`,
    ...(finals.length < planned
      ? [`Only ${finals.length} of ${counted(planned, 'run')} are here: a row is of the seeds it has.`]
      : []),
    ...(uncalibrated.length > 0 ? [`The base without its label prior taken off: ${uncalibrated.join(', ')}.`] : []),
    ...(measure === 'accuracy' ? lackOf(finals) : []),
  ].join(' ');
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** Who has nothing to learn from, where some have not. */
function lackOf(finals: readonly FinalRecord[]): string[] {
  const holders = (has: (peer: PeerCounts) => boolean): string[] =>
    [...new Set(finals.map(({ peers }) => `${peers.filter(has).length} of ${peers.length}`))].sort();
  const total = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);
  const isLacking = finals.some(({ peers }) => peers.some(({ gold }) => total(gold) === 0));
  const names = [...new Set(finals.flatMap((r) => r.classes))];
  const lacking = (has: (record: FinalRecord, y: number) => boolean): string[] =>
    names.filter((name) => finals.some((r) => r.classes.includes(name) && !has(r, r.classes.indexOf(name))));
  const unheld = lacking(({ peers }, y) => peers.some(({ gold }) => gold[y]! > 0));
  const untested = lacking(({ testCounts }, y) => testCounts[y]! > 0);
  return [
    ...(isLacking
      ? [
          `Peers with labelled texts: ${holders(({ gold }) => total(gold) > 0).join(', ')}; with any text: ${holders(({ gold, unlabelled }) => total(gold) + total(unlabelled) > 0).join(', ')}.`,
        ]
      : []),
    ...(unheld.length > 0 ? [`In some runs no peer has a labelled text of: ${unheld.join(', ')}.`] : []),
    ...(untested.length > 0
      ? [`In some runs no test text is of: ${untested.join(', ')}; figures are of the rest.`]
      : []),
  ];
}

export function markdownReport(spec: ExperimentSpec, records: readonly ExperimentRecord[], command: string): string {
  const summary = summarise(spec, records);
  const columns = columnsOf(summary);
  const confusion = confusionRows(summary);
  const section = markdownSection({
    ...spec,
    command,
    footing: footing(spec, records, summary),
    head: columns.map((c) => c.title),
    rows: summary.rows.map((row) => columns.map((c) => c.of(row))),
  });
  const legend = legendOf(summary).map((line) => `- ${line}`);
  const tables = confusion ? [`${CONFUSION_TITLE}:`, '', ...markdownTable(confusion.head, confusion.rows), ''] : [];
  return [section, ...legend, '', ...tables].join('\n');
}

/** The same with curves, as the page shows it. */
export function experimentReport(spec: ExperimentSpec, records: readonly ExperimentRecord[], command: string): Report {
  const summary = summarise(spec, records);
  const columns = columnsOf(summary);
  const confusion = confusionRows(summary);
  const measure = MEASURES[summary.measure];
  const methods = [...new Set(summary.rows.map((row) => row.method))];
  const results: TableData = {
    title: 'Results',
    head: columns.map((c) => c.title),
    rows: summary.rows.map((row) => columns.map((c) => c.of(row))),
    notes: legendOf(summary),
  };
  return {
    name: spec.name,
    about: spec.about,
    command,
    footing: footing(spec, records, summary),
    sections: [
      {
        title: 'Results',
        tables: [results, ...(confusion ? [{ title: CONFUSION_TITLE, ...confusion }] : [])],
      },
      {
        title: `Development ${measure.name}, round by round`,
        about: `of the average adapter, of peers alone the mean of their own; ${BAND}`,
        charts: curvesOf(roundsOf(records), measure, {
          x: 'round',
          methods,
          at: (round) => round.round + 1,
        }),
      },
      {
        title: `${measure.name[0]!.toUpperCase()}${measure.name.slice(1)} against bytes sent`,
        about: `as far as rounds have gone; ${BAND}`,
        charts: curvesOf(
          roundsOf(records).filter((r) => r.bytes > 0),
          measure,
          { x: 'MB sent by all', methods, at: (round) => round.bytes / 1e6, isLogX: true },
        ),
      },
      { title: 'Who holds what', about: 'with the first seed', bars: partitions(records) },
      {
        title: 'Methods',
        tables: [
          {
            title: 'Methods',
            head: ['method', 'what it is'],
            rows: methods.flatMap((name) => (METHODS[name] ? [[name, METHODS[name].about]] : [])),
          },
        ],
      },
    ],
  };
}

const BAND = 'lines are means over seeds, bands where those are with 95 % confidence';

interface Curves {
  /** Every chart has the same colours for them. */
  readonly methods: readonly string[];
  readonly at: (round: RoundRecord) => number;
}

/** For each point a chart, in it a line a method. */
function curvesOf(
  rounds: readonly RoundRecord[],
  { unit, scale }: Measure,
  { at, methods, ...axis }: Pick<ChartData, 'x' | 'isLogX'> & Curves,
): ChartData[] {
  const points = [...new Set(rounds.map((r) => pointText(r.point)))];
  return points.map((point) => {
    const here = rounds.filter((r) => pointText(r.point) === point);
    const lines = methods.flatMap((method, tone) => {
      const mine = here.filter((r) => r.method === method);
      const runs = [...new Set(mine.map((r) => r.key))].map((key) =>
        mine.filter((r) => r.key === key).map((r) => [at(r), scale * r.development] as const),
      );
      return runs.length > 0 ? [{ name: method, tone, ...overSeeds(runs) }] : [];
    });
    return { title: point || unit, ...axis, y: unit, lines };
  });
}

/** How texts were dealt, with the first seed; a picture for each way that differs. */
function partitions(records: readonly ExperimentRecord[]): BarsData[] {
  const finals = finalsOf(records);
  const first = finals.filter((r) => r.seed === finals[0]?.seed);
  const drawn = new Map<string, BarsData>();
  for (const { point, peers, seed, classes } of first) {
    const names = classes.length > 0 ? [...classes, 'unknown'] : ['to write like'];
    const used = names.map((_, y) => peers.some((p) => p.gold[y]! + p.unlabelled[y]! > 0));
    const bars = peers.map((p, i) => ({
      name: `peer ${i}`,
      values: names.flatMap((_, y) => (used[y] ? [p.gold[y]!, p.unlabelled[y]!] : [])),
    }));
    const parts = names.flatMap((name, y) => (used[y] ? [`${name}, labelled`, `${name}, unlabelled`] : []));
    const key = JSON.stringify(bars);
    const title = [pointText(point), `seed ${seed}`].filter(Boolean).join(', ');
    if (!drawn.has(key)) drawn.set(key, { title, unit: 'texts', parts, bars });
  }
  return [...drawn.values()];
}

/** Of losses, which differ in the third place. */
function plain(cell: Cell | null): string {
  if (cell === null) return NOTHING;
  const { mean, spread } = cell;
  return spread === null ? mean.toFixed(3) : `${mean.toFixed(3)} ± ${spread.toFixed(3)}`;
}

function percent(cell: Cell | null): string {
  if (cell === null) return NOTHING;
  const { mean, spread } = cell;
  return spread === null ? (100 * mean).toFixed(1) : `${(100 * mean).toFixed(1)} ± ${(100 * spread).toFixed(1)}`;
}
