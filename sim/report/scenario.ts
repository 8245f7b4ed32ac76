/** @file Scenarios' results as a table over seeds, disagreement by round beside the spectral bound, and the graphs: as Markdown, and for the page. */
import type { ChartData, GraphData, Line, Report } from '../../node/page/report.ts';
import { drawGraph, drawOf } from '../../protocol/neighbours.ts';
import { pointText } from '../points.ts';
import { boundOf } from '../world/graph.ts';
import type { Simulated } from '../world/records.ts';
import type { ScenarioRun } from '../world/run.ts';
import { RUN_ID, type SimulationResult } from '../world/simulate.ts';
import { attackTable } from './attacks.ts';
import { markdownSection } from './markup.ts';
import { overSeeds } from './spread.ts';

/** Rounds and peers whose graphs are drawn, at most. */
const [DRAWN_ROUNDS, DRAWN_PEERS] = [12, 200];

const COLUMNS: readonly { readonly title: string; readonly of: (group: readonly SimulationResult[]) => string }[] = [
  // Who never came so close took longer than any that did.
  { title: 'rounds to 1e-3', of: (g) => median(g.map((r) => r.roundsToThousandth ?? Number.POSITIVE_INFINITY)) },
  {
    title: 'by the spectrum',
    of: (g) =>
      isInParts(g)
        ? 'never'
        : g.every(isExact)
          ? 'exact'
          : median(g.map((r) => of(r.contraction, (c) => boundOf(c, 1e-3)))),
  },
  { title: 'spectral gap', of: (g) => median(g.map((r) => of(r.contraction, (c) => 1 - c))) },
  { title: 'diameter', of: (g) => (g.every(startsInParts) ? 'in parts' : median(g.map((r) => r.diameter))) },
  { title: 'apart at the end', of: (g) => median(g.map((r) => r.apart)) },
  { title: 'drift of the mean', of: (g) => median(g.map((r) => r.drift)) },
  { title: 'loss of the mean', of: (g) => median(g.map((r) => r.loss)) },
  { title: 'of peers', of: (g) => median(g.map((r) => r.lossOfPeers)) },
  { title: 'of the worst', of: (g) => median(g.map((r) => r.lossOfWorst)) },
  { title: 'finished', of: (g) => `${g.reduce((sum, r) => sum + r.finished, 0)}` },
  { title: 'restarts', of: (g) => `${g.reduce((sum, r) => sum + r.restarts, 0)}` },
  { title: 'adopted', of: (g) => `${g.reduce((sum, r) => sum + r.adopted, 0)}` },
  { title: 'asked out of', of: (g) => `${g.reduce((sum, r) => sum + (r.cancelled ?? 0), 0)}` },
  { title: 'given up', of: (g) => `${g.reduce((sum, r) => sum + r.abandoned, 0)}` },
  { title: 'virtual s', of: (g) => median(g.map((r) => r.virtualMs / 1000)) },
  { title: 'bytes a peer and round', of: (g) => median(g.map((r) => r.bytesPerPeerRound)) },
];

/** Whether all of a group's graphs stay, in parts: differences between those are never forgotten. */
function isInParts(group: readonly SimulationResult[]): boolean {
  return group.every(({ contraction }) => contraction !== null && boundOf(contraction, 1e-3) === null);
}

/** Whether some rounds together average to the last digit, of which the spectrum does not say how many; one round does where all meet. */
function isExact({ contraction, diameter }: SimulationResult): boolean {
  return contraction === 0 && diameter !== 1;
}

/** Whether the first round's graph is in parts, whose diameter is Infinity, and null once it was written. */
function startsInParts({ contraction, diameter }: SimulationResult): boolean {
  return contraction !== null && (diameter === null || !Number.isFinite(diameter));
}

function rowsOf(all: readonly Simulated[]): string[][] {
  const points = [...new Set(all.map(({ run }) => pointText(run.point)))];
  return points.map((point) => {
    const group = all.filter(({ run }) => pointText(run.point) === point).map(({ result }) => result);
    return [point, ...COLUMNS.map((column) => column.of(group))];
  });
}

const HEAD = ['point', ...COLUMNS.map((column) => column.title)];

/** What a report is of: the runs that were asked for, of which some may not be there. */
interface Reported {
  readonly name: string;
  readonly about: string;
  readonly runs: readonly unknown[];
}

export function simulationMarkdown(spec: Reported, all: readonly Simulated[], command: string): string {
  const crossed = attackTable(all);
  const table = crossed ?? { head: HEAD, rows: rowsOf(all) };
  return markdownSection({ ...spec, command, footing: footingOf(spec, all, crossed ? 'means' : MEDIANS), ...table });
}

const MEDIANS = 'medians, counts summed';

function footingOf({ runs }: Reported, all: readonly Simulated[], over = MEDIANS): string {
  const seeds = new Set(all.map(({ run }) => run.seed)).size;
  const part = all.length < runs.length ? ` Only ${all.length} of ${runs.length} runs are here.` : '';
  return `${seeds} seed${seeds === 1 ? '' : 's'}; ${over}.${part} Trace of all runs: ${tracesOf(all)}.`;
}

/** One digest of every run's trace, in order. */
function tracesOf(all: readonly Simulated[]): string {
  let sum = 0;
  for (const { result } of all) sum = (Math.imul(sum, 31) + Number.parseInt(result.trace, 16)) >>> 0;
  return sum.toString(16).padStart(8, '0');
}

