/** @file A chart as an SVG of its own: axes, bands, lines and their names; nothing that moves. */

import { figureText } from '../../figures.ts';
import type { ChartData } from '../report.ts';

import { toneOf } from './series.ts';

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [900, 340, 64, 280, 34, 44];

type Scale = (value: number) => number;
type Place = readonly [x: number, y: number];

/** The whole of it, whatever part is zoomed into. */
export function chartSvg(chart: ChartData, format: (y: number) => string = figureText): string {
  const { title, x, y, lines, isLogarithmic: isLog = false, isLogX = false } = chart;
  const isIn = (a: number, b: number): boolean => (!isLogX || a > 0) && (!isLog || b > 0);
  const drawn = lines.map((line) => ({
    ...line,
    points: line.points.flatMap(([a, b]): Place[] => (b !== null && isIn(a, b) ? [[a, b]] : [])),
    band: (line.band ?? []).filter(([a, low]) => isIn(a, low)),
  }));
  const all = drawn.flatMap(({ points, band }) => [
    ...points,
    ...band.flatMap(([a, l, h]): Place[] => [
      [a, l],
      [a, h],
    ]),
  ]);
  const xs = axisOf(all, 0, isLogX, [LEFT, WIDTH - RIGHT]);
  const ys = axisOf(all, 1, isLog, [HEIGHT - BOTTOM, TOP]);
  const grid = ys.ticks.map((v) => {
    const at = ys.at(v);
    const line = `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at.toFixed(1)}" y2="${at.toFixed(1)}" stroke="#e3e6e8"/>`;
    return line + textAt([LEFT - 6, at + 4], format(v), 'text-anchor="end"');
  });
  const marks = xs.ticks.map((v) => textAt([xs.at(v), HEIGHT - BOTTOM + 16], figureText(v), 'text-anchor="middle"'));
  const place = ([a, b]: Place): string => `${xs.at(a).toFixed(1)},${ys.at(b).toFixed(1)}`;
  const paths = drawn.map((line, i) => {
    const colour = toneOf(line, i, false);
    const upper = line.band.map(([a, , high]) => place([a, high]));
    const lower = line.band.map(([a, low]) => place([a, low])).reverse();
    const band =
      upper.length > 0
        ? `<polygon points="${[...upper, ...lower].join(' ')}" fill="${colour}" fill-opacity="0.15"/>`
        : '';
    const dash = line.isDashed ? ' stroke-dasharray="5 4" stroke-width="1.25"' : ' stroke-width="2"';
    const curve = `<polyline points="${line.points.map(place).join(' ')}" fill="none" stroke="${colour}"${dash}/>`;
    const [row, left] = [TOP + 8 + 18 * i, WIDTH - RIGHT + 12];
    const mark = `<line x1="${left}" x2="${left + 20}" y1="${row}" y2="${row}" stroke="${colour}"${dash}/>`;
    return band + curve + (line.name ? mark + textAt([left + 26, row + 4], line.name) : '');
  });
  const height = Math.max(HEIGHT, TOP + 18 * (lines.length + 1));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, sans-serif" font-size="12" fill="#1c2a26">
<rect width="${WIDTH}" height="${height}" fill="#fff"/>
${textAt([LEFT, 20], title, 'font-weight="bold" font-size="14"')}
${[...grid, ...marks, ...paths].join('\n')}
${textAt([(WIDTH - RIGHT + LEFT) / 2, HEIGHT - 8], x, 'text-anchor="middle"')}
${textAt([16, HEIGHT / 2], y, `text-anchor="middle" transform="rotate(-90 16 ${HEIGHT / 2})"`)}
</svg>
`;
}

function textAt([x, y]: Place, what: string, more = ''): string {
  const plain = what.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${plain}</text>`;
}

/** From values to pixels, and round values to name. */
function axisOf(
  all: readonly Place[],
  of: 0 | 1,
  isLogarithmic: boolean,
  [from, to]: Place,
): { at: Scale; ticks: number[] } {
  const f: Scale = isLogarithmic ? Math.log10 : (v) => v;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const place of all) [low, high] = [Math.min(low, f(place[of])), Math.max(high, f(place[of]))];
  if (all.length === 0) [low, high] = [0, 1];
  const room = high > low ? (high - low) * 0.04 : Math.max(1, Math.abs(high) * 0.05);
  const [first, last] = [low - room, high + room];
  const raw = (last - first) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = isLogarithmic ? Math.max(1, Math.ceil(raw)) : [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw)!;
  const begin = Math.ceil(first / step);
  const count = Math.max(0, Math.floor(last / step) - begin + 1);
  const steps = Array.from({ length: count }, (_, i) => Number(((begin + i) * step).toPrecision(12)));
  return {
    at: (v) => from + ((f(v) - first) / (last - first)) * (to - from),
    ticks: isLogarithmic ? steps.map((s) => 10 ** s) : steps,
  };
}
