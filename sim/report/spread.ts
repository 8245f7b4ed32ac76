/** @file Curves over seeds: the mean, and where it lies with 95 % confidence (Student's t). */
import type { Line } from '../../node/page/report.ts';

/** Two-sided 95 % quantiles of Student's t by degrees of freedom, from 1; beyond, the normal distribution's. */
const QUANTILES = [
  12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
];
const NORMAL = 1.96;

/** Points of a line, at most: more are thinned out. */
const MAX_POINTS = 400;

type Point = readonly [x: number, y: number];

/**
 * One line of several runs: of the points at the same place in each, means of x and y, and a band of y. Where `isLogarithmic`,
 * of the logarithms of y, since errors there are factors.
 */
export function overSeeds(runs: readonly (readonly Point[])[], isLogarithmic = false): Pick<Line, 'points' | 'band'> {
  const [into, back] = isLogarithmic ? [Math.log, Math.exp] : [(y: number) => y, (y: number) => y];
  const length = Math.max(0, ...runs.map((points) => points.length));
  const points: Point[] = [];
  const band: [number, number, number][] = [];
  for (const i of thinned(length)) {
    const here = runs.flatMap((all) => {
      const point = all[i];
      return point && Number.isFinite(point[1]) && (!isLogarithmic || point[1] > 0) ? [point] : [];
    });
    if (here.length === 0) continue;
    const x = meanOf(here.map((point) => point[0]));
    const ys = here.map((point) => into(point[1]));
    const mean = meanOf(ys);
    points.push([x, back(mean)]);
    if (ys.length < 2) continue;
    const deviation = Math.sqrt(ys.reduce((sum, y) => sum + (y - mean) ** 2, 0) / (ys.length - 1));
    const reach = ((QUANTILES[ys.length - 2] ?? NORMAL) * deviation) / Math.sqrt(ys.length);
    band.push([x, back(mean - reach), back(mean + reach)]);
  }
  return band.length > 0 ? { points, band } : { points };
}

/** Places from 0, the last among them. */
function thinned(length: number): number[] {
  const step = Math.max(1, Math.ceil(length / MAX_POINTS));
  return Array.from({ length }, (_, i) => i).filter((i) => i % step === 0 || i === length - 1);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
