/** @file A report of simulations and experiments: one file that needs nothing else. */
import { useEffect, useState } from 'preact/hooks';
import { Chart } from '../parts/chart.tsx';
import { Graph } from '../parts/graph.tsx';
import { Mark } from '../parts/mark.tsx';
import { Stacked } from '../parts/stacked.tsx';
import { Table } from '../parts/table.tsx';
import type { Report, ReportFile, Section, TableData } from '../report.ts';

export function ReportPage({ reports }: ReportFile) {
  const [chosen, setChosen] = useState(() => Math.max(0, placeOf(reports, location.hash)));
  useEffect(() => {
    const hear = (): void => {
      const place = placeOf(reports, location.hash);
      if (place >= 0) setChosen(place);
    };
    addEventListener('hashchange', hear);
    return () => removeEventListener('hashchange', hear);
  }, []);
  const report = reports[chosen];
  return (
    <>
      <header class="top">
        <span class="brand">
          <Mark /> Lorikeet
        </span>
        <nav aria-label="reports">
          {reports.length > 1 &&
            reports.map((one) => (
              <a key={one.name} href={`#${one.name}`} aria-current={one === report ? 'page' : undefined}>
                {one.name}
              </a>
            ))}
        </nav>
        <span class="quiet">report</span>
      </header>
      <main>{report ? <Shown key={report.name} report={report} /> : <p>Nothing to report.</p>}</main>
    </>
  );
}

function placeOf(reports: readonly Report[], hash: string): number {
  return reports.findIndex(({ name }) => name === decodeURIComponent(hash.slice(1)));
}

function Shown({ report: { name, about, command, footing, sections } }: { report: Report }) {
  return (
    <>
      <div class="title">
        <h1>{name}</h1>
      </div>
      {about && <p class="about">{about}</p>}
      <pre class="invite">{command}</pre>
      <p class="quiet about">{footing}</p>
      {sections.map((section) => (
        <Part key={section.title} section={section} />
      ))}
    </>
  );
}

function Part({ section }: { section: Section }) {
  const { title, about, tables = [], charts = [], bars = [], graphs = [] } = section;
  const isEmpty = [tables, charts, bars, graphs].every((all) => all.length === 0);
  return (
    <section class="part" aria-label={title}>
      <h2>{title}</h2>
      {about && <p class="quiet">{about}</p>}
      {isEmpty && <p class="quiet">Nothing to show here.</p>}
      {tables.map((table) => (
        <div class="card" key={table.title}>
          {table.title !== title && <h3>{table.title}</h3>}
          <Rows table={table} />
          {table.notes && (
            <ul class="notes quiet">
              {table.notes.map((note) => (
                <li key={note}>{note}</li>
              ))}
            </ul>
          )}
        </div>
      ))}
      <div class={charts.length + bars.length + graphs.length > 1 ? 'columns' : ''}>
        {charts.map((chart) => (
          <Chart key={chart.title} height={charts.length > 1 ? 260 : 380} {...chart} />
        ))}
        {bars.map((one) => (
          <Stacked key={one.title} {...one} />
        ))}
        {graphs.map((graph) => (
          <Graph key={graph.title} {...graph} />
        ))}
      </div>
    </section>
  );
}

/** The figure a cell begins with; null: none. */
function figureOf(cell: string): number | null {
  const figure = Number.parseFloat(cell.replace(/^\+/, ''));
  return Number.isFinite(figure) ? figure : null;
}

/** Cells that say that there is nothing. */
const NOTHING = ['-', '', 'never', 'exact', 'in parts'];

/** As far as a cell is shaded: what a coin gets right is white, all of it is the darkest. */
const [WHITE, DARK] = [50, 100];

function Rows({ table: { title, head, rows, isShaded = false } }: { table: TableData }) {
  const isUsed = head.map((_, k) => rows.some((row) => row[k] !== '-'));
  const isFigure = head.map((_, k) => rows.every((row) => figureOf(row[k]!) !== null || NOTHING.includes(row[k]!)));
  const shade = (cell: string): number => {
    const figure = figureOf(cell);
    return figure === null ? 0 : Math.round(60 * Math.min(1, Math.max(0, (figure - WHITE) / (DARK - WHITE))));
  };
  const all = head.map((name, k) => ({
    title: name,
    isText: !isFigure[k],
    value: (row: readonly string[]) => (isFigure[k] ? figureOf(row[k]!) : row[k]!),
    cell: (row: readonly string[]) =>
      isShaded && k > 0 ? (
        <span class="shaded" style={{ '--shade': `${shade(row[k]!)}%` }}>
          {row[k]}
        </span>
      ) : (
        row[k]
      ),
  }));
  // A column that says nothing of any row takes room from the others.
  const columns = all.filter((_, k) => isUsed[k]);
  return <Table title={title} columns={columns} rows={rows} keyOf={(row) => row.slice(0, 3).join(' ')} />;
}
