/** @file A table one can sort by any column, as wide as it needs to be, to be taken along as CSV. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { csvOf, download, fileName } from './download.ts';
import { Wide } from './wide.tsx';

type Value = string | number | null;

export interface Column<T> {
  readonly title: string;
  /** What it means, where the title does not say. */
  readonly about?: string;
  /** What rows are sorted by, and what the CSV holds. */
  readonly value: (row: T) => Value;
  /** What is shown in its place. */
  readonly cell?: (row: T) => ComponentChildren;
  readonly isText?: boolean;
}

interface TableProps<T> {
  readonly title: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
  readonly empty?: string;
  readonly hasFile?: boolean;
}

export function Table<T>({ title, columns, rows, keyOf, empty = 'Nothing yet.', hasFile = true }: TableProps<T>) {
  const [order, setOrder] = useState<{ column: number; isDown: boolean } | null>(null);
  if (rows.length === 0) return <p class="quiet">{empty}</p>;
  const by = order && columns[order.column];
  const sorted = by ? sortBy(rows, by.value, order.isDown) : rows;
  // The first time numbers begin with the largest, texts with the first.
  const turn = (column: number): void =>
    setOrder({ column, isDown: order?.column === column ? !order.isDown : !columns[column]!.isText });
  const sortOf = (column: number) => (order?.column !== column ? 'none' : order.isDown ? 'descending' : 'ascending');
  const save = (): void => {
    const body = sorted.map((row) => columns.map(({ value }) => value(row)));
    download(`${fileName(title)}.csv`, 'text/csv', csvOf([columns.map((c) => c.title), ...body]));
  };
  return (
    <div class="sortable">
      <Wide label={title}>
        <table>
          <thead>
            <tr>
              {columns.map(({ title: name, about, isText }, i) => (
                <th key={name} scope="col" class={isText ? 'text' : ''} aria-sort={sortOf(i)}>
                  <button type="button" title={about ?? `sort by ${name}`} onClick={() => turn(i)}>
                    {name}
                    <span aria-hidden="true">{{ none: '', descending: ' ▾', ascending: ' ▴' }[sortOf(i)]}</span>
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {sorted.map((row) => (
              <tr key={keyOf(row)}>
                {columns.map(({ title: name, value, cell, isText }) => (
                  <td key={name} class={isText ? 'text' : ''}>
                    {cell ? cell(row) : (value(row) ?? '-')}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
      {hasFile && (
        <div class="tools">
          <span class="grow" />
          <button type="button" onClick={save}>
            CSV
          </button>
        </div>
      )}
    </div>
  );
}

/** What is not known comes last, either way. */
function sortBy<T>(rows: readonly T[], value: (row: T) => Value, isDown: boolean): T[] {
  const sign = isDown ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [p, q] = [value(a), value(b)];
    if (p === null || q === null) return Number(p === null) - Number(q === null);
    if (typeof p === 'number' && typeof q === 'number') return sign * (p - q);
    return sign * String(p).localeCompare(String(q), undefined, { numeric: true });
  });
}
