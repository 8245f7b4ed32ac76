/** @file What a chart draws, and how several lines come to share one axis. */

import type { Line } from '../report.ts';

/** Told apart by colour-blind eyes too, in the light and in the dark. */
const TONES: readonly (readonly [light: string, dark: string])[] = [
  ['#0b7a53', '#3ecf94'],
  ['#c2410c', '#ff9a5c'],
  ['#1d5fae', '#6cb4ff'],
  ['#a03a86', '#f08cd0'],
  ['#8a6400', '#f2c14e'],
  ['#0e7c86', '#5fd6e0'],
  ['#5b4bb5', '#b3a6ff'],
  ['#7a4a21', '#d9a77c'],
  ['#44546a', '#b4c2d6'],
  ['#9b1c31', '#ff8fa0'],
];

export function toneOf(line: Pick<Line, 'tone'>, index: number, isDark: boolean): string {
  return TONES[(line.tone ?? index) % TONES.length]![isDark ? 1 : 0];
}

type Column = (number | null)[];

/** Every x there is, sorted, and each line's y at it; null where it has none. Of bands the upper edge comes first. */
export function aligned(
  lines: readonly Line[],
  isLogarithmic: boolean,
): { xs: number[]; columns: Column[]; bands: ([Column, Column] | null)[] } {
  const xs = [...new Set(lines.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  const shown = (y: number | null | undefined): number | null =>
    typeof y === 'number' && Number.isFinite(y) && (!isLogarithmic || y > 0) ? y : null;
  const columns = lines.map(({ points }) => {
    const at = new Map(points);
    return xs.map((x) => shown(at.get(x)));
  });
  const bands = lines.map(({ band }): [Column, Column] | null => {
    if (!band || band.length === 0) return null;
    const at = new Map(band.map(([x, low, high]) => [x, [low, high] as const]));
    return [xs.map((x) => shown(at.get(x)?.[1])), xs.map((x) => shown(at.get(x)?.[0]))];
  });
  return { xs, columns, bands };
}

/** Whether a logarithmic axis would show anything. */
export function isPositive(lines: readonly Line[]): boolean {
  return lines.some(({ points }) => points.some(([, y]) => y !== null && y > 0));
}
