/** @file Reads PEFT adapter folders (adapter_config.json, adapter_model.safetensors); keys as PEFT 0.21 saves. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { readJsonObject } from '../formats/json.ts';
import { openSafetensors, tensorData } from '../formats/safetensors.ts';
import type { Linear } from './architecture.ts';
import { isUnset } from './fields.ts';
import { type LoraSize, type LoraSpec, targetedLinears } from './lora.ts';
import { atEnd, firstMatches, wholly } from './patterns.ts';
import { elementCount, type ModelTensor } from './tensors.ts';

export const PEFT_CONFIG = 'adapter_config.json';
export const PEFT_WEIGHTS = 'adapter_model.safetensors';

const TASKS = ['SEQ_CLS', 'SEQ_2_SEQ_LM', 'CAUSAL_LM', 'TOKEN_CLS', 'QUESTION_ANS', 'FEATURE_EXTRACTION'];

type Check = (value: unknown) => boolean;
const anything: Check = () => true;
const text: Check = (value) => value === null || typeof value === 'string';
const truth: Check = (value) => value === null || typeof value === 'boolean';
const finite: Check = (value) => value === null || (typeof value === 'number' && Number.isFinite(value));

/**
 * Every field that is understood, or has no bearing on what is computed, with the values for which that is so. Any other is
 * refused unless it says nothing: what a later PEFT adds may change what an adapter means.
 */
const FIELDS: Readonly<Record<string, Check>> = {
  peft_type: (value) => value === 'LORA',
  r: anything, // looked at below, as the next two
  lora_alpha: anything,
  target_modules: anything,
  rank_pattern: anything,
  alpha_pattern: anything,
  use_rslora: truth,
  // How the base keeps its weights, which PEFT finds out for itself.
  fan_in_fan_out: truth,
  // How it was made, and by what.
  task_type: (value) => value === null || TASKS.includes(value as never),
  auto_mapping: anything,
  peft_version: text,
  base_model_name_or_path: text,
  revision: text,
  inference_mode: truth,
  lora_dropout: finite,
  megatron_core: text,
  qalora_group_size: finite,
  eva_config: anything,
  // Starts that leave the base as it is; PiSSA, OLoRA, CorDA and LoftQ change it.
  init_lora_weights: (value) => [true, false, null, 'gaussian', 'eva', 'orthogonal'].includes(value as never),
  bias: (value) => value === 'none' || value === null,
};

/** The key under which PEFT keeps a tensor of ours: `MODULE.lora_A` -> `base_model.model.MODULE.lora_A.weight`. */
export function peftKey(name: string): string {
  return `base_model.model.${name}.weight`;
}

/** What a configuration says of the base's layers, each checked alone. */
interface Said {
  readonly rank: number;
  readonly alpha: number;
  readonly targets: string | readonly string[];
  readonly ranks: Readonly<Record<string, number>>;
  readonly alphas: Readonly<Record<string, number>>;
  readonly isRankStabilised: boolean;
}

/**
 * Reads rank, alpha and targets of an adapter folder, as they are for a base with these layers. Throws a UserError on any field
 * that makes it something else than a plain LoRA.
 */
export function readPeftConfig(folder: string, linears: readonly Linear[]): LoraSpec {
  const path = peftConfigPath(folder);
  const said = readSaid(path, readConfig(folder));
  const targets = targetsOf(path, said.targets, linears);
  const modules = targetedLinears({ linears }, targets).map(({ module }) => module);
  const sizes = sizesOf(path, said, modules);
  const usual = { rank: said.rank, alpha: scaled(said, said) };
  const first = sizes[0]!;
  // Patterns that come to the same for all are as good as none.
  const [{ rank, alpha }, others] = sizes.every((size) => isSame(size, first))
    ? [first, []]
    : [usual, sizes.flatMap((size, i) => (isSame(size, usual) ? [] : [[modules[i]!, size] as const]))];
  return { rank, alpha, targets, ...(others.length > 0 ? { modules: Object.fromEntries(others) } : {}) };
}

const isSame = (a: LoraSize, b: LoraSize): boolean => a.rank === b.rank && a.alpha === b.alpha;

