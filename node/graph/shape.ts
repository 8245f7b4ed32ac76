/** @file Arithmetic on shapes whose sizes may be symbols: broadcasting, products, element counts. */
import type { Dim, Shape } from './graph.ts';

/** The shape two operands broadcast to (numpy's rule), or null where they do not fit. */
export function broadcast(a: Shape, b: Shape): Shape | null {
  const rank = Math.max(a.length, b.length);
  const out: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) return null;
    out.push(x === 1 ? y : x);
  }
  return out;
}

/** The product of sizes as one size: `[2, 'B', 3, 'T']` is `6*B*T`. */
export function product(dims: Shape): Dim {
  let count = 1;
  const symbols: string[] = [];
  for (const factor of dims.flatMap((dim) => String(dim).split('*'))) {
    if (/^\d+$/.test(factor)) count *= Number(factor);
    else symbols.push(factor);
  }
  if (symbols.length === 0) return count;
  return [...(count === 1 ? [] : [String(count)]), ...symbols.sort()].join('*');
}

/** The number behind a size once its symbols are bound. Throws on an unbound symbol. */
export function evaluateDim(dim: Dim, bindings: Readonly<Record<string, number>>): number {
  if (typeof dim === 'number') return dim;
  return dim.split('*').reduce((total, factor) => {
    const size = /^\d+$/.test(factor) ? Number(factor) : bindings[factor];
    if (size === undefined) throw new Error(`size ${factor} of ${dim} is not bound`);
    return total * size;
  }, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}
