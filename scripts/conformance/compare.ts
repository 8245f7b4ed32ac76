/** @file What a case is judged by: relative errors of numbers, of gradients tensor by tensor, and of an adapter written and read. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writePeft } from '../../node/export/peft.ts';
import type { Architecture } from '../../node/model/architecture.ts';
import type { LoraSpec } from '../../node/model/lora.ts';
import { readPeftConfig, readPeftVector } from '../../node/model/peft.ts';
import type { ModelTensor } from '../../node/model/tensors.ts';

const VALUE_TOLERANCE = 1e-4;
const GRADIENT_TOLERANCE = 1e-3;

export interface Report {
  readonly case: string;
  readonly ok: boolean;
  /** The largest relative error of each kind. */
  readonly errors: Readonly<Record<string, number>>;
  /** The gradient tensor that is furthest off. */
  readonly worstGradient: string;
}

/** The report of a case, by the errors of its values and of its gradients, by tensor. */
export function judge(name: string, errors: Record<string, number>, gradientErrors: Record<string, number>): Report {
  const [worstGradient, gradient] = Object.entries(gradientErrors).sort((a, b) => b[1] - a[1])[0]!;
  const ok = Object.values(errors).every((e) => e <= VALUE_TOLERANCE) && gradient <= GRADIENT_TOLERANCE;
  return { case: name, ok, errors: { ...errors, gradient }, worstGradient };
}

const norm = (x: Float32Array): number => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));

/** ||a - b|| / max(||b||, floor). A shape that differs is as wrong as can be. */
export function relative(a: Float32Array, b: Float32Array, floor = Number.MIN_VALUE): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  const error = norm(a.map((x, i) => x - b[i]!)) / Math.max(norm(b), floor);
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}

/** Errors a tensor; a true gradient of zero is measured against 1e-6 of the global norm. */
export function compareGradients(
  gradient: Float32Array,
  tensors: readonly ModelTensor[],
  wanted: (name: string) => Float32Array,
  kind: string,
): Record<string, number> {
  const global = Math.hypot(...tensors.map((t) => norm(wanted(t.name))));
  return Object.fromEntries(
    tensors.map((t) => {
      const mine = gradient.subarray(t.offset, t.offset + t.rows * t.cols);
      return [`${kind} ${t.name}`, relative(mine, wanted(t.name), 1e-6 * global)];
    }),
  );
}

export async function readBack(
  vector: Float32Array,
  tensors: readonly ModelTensor[],
  { lora, architecture }: { lora: LoraSpec; architecture: Architecture },
): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'lorikeet-conformance-'));
  try {
    await writePeft(folder, { vector, tensors, lora, base: 'conformance', architecture });
    const again = readPeftConfig(folder, architecture.linears);
    if (again.rank !== lora.rank || again.alpha !== lora.alpha) return Number.POSITIVE_INFINITY;
    return relative(readPeftVector(folder, tensors), vector);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