/** Scaled by alpha / sqrt(rank) there where it is rank-stabilised (Kalajdzievski 2023, arXiv:2312.03732), by alpha / rank here. */
function scaled({ isRankStabilised }: Said, { rank, alpha }: LoraSize): number {
  return isRankStabilised ? alpha * Math.sqrt(rank) : alpha;
}

function readSaid(path: string, config: Record<string, unknown>): Said {
  const fail = (problem: string): never => {
    throw new UserError('usage', `${path}: ${problem}`);
  };
  for (const key of ['peft_type', 'r', 'lora_alpha', 'target_modules'])
    if (!(key in config)) fail(`${key} is missing; wanted the configuration of a plain LoRA`);
  for (const [key, value] of Object.entries(config)) {
    const accepts = Object.hasOwn(FIELDS, key) ? FIELDS[key] : undefined;
    if (accepts ? accepts(value) : isUnset(value)) continue;
    const got = JSON.stringify(value)?.slice(0, 80);
    fail(
      `${key} is ${got}, ${accepts ? 'which makes it another kind of adapter' : 'which is not known here'}; wanted a plain LoRA`,
    );
  }
  const rankOf = (name: string, value: unknown): number =>
    typeof value === 'number' && Number.isInteger(value) && value >= 1
      ? value
      : fail(`${name} is ${JSON.stringify(value)}; wanted a positive integer`);
  const alphaOf = (name: string, value: unknown): number =>
    typeof value === 'number' && value > 0 && Number.isFinite(value)
      ? value
      : fail(`${name} is ${JSON.stringify(value)}; wanted a positive number`);
  const pattern = (field: string, of: typeof rankOf): Record<string, number> => {
    const value = config[field] ?? {};
    if (typeof value !== 'object' || Array.isArray(value))
      return fail(`${field} is ${JSON.stringify(value).slice(0, 80)}; wanted an object`);
    const entries = Object.entries(value).map(([key, one]) => [key, of(`${field}.${key.slice(0, 80)}`, one)]);
    return Object.fromEntries(entries);
  };
  const { target_modules: targets } = config;
  const isName = (name: unknown): boolean => typeof name === 'string' && /^[^\s,]+$/.test(name) && name !== 'all';
  const isList = Array.isArray(targets) && targets.length > 0 && targets.every(isName);
  if (!isList && (typeof targets !== 'string' || targets === ''))
    fail(
      `target_modules is ${JSON.stringify(targets)?.slice(0, 80)}; wanted a list of names, a regular expression or "all-linear"`,
    );
  return {
    rank: rankOf('r', config.r),
    alpha: alphaOf('lora_alpha', config.lora_alpha),
    targets: targets as string | string[],
    ranks: pattern('rank_pattern', rankOf),
    alphas: pattern('alpha_pattern', alphaOf),
    isRankStabilised: config.use_rslora === true,
  };
}

/** The targets as the settings of a run have them. A name that fits no layer is passed over, as in PEFT. */
function targetsOf(path: string, said: Said['targets'], linears: readonly Linear[]): string {
  const modules = linears.map(({ module }) => module);
  if (typeof said !== 'string') {
    const fits = (name: string): boolean => modules.some((module) => module === name || module.endsWith(`.${name}`));
    const fitting = said.filter(fits);
    if (fitting.length > 0) return fitting.join(',');
    throw new UserError(
      'incompatible',
      `${path}: target_modules is ${JSON.stringify(said).slice(0, 200)}, which matches no linear layer of the base, such as ${modules[0]}`,
    );
  }
  if (said.toLowerCase() === 'all-linear') return 'all';
  const found = firstMatches([wholly(said)], modules, `${path}: target_modules`);
  const matched = modules.filter((_, i) => found[i] === 0);
  if (matched.length === 0)
    throw new UserError(
      'incompatible',
      `${path}: target_modules is ${JSON.stringify(said).slice(0, 200)}, which matches no linear layer of the base, such as ${modules[0]}`,
    );
  return shortest(matched, modules);
}