/** The same with curves and graphs, as the page shows it. */
export function simulationReport(spec: Reported, all: readonly Simulated[], command: string): Report {
  const crossed = attackTable(all);
  const isLearning = all.some(({ run }) => run.scenario.trainer !== 'none');
  const charts = (chart: ChartData): ChartData[] =>
    chart.lines.some(({ points }) => points.length > 0) ? [chart] : [];
  return {
    name: spec.name,
    about: spec.about,
    command,
    footing: footingOf(spec, all),
    sections: [
      {
        title: 'Results',
        tables: [
          ...(crossed ? [{ title: 'Attacks against rules', ...crossed, isShaded: true }] : []),
          { title: 'Points', head: HEAD, rows: rowsOf(all) },
        ],
      },
      {
        title: 'Disagreement by round',
        about: `in units of the first; dashed: what the graph's spectrum foretells, nothing lost, nothing learned; ${BAND}`,
        charts: charts({
          title: 'disagreement',
          x: 'round',
          y: 'disagreement',
          isLogarithmic: true,
          lines: groupsOf(all).flatMap((group, tone): Line[] => {
            const foretold = foretoldOf(group[0]!);
            const line = { name: nameOf(group[0]!.run), tone, ...curveOf(group, (r) => [r.round + 1, r.apart], true) };
            return [line, ...(foretold.length > 0 ? [{ name: '', tone, isDashed: true, points: foretold }] : [])];
          }),
        }),
      },
      {
        title: 'Loss by round',
        ...(isLearning
          ? { about: `of the peers on average, and of the worst of them; ${BAND}` }
          : { about: 'Nothing is learned here.' }),
        charts: charts({
          title: 'loss',
          x: 'round',
          y: 'loss',
          lines: groupsOf(all.filter(({ run }) => run.scenario.trainer !== 'none')).flatMap((group, tone): Line[] => [
            { name: `${nameOf(group[0]!.run)}, mean`, tone, ...curveOf(group, (r) => [r.round + 1, r.lossOfPeers]) },
            {
              name: `${nameOf(group[0]!.run)}, worst peer`,
              ...{ tone, isDashed: true, points: curveOf(group, (r) => [r.round + 1, r.lossOfWorst]).points },
            },
          ]),
        }),
      },
      {
        title: 'What it takes',
        about: BAND,
        charts: charts({
          title: isLearning ? 'loss of the mean, by what a peer has sent' : 'disagreement, by what a peer has sent',
          x: 'MB sent by a peer',
          y: isLearning ? 'loss of the mean' : 'disagreement',
          isLogarithmic: !isLearning,
          lines: groupsOf(all).map((group, tone) => {
            const { peers } = group[0]!.run.scenario;
            const at = (r: Round): [number, number] => [r.bytes / peers / 1e6, isLearning ? r.loss : r.apart];
            return { name: nameOf(group[0]!.run), tone, ...curveOf(group, at, !isLearning) };
          }),
        }),
      },
      { title: 'Who mixes with whom', graphs: graphs(all) },
    ],
  };
}

const BAND = 'lines are means over seeds, bands where those are with 95 % confidence';

type Round = SimulationResult['rounds'][number];

/** The seeds of each point together. */
function groupsOf(all: readonly Simulated[]): Simulated[][] {
  const groups = new Map<string, Simulated[]>();
  for (const one of all) groups.set(pointText(one.run.point), [...(groups.get(pointText(one.run.point)) ?? []), one]);
  return [...groups.values()];
}

function nameOf({ point }: ScenarioRun): string {
  return pointText(point) || 'peers';
}

function curveOf(
  group: readonly Simulated[],
  at: (round: Round) => readonly [number, number],
  isLogarithmic = false,
): Pick<Line, 'points' | 'band'> {
  return overSeeds(
    group.map(({ result }) => result.rounds.map(at)),
    isLogarithmic,
  );
}

/** Below it float32 rounds. */
const LEAST_SHOWN = 1e-8;

/** The slope that a graph's spectrum foretells, as far as it can be seen. */
function foretoldOf({ run, result: { contraction, rounds } }: Simulated): [number, number][] {
  if (!contraction || run.scenario.trainer !== 'none') return [];
  return Array.from({ length: rounds.length + 1 }, (_, round): [number, number] => [
    round,
    contraction ** round,
  ]).filter(([, value]) => value > LEAST_SHOWN);
}

/** The graphs of the first rounds, of each kind once. */
function graphs(all: readonly Simulated[]): GraphData[] {
  const kinds = new Map<string, ScenarioRun>();
  for (const { run } of all.filter((one) => one.run.seed === all[0]?.run.seed))
    if (run.scenario.peers <= DRAWN_PEERS) kinds.set(graphName(run), kinds.get(graphName(run)) ?? run);
  return [...kinds].map(([title, { scenario, settings }]) => {
    const members = Array.from({ length: scenario.peers }, (_, i) => `peer-${String(i).padStart(5, '0')}`);
    const rounds = Array.from({ length: Math.min(DRAWN_ROUNDS, settings.rounds) }, (_, round) =>
      drawGraph(drawOf(settings, { runId: RUN_ID, round, members })),
    );
    return { title, rounds };
  });
}

function graphName({ scenario, settings: { schedule, degree, redraw } }: ScenarioRun): string {
  return `${scenario.peers} peers, ${schedule}, degree ${degree}, redraw ${redraw}`;
}

function of(x: number | null, f: (x: number) => number | null): number | null {
  return x === null ? null : f(x);
}

function median(values: readonly (number | null)[]): string {
  const known = values.filter((x): x is number => x !== null).sort((a, b) => a - b);
  if (known.length === 0) return '-';
  const middle = known[Math.floor(known.length / 2)]!;
  if (middle === Number.POSITIVE_INFINITY) return '-';
  return Number.isInteger(middle) ? String(middle) : middle.toPrecision(3);
}
