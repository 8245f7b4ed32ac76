/**
 * @file Sums of products of thin matrices, and the best product of a given rank: QR of the thin sides, then the singular
 * values of what is left between them. Golub and Van Loan, "Matrix Computations" (4th ed.), sections 5.2 and 8.6.3.
 */

/** A matrix of float64 by columns. */
export interface Columns {
  readonly rows: number;
  readonly columns: readonly Float64Array[];
}

/** What of a vector's length after taking off its part along the others still counts as a direction of its own. */
const NEGLIGIBLE = 1e-12;
const SWEEPS = 60;

/**
 * X = Q R with orthonormal columns of Q, as many as X has rank. Gram-Schmidt, each column made orthogonal twice (Giraud et
 * al. 2005). R is rank x columns(X), by columns.
 */
export function qr(x: Columns): { q: Columns; r: Columns } {
  const basis: Float64Array[] = [];
  const parts = x.columns.map((column) => {
    const rest = Float64Array.from(column);
    const size = length(column);
    const part: number[] = new Array(basis.length).fill(0);
    for (let pass = 0; pass < 2; pass++) {
      for (const [k, direction] of basis.entries()) {
        const along = dot(direction, rest);
        part[k]! += along;
        for (let i = 0; i < rest.length; i++) rest[i]! -= along * direction[i]!;
      }
    }
    const left = length(rest);
    if (left > NEGLIGIBLE * size && basis.length < x.rows) {
      basis.push(rest.map((value) => value / left));
      part.push(left);
    }
    return part;
  });
  const rank = basis.length;
  const columns = parts.map((part) => {
    const full = new Float64Array(rank);
    full.set(part);
    return full;
  });
  return { q: { rows: x.rows, columns: basis }, r: { rows: rank, columns } };
}

/** Singular triplets of a small matrix, the largest value first. One-sided Jacobi (Hestenes 1958). */
export function svd(x: Columns): { u: Float64Array[]; values: number[]; v: Float64Array[] } {
  const n = x.columns.length;
  const u = x.columns.map((column) => Float64Array.from(column));
  const v = Array.from({ length: n }, (_, i) => Float64Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)));
  for (let sweep = 0, turned = true; turned && sweep < SWEEPS; sweep++) {
    turned = false;
    for (let i = 0; i < n; i++) {
      for (let j = i + 1; j < n; j++) turned = orthogonalise(u[i]!, u[j]!, v[i]!, v[j]!) || turned;
    }
  }
  const values = u.map(length);
  const order = values.map((_, i) => i).sort((a, b) => values[b]! - values[a]!);
  return {
    u: order.map((i) => u[i]!.map((value) => (values[i]! > 0 ? value / values[i]! : 0))),
    values: order.map((i) => values[i]!),
    v: order.map((i) => v[i]!),
  };
}

/** Turns two columns until they are at right angles; false where they are already. */
function orthogonalise(a: Float64Array, b: Float64Array, va: Float64Array, vb: Float64Array): boolean {
  const [aa, bb, ab] = [dot(a, a), dot(b, b), dot(a, b)];
  if (Math.abs(ab) <= 1e-15 * Math.sqrt(aa * bb) || ab === 0) return false;
  const zeta = (bb - aa) / (2 * ab);
  const tangent = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
  const cosine = 1 / Math.sqrt(1 + tangent * tangent);
  turn(a, b, cosine, cosine * tangent);
  turn(va, vb, cosine, cosine * tangent);
  return true;
}

function turn(a: Float64Array, b: Float64Array, cosine: number, sine: number): void {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    a[i] = cosine * x - sine * y;
    b[i] = sine * x + cosine * y;
  }
}

/** The singular triplets of sum_k left_k right_k^T, given its columns: left [m, K] and right [n, K]. */
export function productSvd(left: Columns, right: Columns): { u: Float64Array[]; values: number[]; v: Float64Array[] } {
  const [l, r] = [qr(left), qr(right)];
  // L R^T between the two bases: rank(left) x rank(right), by columns.
  const middle: Columns = {
    rows: l.r.rows,
    columns: Array.from({ length: r.r.rows }, (_, j) => {
      const column = new Float64Array(l.r.rows);
      for (const [k, part] of l.r.columns.entries()) {
        const weight = r.r.columns[k]![j]!;
        for (let i = 0; i < column.length; i++) column[i]! += weight * part[i]!;
      }
      return column;
    }),
  };
  const { u, values, v } = svd(middle);
  return { u: u.map((x) => combine(l.q, x)), values, v: v.map((x) => combine(r.q, x)) };
}

/** Q x. */
function combine(q: Columns, x: Float64Array): Float64Array {
  const out = new Float64Array(q.rows);
  for (const [k, column] of q.columns.entries()) for (let i = 0; i < out.length; i++) out[i]! += x[k]! * column[i]!;
  return out;
}

export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function length(a: Float64Array): number {
  return Math.sqrt(dot(a, a));
}
