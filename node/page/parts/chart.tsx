/** @file A chart of lines one can zoom into and read off, by eye, by keyboard or as numbers. */

import { useId, useMemo, useState } from 'preact/hooks';
import { figureText } from '../../figures.ts';
import { useDark } from '../look.ts';
import type { Line } from '../report.ts';

import { chartSvg } from './chart-svg.ts';
import { csvOf, download, fileName } from './download.ts';
import { type Axes, usePlot } from './plot.ts';
import { aligned, isPositive, toneOf } from './series.ts';
import { Wide } from './wide.tsx';

export interface ChartProps extends Axes {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly isLogarithmic?: boolean;
  readonly about?: string;
}

export function Chart(props: ChartProps) {
  const { title, lines, about, x, format = figureText } = props;
  const [isLog, setLog] = useState(props.isLogarithmic ?? false);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [at, setAt] = useState<number | null>(null);
  const isDark = useDark();
  const id = useId();
  const shown = lines.filter(({ points }) => points.length > 0);
  const data = useMemo(() => aligned(shown, isLog), [lines, isLog]);
  const { place, reset, zoom } = usePlot(props, { shown, data, hidden, isLog, isDark, onCursor: setAt });
  if (shown.length === 0) return null;
  const index = at === null ? null : Math.min(at, data.xs.length - 1);
  const valueAt = (i: number): string => {
    const column = data.columns[i]!;
    const y = index === null ? column.findLast((one) => one !== null) : column[index];
    return typeof y === 'number' ? format(y) : '-';
  };
  const toggle = (name: string): void => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    setHidden(next);
  };
  const named = shown.map((line, i) => ({ line, i })).filter(({ line }) => line.name !== '');
  const summary = named.map(({ line, i }) => `${line.name} ${valueAt(i)}`).join('; ');
  return (
    <figure class="chart card" aria-labelledby={id}>
      <figcaption>
        <h3 id={id}>{title}</h3>
        {about && <p class="quiet">{about}</p>}
      </figcaption>
      <div class="plot" ref={place} role="img" aria-label={`${title}: ${summary}`} />
      <ul class="legend">
        {named.map(({ line, i }) => (
          <li key={line.name}>
            <button type="button" aria-pressed={!hidden.has(line.name)} onClick={() => toggle(line.name)}>
              <span class={line.isDashed ? 'swatch dashed' : 'swatch'} style={{ color: toneOf(line, i, isDark) }} />
              {line.name} <span class="value">{valueAt(i)}</span>
            </button>
          </li>
        ))}
        <li class="quiet at">{index === null ? 'latest' : `at ${x} ${figureText(data.xs[index] ?? 0)}`}</li>
      </ul>
      <div class="tools">
        <button type="button" onClick={() => zoom(0.5)} aria-label="zoom in">
          +
        </button>
        <button type="button" onClick={() => zoom(2)} aria-label="zoom out">
          −
        </button>
        <button type="button" onClick={reset}>
          All
        </button>
        {isPositive(lines) && (
          <label>
            <input type="checkbox" checked={isLog} onChange={(event) => setLog(event.currentTarget.checked)} /> log axis
          </label>
        )}
        <span class="grow" />
        <button
          type="button"
          onClick={() =>
            download(
              `${fileName(title)}.svg`,
              'image/svg+xml',
              chartSvg({ ...props, lines: shown, isLogarithmic: isLog }, format),
            )
          }
        >
          SVG
        </button>
        <button type="button" onClick={() => download(`${fileName(title)}.csv`, 'text/csv', csvOf(rowsOf(x, shown)))}>
          CSV
        </button>
      </div>
      <Numbers x={x} lines={shown} format={format} />
    </figure>
  );
}

/** The same as a table, made when it is opened. */
function Numbers({ x, lines, format }: { x: string; lines: readonly Line[]; format: (y: number) => string }) {
  const [isOpen, setOpen] = useState(false);
  const [head = [], ...rows] = isOpen ? rowsOf(x, lines) : [];
  const text = (cell: string | number | null, i: number): string =>
    typeof cell !== 'number' ? '-' : i === 0 ? figureText(cell) : format(cell);
  return (
    <details class="numbers" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Numbers</summary>
      {isOpen && (
        <Wide label="numbers of the chart">
          <table>
            <thead>
              <tr>
                {head.map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row[0]}>
                  {row.map((cell, i) => (
                    <td key={head[i]}>{text(cell, i)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </Wide>
      )}
    </details>
  );
}

function rowsOf(x: string, lines: readonly Line[]): (string | number | null)[][] {
  const { xs, columns, bands } = aligned(lines, false);
  const head = [x, ...lines.flatMap(({ name }, i) => (bands[i] ? [name, `${name}, from`, `${name}, to`] : [name]))];
  const row = (at: number): (number | null)[] =>
    columns.flatMap((column, i) => [column[at]!, ...(bands[i] ? [bands[i][1][at]!, bands[i][0][at]!] : [])]);
  return [head, ...xs.map((value, at) => [value, ...row(at)])];
}
