/** @file Figures as people read them, in a terminal as on the page. */

/** A figure with as many digits as tell something. */
export function figureText(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(1).replace('e+', 'e');
  return String(Number(value.toPrecision(size >= 1000 ? 4 : 3)));
}

export function percent(share: number | null | undefined): string {
  return share === null || share === undefined ? '-' : `${(100 * share).toFixed(1)} %`;
}

/** A count and what is counted: `1 peer`, `2 peers`. */
export function counted(count: number, noun: string, nouns = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : nouns}`;
}

/** Seconds in the unit that fits. */
export function durationText(seconds: number): string {
  const [s, m] = [Math.ceil(seconds), Math.ceil(seconds / 60)];
  return s < 120 ? `${s} s` : m < 120 ? `${m} min` : `${(m / 60).toFixed(1)} h`;
}

/** A count of bytes in the unit that fits. */
export function bytesText(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(unit === 0 ? 0 : value < 10 ? 2 : value < 100 ? 1 : 0)} ${units[unit]}`;
}
