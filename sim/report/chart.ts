/** @file Line charts, stacked bars and graphs of peers as SVG text: axes, a few ticks, a legend; nothing else. */
import { escaped } from './markup.ts';

export interface Series {
  readonly name: string;
  /** What the series before it should do: dashed, in its colour, without a line in the legend. */
  readonly isForetold?: boolean;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LineChart {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  /** Powers of ten up the y axis; points that are not positive are left out. */
  readonly isLogarithmic?: boolean;
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [980, 320, 52, 400, 28, 40];
/** Okabe and Ito's palette, told apart by colour-blind eyes too. */
const COLOURS = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#000000',
  '#8a6d3b',
  '#7b3294',
  '#777777',
];

/** The chart, or nothing where there is no point. */
export function lineChart({ title, x, y, series: given, isLogarithmic = false }: LineChart): string {
  const series = isLogarithmic ? given.map(logarithms) : given;
  const points = series.flatMap((s) => s.points);
  if (points.length === 0) return '';
  const [xs, ys] = [bounds(points.map((p) => p[0])), bounds(points.map((p) => p[1]))];
  const px = (v: number): string => (LEFT + ((v - xs[0]) / (xs[1] - xs[0])) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const py = (v: number): string =>
    (HEIGHT - BOTTOM - ((v - ys[0]) / (ys[1] - ys[0])) * (HEIGHT - TOP - BOTTOM)).toFixed(1);
  const text = isLogarithmic ? (v: number): string => `1e${v}` : short;
  const grid = (isLogarithmic ? powers(ys) : ticks(ys)).map(
    (v) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${py(v)}" y2="${py(v)}" stroke="#e5e5e5"/><text x="${LEFT - 6}" y="${py(v)}" text-anchor="end" dominant-baseline="middle">${text(v)}</text>`,
  );
  const marks = ticks(xs).map(
    (v) => `<text x="${px(v)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${short(v)}</text>`,
  );
  let row = -1;
  const lines = series.map((s) => {
    if (!s.isForetold) row += 1;
    const colour = COLOURS[row % COLOURS.length]!;
    const path = s.points.map(([a, b]) => `${px(a)},${py(b)}`).join(' ');
    const line = `<polyline points="${path}" fill="none" stroke="${colour}"`;
    if (s.isForetold) return `${line} stroke-width="1.5" stroke-dasharray="4 4"/>`;
    const at = TOP + 8 + 18 * row;
    const label = `<text x="${WIDTH - RIGHT + 26}" y="${at}" dominant-baseline="middle">${escaped(s.name)}</text>`;
    return `${line} stroke-width="2"/><line x1="${WIDTH - RIGHT + 8}" x2="${WIDTH - RIGHT + 22}" y1="${at}" y2="${at}" stroke="${colour}" stroke-width="3"/>${label}`;
  });
  const height = Math.max(HEIGHT, TOP + 18 * (row + 2));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" font-family="system-ui, sans-serif" font-size="12" role="img">`,
    `<text x="${LEFT}" y="16" font-weight="bold">${escaped(title)}</text>`,
    ...grid,
    ...marks,
    `<text x="${(WIDTH - RIGHT + LEFT) / 2}" y="${HEIGHT - 6}" text-anchor="middle">${escaped(x)}</text>`,
    `<text x="14" y="${HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 ${HEIGHT / 2})">${escaped(y)}</text>`,
    ...lines,
    '</svg>',
  ].join('\n');
}

export interface StackedBars {
  readonly title: string;
  readonly x: string;
  /** What the parts of a bar stand for; the second of a pair is drawn paler. */
  readonly parts: readonly string[];
  readonly bars: readonly { readonly name: string; readonly values: readonly number[] }[];
}

const BAR = 18;

/** Horizontal bars, each of several parts, or nothing where there is none. */
export function stackedBars({ title, x, parts, bars }: StackedBars): string {
  const longest = Math.max(0, ...bars.map((bar) => bar.values.reduce((a, b) => a + b, 0)));
  if (longest === 0) return '';
  const height = TOP + BAR * Math.max(bars.length, parts.length) + BOTTOM;
  const scale = (WIDTH - LEFT - RIGHT) / longest;
  const fill = (part: number): string =>
    `fill="${COLOURS[Math.floor(part / 2) % COLOURS.length]}" fill-opacity="${part % 2 ? 0.35 : 1}"`;
  const rows = bars.map(({ name, values }, i) => {
    let at = 0;
    const y = TOP + BAR * i;
    const cells = values.map((value, part) => {
      const cell = `<rect x="${(LEFT + at * scale).toFixed(1)}" y="${y + 2}" width="${(value * scale).toFixed(1)}" height="${BAR - 4}" ${fill(part)}/>`;
      at += value;
      return value > 0 ? cell : '';
    });
    return `<text x="${LEFT - 6}" y="${y + BAR / 2}" text-anchor="end" dominant-baseline="middle">${escaped(name)}</text>${cells.join('')}`;
  });
  const marks = ticks([0, longest]).map(
    (v) =>
      `<text x="${(LEFT + v * scale).toFixed(1)}" y="${height - BOTTOM + 16}" text-anchor="middle">${short(v)}</text>`,
  );
  const legend = parts.map(
    (part, i) =>
      `<rect x="${WIDTH - RIGHT + 10}" y="${TOP + BAR * i + 3}" width="12" height="12" ${fill(i)}/><text x="${WIDTH - RIGHT + 28}" y="${TOP + BAR * i + 9}" dominant-baseline="middle">${escaped(part)}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" font-family="system-ui, sans-serif" font-size="12" role="img">`,
    `<text x="${LEFT}" y="16" font-weight="bold">${escaped(title)}</text>`,
    ...rows,
    ...marks,
    `<text x="${(WIDTH - RIGHT + LEFT) / 2}" y="${height - 6}" text-anchor="middle">${escaped(x)}</text>`,
    ...legend,
    '</svg>',
  ].join('\n');
}

/** Peers on a circle, a line for each pair of neighbours. */
export function circleGraph(title: string, graph: readonly (readonly number[])[]): string {
  const size = HEIGHT;
  const radius = size / 2 - TOP;
  const place = (i: number): [string, string] => {
    const angle = (2 * Math.PI * i) / graph.length - Math.PI / 2;
    return [(size / 2 + radius * Math.cos(angle)).toFixed(1), (size / 2 + 8 + radius * Math.sin(angle)).toFixed(1)];
  };
  const lines = graph.flatMap((neighbours, i) =>
    neighbours
      .filter((j) => j > i)
      .map((j) => {
        const [[x1, y1], [x2, y2]] = [place(i), place(j)];
        return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${COLOURS[0]}" stroke-opacity="0.35"/>`;
      }),
  );
  const dots = graph.map((_, i) => {
    const [x, y] = place(i);
    return `<circle cx="${x}" cy="${y}" r="${graph.length > 60 ? 2 : 4}" fill="${COLOURS[1]}"/>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size + 8}" width="${size}" font-family="system-ui, sans-serif" font-size="12" role="img">`,
    `<text x="${size / 2}" y="12" text-anchor="middle" font-weight="bold">${escaped(title)}</text>`,
    ...lines,
    ...dots,
    '</svg>',
  ].join('\n');
}

function bounds(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = high > low ? (high - low) * 0.05 : Math.max(1, Math.abs(high) * 0.05);
  return [low - room, high + room];
}

function logarithms({ points, ...series }: Series): Series {
  return { ...series, points: points.flatMap(([a, b]) => (b > 0 ? [[a, Math.log10(b)] as const] : [])) };
}

/** Whole exponents within the bounds, eight at most. */
function powers([low, high]: readonly [number, number]): number[] {
  const step = Math.ceil((high - low) / 8);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, i) => (first + i) * step);
}

/** Four to eight round numbers within the bounds. */
function ticks([low, high]: readonly [number, number]): number[] {
  const raw = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw)!;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}
