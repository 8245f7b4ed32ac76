/** @file A plot in an element, made anew where its looks change and fed where only its points do; the one door to uPlot. */

import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { figureText } from '../../figures.ts';
import 'uplot/dist/uPlot.min.css';
import type { Line } from '../report.ts';

import { type aligned, toneOf } from './series.ts';

export interface Axes {
  /** What the axes are, with units. */
  readonly x: string;
  readonly y: string;
  /** Whether x is in powers of ten. */
  readonly isLogX?: boolean;
  readonly format?: (y: number) => string;
  readonly height?: number;
}

export interface Drawn {
  readonly shown: readonly Line[];
  readonly data: ReturnType<typeof aligned>;
  readonly hidden: ReadonlySet<string>;
  readonly isLog: boolean;
  readonly isDark: boolean;
  readonly onCursor: (index: number | null) => void;
}

const [HEIGHT, LEAST_WIDTH] = [250, 200];
/** Steps between whole numbers. */
const WHOLE = [1, 10, 100, 1000, 1e4, 1e5, 1e6].flatMap((power) => [power, 2 * power, 5 * power]);
const FONT = '12px system-ui, sans-serif';

export function usePlot(axes: Axes, drawn: Drawn) {
  const { shown, data } = drawn;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const isZoomed = useRef(false);
  const columns = shown.flatMap((_, i) => [data.columns[i]!, ...(data.bands[i] ?? [])]);
  const table = [data.xs, ...columns] as uPlot.AlignedData;
  const { hidden, isLog, isDark } = drawn;
  const looks = shown.map(({ name, isDashed, tone }, i) => [name, isDashed, tone, data.bands[i] !== null]);
  const { x, y, isLogX } = axes;
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const size = (): { width: number; height: number } => {
      return { width: Math.max(LEAST_WIDTH, element.clientWidth), height: axes.height ?? HEIGHT };
    };
    const made = new uPlot({ ...size(), ...optionsOf(axes, drawn, getComputedStyle(element)) }, table, element);
    made.over.addEventListener('mouseup', () => {
      isZoomed.current = made.select.width > 0 || isZoomed.current;
    });
    made.over.addEventListener('dblclick', () => {
      isZoomed.current = false;
    });
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize(size()));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [JSON.stringify([looks, [...hidden], isLog, isDark, isLogX, x, y])]);
  useEffect(() => plot.current?.setData(table, !isZoomed.current), [data]);
  return {
    place,
    reset: (): void => {
      isZoomed.current = false;
      if (plot.current) plot.current.setData(plot.current.data, true);
    },
    zoom: (factor: number): void => {
      const { min, max } = plot.current?.scales.x ?? {};
      if (typeof min !== 'number' || typeof max !== 'number') return;
      isZoomed.current = true;
      const [middle, half] = [(min + max) / 2, ((max - min) / 2) * factor];
      plot.current?.setScale('x', { min: middle - half, max: middle + half });
    },
  };
}

function optionsOf(
  { x, y, isLogX, format = figureText }: Axes,
  { shown, data, hidden, isLog, isDark, onCursor }: Drawn,
  style: CSSStyleDeclaration,
): Omit<uPlot.Options, 'width' | 'height'> {
  const [ink, grid] = [style.getPropertyValue('--ink-soft'), style.getPropertyValue('--line')];
  const bands: uPlot.Band[] = [];
  const series: uPlot.Series[] = [{}];
  for (const [i, line] of shown.entries()) {
    const stroke = toneOf(line, i, isDark);
    const show = !hidden.has(line.name);
    series.push({
      ...{ label: line.name, stroke, width: line.isDashed ? 1.25 : 2, show, spanGaps: true },
      ...(line.isDashed ? { dash: [5, 4] } : {}),
      points: { show: line.points.length < 40, size: 5 },
    });
    if (!data.bands[i]) continue;
    bands.push({ series: [series.length, series.length + 1], fill: `${stroke}2b` });
    const edge: uPlot.Series = { stroke: 'transparent', width: 0, show, spanGaps: true, points: { show: false } };
    series.push(edge, edge);
  }
  const axis = {
    stroke: ink,
    grid: { stroke: grid, width: 1 },
    ticks: { stroke: grid, width: 1 },
    font: FONT,
    labelFont: FONT,
  };
  // On a logarithmic axis labels that would stand too close are null.
  const ticks = (text: (value: number) => string) => (_: uPlot, all: (number | null)[]) =>
    all.map((value) => (value === null ? '' : text(value)));
  // There is no round one and a half.
  const whole = !isLogX && data.xs.every(Number.isInteger) ? { incrs: WHOLE } : {};
  return {
    series,
    bands,
    legend: { show: false },
    scales: {
      x: { time: false, ...(isLogX ? { distr: 3, range: (_, min, max) => [min, max] } : {}) },
      y: { distr: isLog ? 3 : 1 },
    },
    axes: [
      { ...axis, ...whole, label: x, labelSize: 22, size: 32, values: ticks(figureText) },
      { ...axis, label: y, labelSize: 22, size: 62, values: ticks(format) },
    ],
    cursor: { drag: { x: true, y: true, uni: 40 }, focus: { prox: 24 } },
    focus: { alpha: 0.4 },
    hooks: { setCursor: [(self) => onCursor(self.cursor.idx ?? null)] },
  };
}
