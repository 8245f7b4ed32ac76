/** @file LoRA: y = x W^T + b + (alpha / r) (x A^T) B^T. Hu et al. 2021, arXiv:2106.09685. */
import { UserError } from '../errors.ts';
import type { Graph, Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import type { Architecture, Linear } from './architecture.ts';
import type { ModelTensor } from './tensors.ts';

export interface LoraSpec {
  readonly rank: number;
  readonly alpha: number;
  /** `all`, or names matched against the end of module names: `query,value`. */
  readonly targets: string;
  /** Rank and alpha of the modules that have others than these, by name, as the patterns of PEFT set them. */
  readonly modules?: Readonly<Record<string, LoraSize>>;
}

export interface LoraSize {
  readonly rank: number;
  readonly alpha: number;
}

/** Rank and alpha of a module. */
export function sizeOf(lora: LoraSpec, module: string): LoraSize {
  return lora.modules && Object.hasOwn(lora.modules, module) ? lora.modules[module]! : lora;
}

/** What the update of a module is scaled by. */
export function scaleOf(lora: LoraSpec, module: string): number {
  const { rank, alpha } = sizeOf(lora, module);
  return alpha / rank;
}

/** The linear layers a target list names, in the order of the model. Throws on a name that matches none. */
export function targetedLinears(architecture: Pick<Architecture, 'linears'>, targets: string): Linear[] {
  if (targets === 'all') return [...architecture.linears];
  const names = targets.split(',').map((name) => name.trim());
  const matches = (linear: Linear, name: string): boolean =>
    linear.module === name || linear.module.endsWith(`.${name}`);
  for (const name of names) {
    if (architecture.linears.some((linear) => matches(linear, name))) continue;
    const known = [...new Set(architecture.linears.map((l) => l.module.split('.').at(-1)))].join(', ');
    throw new UserError('usage', `targets: "${name}" matches no linear layer; wanted all, or names such as ${known}`);
  }
  return architecture.linears.filter((linear) => names.some((name) => matches(linear, name)));
}

/** What the layers of query and value are called, in one architecture or the other. */
const QUERY_AND_VALUE = ['query,value', 'q_proj,v_proj', 'q_lin,v_lin', 'Wqkv', 'c_attn'];

/** The layers that get an adapter where nothing else is said: query and value, the pair Hu et al. 2021 recommend. */
export function usualTargets({ linears }: Pick<Architecture, 'linears'>): string {
  const isThere = (name: string): boolean => linears.some(({ module }) => module.endsWith(`.${name}`));
  return QUERY_AND_VALUE.find((names) => names.split(',').every(isThere)) ?? 'all';
}

/** The adapter's tensors: for each target A [r, inputs] and B [outputs, r], one after the other in one vector. */
export function loraTensors(linears: readonly Linear[], lora: LoraSpec): ModelTensor[] {
  let offset = 0;
  const place = (name: string, rows: number, cols: number, factor: 'A' | 'B'): ModelTensor => {
    const tensor = { name, rows, cols, offset, factor };
    offset += rows * cols;
    return tensor;
  };
  return linears.flatMap(({ module, inputs, outputs }) => {
    const { rank } = sizeOf(lora, module);
    return [place(`${module}.lora_A`, rank, inputs, 'A'), place(`${module}.lora_B`, outputs, rank, 'B')];
  });
}

/**
 * A fresh adapter: A uniform in +-1/sqrt(inputs) (Kaiming with a = sqrt 5, as PEFT does), B zero, so the model starts as
 * its base. `random` gives numbers in [0, 1).
 */
export function initialLora(tensors: readonly ModelTensor[], random: () => number): Float32Array {
  const last = tensors.at(-1);
  const adapter = new Float32Array(last ? last.offset + last.rows * last.cols : 0);
  for (const { rows, cols, offset, factor } of tensors) {
    if (factor !== 'A') continue;
    const bound = 1 / Math.sqrt(cols);
    for (let i = 0; i < rows * cols; i++) adapter[offset + i] = (2 * random() - 1) * bound;
  }
  return adapter;
}

/** y + scale (x A^T) B^T, accumulated into y by the second product. x [N, I], A [r, I], B [O, r], y [N, O]. */
export function addLora(g: Graph, terms: { x: Value; a: Value; b: Value; y: Value; scale: number }): Value {
  const { x, a, b, y, scale } = terms;
  return op.Gemm(g, op.Gemm(g, x, a, null, { transB: true }), b, y, { alpha: scale, transB: true });
}