/** The last parts of the names where they say as much as the whole. */
function shortest(matched: readonly string[], modules: readonly string[]): string {
  if (matched.length === modules.length) return 'all';
  const ends = [...new Set(matched.map((module) => module.split('.').at(-1)!))];
  const named = modules.filter((module) => ends.some((end) => module === end || module.endsWith(`.${end}`)));
  return (named.length === matched.length ? ends : matched).join(',');
}

/** Rank and alpha of each module: of the first pattern that matches it, else the usual ones. */
function sizesOf(path: string, said: Said, modules: readonly string[]): LoraSize[] {
  const valuesOf = (field: string, pattern: Readonly<Record<string, number>>, usual: number): number[] => {
    const keys = Object.keys(pattern);
    if (keys.length === 0) return modules.map(() => usual);
    return firstMatches(keys.map(atEnd), modules, `${path}: ${field}`).map((i) => (i < 0 ? usual : pattern[keys[i]!]!));
  };
  const ranks = valuesOf('rank_pattern', said.ranks, said.rank);
  const alphas = valuesOf('alpha_pattern', said.alphas, said.alpha);
  return ranks.map((rank, i) => ({ rank, alpha: scaled(said, { rank, alpha: alphas[i]! }) }));
}

export interface PeftOrigin {
  /** The base it was trained on, as PEFT names it; null where it does not say. */
  readonly base: string | null;
  /** The kind of task it was trained for; null where it does not say. */
  readonly task: string | null;
}

/** Where an adapter comes from, of a config that `readPeftConfig` takes. */
export function readPeftOrigin(folder: string): PeftOrigin {
  const { base_model_name_or_path: base, task_type: task } = readConfig(folder);
  return { base: typeof base === 'string' && base !== '' ? base : null, task: typeof task === 'string' ? task : null };
}

export function peftConfigPath(folder: string): string {
  return join(folder, PEFT_CONFIG);
}

function readConfig(folder: string): Record<string, unknown> {
  if (!existsSync(peftConfigPath(folder)))
    throw new UserError(
      'usage',
      `${folder}: not an adapter folder, it has no ${PEFT_CONFIG}; wanted what "lorikeet export" or PEFT writes`,
    );
  return readJsonObject(peftConfigPath(folder), 'the configuration of a PEFT adapter');
}

/** The adapter of a folder as one vector in the given layout. Throws on a missing tensor, another shape, or a left-over. */
export function readPeftVector(folder: string, tensors: readonly ModelTensor[]): Float32Array {
  const isThere = (name: string): boolean => existsSync(join(folder, name));
  if (!isThere(PEFT_WEIGHTS))
    throw new UserError(
      'usage',
      `${folder}: ${isThere('adapter_model.bin') ? 'its weights are in adapter_model.bin' : 'holds no weights'}; wanted ${PEFT_WEIGHTS} (save_pretrained of PEFT writes it)`,
    );
  const file = openSafetensors(join(folder, PEFT_WEIGHTS));
  // Before there is room for them: a rank can be any number.
  for (const { name, rows, cols } of tensors) {
    const entry = file.tensors.get(peftKey(name));
    if (!entry || String(entry.shape) === `${rows},${cols}`) continue;
    throw new UserError(
      'incompatible',
      `${file.path}: ${peftKey(name)} is [${entry.shape}]; this base wants [${rows},${cols}]`,
    );
  }
  const known = new Set(tensors.map(({ name }) => peftKey(name)));
  for (const key of known)
    if (!file.tensors.has(key))
      throw new UserError('usage', `${file.path}: tensor ${key} is missing; is this the right model?`);
  const other = [...file.tensors.keys()].find((key) => !known.has(key));
  if (other !== undefined)
    throw new UserError('incompatible', `${file.path}: ${other} fits no targeted layer of this base`);
  const vector = new Float32Array(elementCount(tensors));
  for (const { name, offset } of tensors) vector.set(tensorData(file, peftKey(name)), offset);
  if (!vector.every(Number.isFinite))
    throw new UserError('incompatible', `${file.path}: holds numbers that are not finite`);
  return vector;
}
