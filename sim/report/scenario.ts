/** @file Scenarios' results as a table over seeds, disagreement by round beside the spectral bound, and the graphs: Markdown and one HTML page. */
import { drawGraph, drawOf } from '../../protocol/neighbours.ts';
import { pointText } from '../points.ts';
import { boundOf } from '../world/graph.ts';
import type { Simulated } from '../world/records.ts';
import type { ScenarioRun } from '../world/run.ts';
import { RUN_ID, type SimulationResult } from '../world/simulate.ts';
import { attackPicture, attackTable } from './attacks.ts';
import { circleGraph, lineChart } from './chart.ts';
import { escaped, htmlRow, markdownSection } from './markup.ts';

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

export function simulationHtml(spec: Reported, all: readonly Simulated[], command: string): string {
  const crossed = attackTable(all);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${spec.name}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px; } th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; } td { white-space: nowrap; } .wide { overflow-x: auto; } code { background: #f3f3f3; padding: .1rem .3rem; } figure svg { display: none; } figure svg.shown { display: block; }
</style></head><body>
<h1>${spec.name}</h1><p>${escaped(spec.about)}</p><p><code>${escaped(command)}</code></p>
<p>${footingOf(spec, all)}</p>
${crossed ? attackPicture(crossed) : ''}
<div class="wide"><table>${htmlRow('th', HEAD)}${rowsOf(all)
    .map((row) => htmlRow('td', row))
    .join('\n')}</table></div>
<h2>Disagreement by round</h2><p>Dashed: what the graph's spectrum foretells, nothing lost, nothing learned.</p>
${disagreementChart(all)}
<h2>Loss by round</h2>
${lossChart(all)}
<h2>What it takes</h2>
${bytesChart(all)}
<h2>Who mixes with whom</h2>
${graphs(all)}
<script>
for (const figure of document.querySelectorAll('figure')) {
  const [input, ...pictures] = [figure.querySelector('input'), ...figure.querySelectorAll('svg')];
  const show = () => pictures.forEach((picture, i) => picture.classList.toggle('shown', i === Number(input.value)));
  input.addEventListener('input', show);
  show();
}
</script>
</body></html>
`;
}

/** Points of a line, at most: more are thinned out. */
const DRAWN_POINTS = 400;

function firstSeed(all: readonly Simulated[]): Simulated[] {
  return all.filter(({ run }) => run.seed === all[0]?.run.seed);
}

function nameOf({ point, seed }: ScenarioRun): string {
  return pointText(point) || `seed ${seed}`;
}

function thinned<T>(items: readonly T[]): T[] {
  const step = Math.ceil(items.length / DRAWN_POINTS);
  return items.filter((_, i) => i % step === 0 || i === items.length - 1);
}

/** The first seed of every point, and the slope its spectrum foretells. */
function disagreementChart(all: readonly Simulated[]): string {
  const series = firstSeed(all).flatMap(({ run, result }) => {
    const measured = thinned(result.rounds).map((r) => [r.round + 1, r.apart] as const);
    const last = measured.at(-1)?.[0] ?? 0;
    const bound = thinned(Array.from({ length: last + 1 }, (_, round) => round)).map(
      (round) => [round, (result.contraction ?? 0) ** round] as const,
    );
    const shown = bound.filter(([, value]) => value > LEAST_SHOWN);
    return [
      { name: nameOf(run), points: measured },
      { name: '', isForetold: true, points: result.contraction && run.scenario.trainer === 'none' ? shown : [] },
    ];
  });
  return lineChart({ title: '', x: 'round', y: 'disagreement', series, isLogarithmic: true });
}

/** Below it float32 rounds. */
const LEAST_SHOWN = 1e-8;

/** Disagreement where nothing is learned, else what the mean of the peers gets wrong, against what a peer has sent. */
function bytesChart(all: readonly Simulated[]): string {
  const isLearning = all.some(({ run }) => run.scenario.trainer !== 'none');
  const series = firstSeed(all).map(({ run, result }) => ({
    name: nameOf(run),
    points: thinned(result.rounds).map(
      (r) => [r.bytes / run.scenario.peers / 1e6, isLearning ? r.loss : r.apart] as const,
    ),
  }));
  const y = isLearning ? 'loss of the mean' : 'disagreement';
  return lineChart({ title: '', x: 'MB sent by a peer', y, series, isLogarithmic: !isLearning });
}

/** The first seed of every point where something is learned: the peers on average, and the worst of them. */
function lossChart(all: readonly Simulated[]): string {
  const learning = firstSeed(all).filter(({ run }) => run.scenario.trainer !== 'none');
  const series = learning.flatMap(({ run, result }) => [
    {
      name: `${nameOf(run)}, mean`,
      points: thinned(result.rounds).map((r) => [r.round + 1, r.lossOfPeers] as const),
    },
    {
      name: `${nameOf(run)}, worst peer`,
      points: thinned(result.rounds).map((r) => [r.round + 1, r.lossOfWorst] as const),
    },
  ]);
  return series.length === 0
    ? '<p>Nothing is learned here.</p>'
    : lineChart({ title: '', x: 'round', y: 'loss', series });
}

/** The graphs of the first rounds, of each kind once. */
function graphs(all: readonly Simulated[]): string {
  const kinds = new Map<string, ScenarioRun>();
  for (const { run } of firstSeed(all)) {
    if (run.scenario.peers <= DRAWN_PEERS) kinds.set(graphName(run), kinds.get(graphName(run)) ?? run);
  }
  return [...kinds]
    .map(([name, { scenario, settings }]) => {
      const members = Array.from({ length: scenario.peers }, (_, i) => `peer-${String(i).padStart(5, '0')}`);
      const pictures = Array.from({ length: Math.min(DRAWN_ROUNDS, settings.rounds) }, (_, round) =>
        circleGraph(`round ${round}`, drawGraph(drawOf(settings, { runId: RUN_ID, round, members }))),
      );
      return `<figure><figcaption>${escaped(name)}</figcaption><input type="range" min="0" max="${pictures.length - 1}" value="0" aria-label="round">${pictures.join('')}</figure>`;
    })
    .join('\n');
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
