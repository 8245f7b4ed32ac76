/** @file Bars of several parts, one below the other. */

import { useDark } from '../look.ts';
import type { BarsData } from '../report.ts';
import { toneOf } from './series.ts';

export function Stacked({ title, unit, parts, bars }: BarsData) {
  const isDark = useDark();
  const totals = bars.map(({ values }) => values.reduce((a, b) => a + b, 0));
  const longest = Math.max(1, ...totals);
  const look = (part: number) => ({
    background: toneOf({ tone: Math.floor(part / 2) }, 0, isDark),
    opacity: part % 2 ? 0.4 : 1,
  });
  return (
    <figure class="card stacked" aria-label={title || unit}>
      {title && <h3>{title}</h3>}
      <ul class="key">
        {parts.map((part, i) => (
          <li key={part}>
            <span class="bit" style={look(i)} /> {part}
          </li>
        ))}
      </ul>
      <ul class="rows">
        {bars.map(({ name, values }, row) => (
          <li key={name}>
            <span>{name}</span>
            <span class="track">
              {values.map((value, i) =>
                value === 0 ? null : (
                  <span
                    key={parts[i]}
                    title={`${name}: ${value} ${unit}, ${parts[i]}`}
                    style={{ ...look(i), width: `${(100 * value) / longest}%` }}
                  />
                ),
              )}
            </span>
            <span class="quiet">
              {totals[row]} {unit}
            </span>
          </li>
        ))}
      </ul>
    </figure>
  );
}
