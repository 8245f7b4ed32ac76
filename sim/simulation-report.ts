/** @file Scenarios' results as a table over seeds, disagreement by round beside the spectral bound, and the graphs: Markdown and one HTML page. */
import { drawGraph, drawOf } from '../protocol/neighbours.ts';
import { circleGraph, lineChart } from './chart.ts';
import { boundOf } from './graph.ts';
import { escaped, htmlRow, markdownSection } from './markup.ts';
import { pointText } from './points.ts';
import { RUN_ID, type SimulationResult } from './simulate.ts';
import type { Simulated } from './simulation-records.ts';

/** Rounds and peers whose graphs are drawn, at most. */
const [DRAWN_ROUNDS, DRAWN_PEERS] = [12, 200];

const COLUMNS: readonly { readonly title: string; readonly of: (group: readonly SimulationResult[]) => string }[] = [
  { title: 'rounds to 1e-3', of: (g) => median(g.map((r) => r.roundsToThousandth)) },
  { title: 'by the spectrum', of: (g) => median(g.map((r) => of(r.contraction, (c) => boundOf(c, 1e-3)))) },
  { title: 'spectral gap', of: (g) => median(g.map((r) => of(r.contraction, (c) => 1 - c))) },
  { title: 'diameter', of: (g) => median(g.map((r) => r.diameter)) },
  { title: 'apart at the end', of: (g) => median(g.map((r) => r.apart)) },
  { title: 'drift of the mean', of: (g) => median(g.map((r) => r.drift)) },
  { title: 'loss of the mean', of: (g) => median(g.map((r) => r.loss)) },
  { title: 'of peers', of: (g) => median(g.map((r) => r.lossOfPeers)) },
  { title: 'of the worst', of: (g) => median(g.map((r) => r.lossOfWorst)) },
  { title: 'finished', of: (g) => `${g.reduce((sum, r) => sum + r.finished, 0)}` },
  { title: 'restarts', of: (g) => `${g.reduce((sum, r) => sum + r.restarts, 0)}` },
  { title: 'adopted', of: (g) => `${g.reduce((sum, r) => sum + r.adopted, 0)}` },
  { title: 'given up', of: (g) => `${g.reduce((sum, r) => sum + r.abandoned, 0)}` },
  { title: 'virtual s', of: (g) => median(g.map((r) => r.virtualMs / 1000)) },
  { title: 'bytes a peer and round', of: (g) => median(g.map((r) => r.bytesPerPeerRound)) },
];

function rowsOf(all: readonly Simulated[]): string[][] {
  const points = [...new Set(all.map(({ run }) => pointText(run.point)))];
  return points.map((point) => {
    const group = all.filter(({ run }) => pointText(run.point) === point).map(({ result }) => result);
    return [point, ...COLUMNS.map((column) => column.of(group))];
  });
}

const HEAD = ['point', ...COLUMNS.map((column) => column.title)];

export function simulationMarkdown(
  spec: { name: string; about: string },
  all: readonly Simulated[],
  command: string,
): string {
  const seeds = new Set(all.map(({ run }) => run.seed)).size;
  const footing = `${seeds} seeds; medians, counts summed. Trace of all runs: ${tracesOf(all)}.`;
  return markdownSection({ ...spec, command, footing, head: HEAD, rows: rowsOf(all) });
}

/** One digest of every run's trace, in order. */
function tracesOf(all: readonly Simulated[]): string {
  let sum = 0;
  for (const { result } of all) sum = (Math.imul(sum, 31) + Number.parseInt(result.trace, 16)) >>> 0;
  return sum.toString(16).padStart(8, '0');
}

export function simulationHtml(
  spec: { name: string; about: string },
  all: readonly Simulated[],
  command: string,
): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${spec.name}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px; } th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; } code { background: #f3f3f3; padding: .1rem .3rem; } figure svg { display: none; } figure svg.shown { display: block; }
</style></head><body>
<h1>${spec.name}</h1><p>${escaped(spec.about)}</p><p><code>${escaped(command)}</code></p>
<table>${htmlRow('th', HEAD)}${rowsOf(all)
    .map((row) => htmlRow('td', row))
    .join('\n')}</table>
<h2>Disagreement by round</h2>
${disagreementChart(all)}
<h2>Loss by round</h2>
${lossChart(all)}
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

/** The first seed of every point, and the slope its spectrum foretells. */
function disagreementChart(all: readonly Simulated[]): string {
  const first = all.filter(({ run }) => run.seed === all[0]?.run.seed);
  const series = first.flatMap(({ run, result }) => {
    const name = pointText(run.point) || run.seed;
    const measured = result.rounds.filter((r) => r.apart > 0).map((r) => [r.round + 1, Math.log10(r.apart)] as const);
    const slope = Math.log10(Math.max(result.contraction ?? 0, 1e-12));
    const last = measured.at(-1);
    const bound = last && result.contraction ? [[0, 0] as const, [last[0], last[0] * slope] as const] : [];
    return [
      { name, points: measured },
      { name: `${name}, by the spectrum`, points: bound },
    ];
  });
  return lineChart({ title: '', x: 'round', y: 'log10 of disagreement', series });
}

/** The first seed of every point where something is learned: the mean of the peers, and the worst of them. */
function lossChart(all: readonly Simulated[]): string {
  const first = all.filter(({ run }) => run.seed === all[0]?.run.seed && run.scenario.trainer !== 'none');
  const series = first.flatMap(({ run, result: { rounds } }) => {
    const name = pointText(run.point) || run.seed;
    return [
      { name: `${name}, mean`, points: rounds.map((r) => [r.round + 1, r.lossOfPeers] as const) },
      { name: `${name}, worst peer`, points: rounds.map((r) => [r.round + 1, r.lossOfWorst] as const) },
    ];
  });
  return series.length === 0
    ? '<p>Nothing is learned here.</p>'
    : lineChart({ title: '', x: 'round', y: 'loss', series });
}

function graphs(all: readonly Simulated[]): string {
  const first = all.filter(({ run }) => run.seed === all[0]?.run.seed && run.scenario.peers <= DRAWN_PEERS);
  return first
    .map(({ run: { point, scenario, settings } }) => {
      const members = Array.from({ length: scenario.peers }, (_, i) => `peer-${String(i).padStart(5, '0')}`);
      const pictures = Array.from({ length: Math.min(DRAWN_ROUNDS, settings.rounds) }, (_, round) =>
        circleGraph(
          `${pointText(point)}, round ${round}`,
          drawGraph(drawOf(settings, { runId: RUN_ID, round, members })),
        ),
      );
      return `<figure><input type="range" min="0" max="${pictures.length - 1}" value="0" aria-label="round">${pictures.join('')}</figure>`;
    })
    .join('\n');
}

function of(x: number | null, f: (x: number) => number): number | null {
  return x === null ? null : f(x);
}

function median(values: readonly (number | null)[]): string {
  const known = values.filter((x): x is number => x !== null).sort((a, b) => a - b);
  if (known.length === 0) return '-';
  const middle = known[Math.floor(known.length / 2)]!;
  return Number.isInteger(middle) ? String(middle) : middle.toPrecision(3);
}
