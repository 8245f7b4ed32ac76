/** @file PEFT adapter folders (adapter_config.json, adapter_model.safetensors), read and written; keys as PEFT 0.21 saves. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../atomic.ts';
import { messageOf, UserError } from '../errors.ts';
import type { Architecture } from './architecture.ts';
import { isUnset } from './fields.ts';
import { readJsonObject } from './json.ts';
import type { LoraSpec } from './lora.ts';
import { encodeSafetensors, openSafetensors, tensorData } from './safetensors.ts';
import { elementCount, type ModelTensor } from './tensors.ts';

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';

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

/** Reads rank, alpha and targets of an adapter folder. Throws on any field that makes it something else than a plain LoRA. */
export function readPeftConfig(folder: string): LoraSpec {
  const path = peftConfigPath(folder);
  const config = readConfig(folder);
  const fail = (problem: string): never => {
    throw new UserError('usage', `${path}: ${problem}`);
  };
  for (const key of ['peft_type', 'r', 'lora_alpha', 'target_modules'])
    if (!(key in config)) fail(`${key} is missing; wanted the configuration of a plain LoRA`);
  for (const [key, value] of Object.entries(config)) {
    const accepts = FIELDS[key];
    if (accepts ? accepts(value) : isUnset(value)) continue;
    const got = JSON.stringify(value)?.slice(0, 80);
    fail(
      `${key} is ${got}, ${accepts ? 'which makes it another kind of adapter' : 'which is not known here'}; wanted a plain LoRA`,
    );
  }
  const [rank, given, targets] = [config.r, config.lora_alpha, config.target_modules];
  if (typeof rank !== 'number' || !Number.isInteger(rank) || rank < 1)
    return fail(`r is ${JSON.stringify(rank)}; wanted a positive integer`);
  if (typeof given !== 'number' || !(given > 0) || !Number.isFinite(given))
    return fail(`lora_alpha is ${JSON.stringify(given)}; wanted a positive number`);
  // Scaled by alpha / sqrt(rank) there (Kalajdzievski 2023, arXiv:2312.03732), by alpha / rank here.
  const alpha = config.use_rslora === true ? given * Math.sqrt(rank) : given;
  if (targets === 'all-linear') return { rank, alpha, targets: 'all' };
  const isName = (name: unknown): boolean => typeof name === 'string' && /^[^\s,]+$/.test(name) && name !== 'all';
  if (!Array.isArray(targets) || targets.length === 0 || !targets.every(isName))
    return fail(`target_modules is ${JSON.stringify(targets)?.slice(0, 80)}; wanted a list of names, or "all-linear"`);
  return { rank, alpha, targets: targets.join(',') };
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
  return join(folder, CONFIG);
}

function readConfig(folder: string): Record<string, unknown> {
  if (!existsSync(peftConfigPath(folder)))
    throw new UserError(
      'usage',
      `${folder}: not an adapter folder, it has no ${CONFIG}; wanted what "lorikeet export" or PEFT writes`,
    );
  return readJsonObject(peftConfigPath(folder), 'the configuration of a PEFT adapter');
}

/** The adapter of a folder as one vector in the given layout. Throws on a missing tensor, another shape, or a left-over. */
export function readPeftVector(folder: string, tensors: readonly ModelTensor[]): Float32Array {
  const isThere = (name: string): boolean => existsSync(join(folder, name));
  if (!isThere(WEIGHTS))
    throw new UserError(
      'usage',
      `${folder}: ${isThere('adapter_model.bin') ? 'its weights are in adapter_model.bin' : 'holds no weights'}; wanted ${WEIGHTS} (save_pretrained of PEFT writes it)`,
    );
  const file = openSafetensors(join(folder, WEIGHTS));
  const vector = new Float32Array(elementCount(tensors));
  const left = new Set(file.tensors.keys());
  for (const { name, rows, cols, offset } of tensors) {
    const entry = file.tensors.get(peftKey(name));
    if (entry && String(entry.shape) !== `${rows},${cols}`) {
      throw new UserError(
        'incompatible',
        `${file.path}: ${peftKey(name)} is [${entry.shape}]; this base wants [${rows},${cols}]`,
      );
    }
    vector.set(tensorData(file, peftKey(name)), offset);
    left.delete(peftKey(name));
  }
  if (left.size)
    throw new UserError('incompatible', `${file.path}: ${[...left][0]} fits no targeted layer of this base`);
  if (!vector.every(Number.isFinite))
    throw new UserError('incompatible', `${file.path}: holds numbers that are not finite`);
  return vector;
}

export interface PeftAdapter {
  readonly vector: Float32Array;
  readonly tensors: readonly ModelTensor[];
  readonly lora: LoraSpec;
  /** What `base_model_name_or_path` should say. */
  readonly base: string;
  /** Whose layers it adapts. */
  readonly architecture: Pick<Architecture, 'isCausal' | 'linears'>;
}

/** Writes an adapter folder, the weights before the config that makes it valid. Throws a UserError on a full or read-only disk. */
export async function writePeft(folder: string, adapter: PeftAdapter): Promise<void> {
  const named = adapter.tensors.map(({ name, rows, cols, offset }) => ({
    name: peftKey(name),
    shape: [rows, cols],
    data: adapter.vector.subarray(offset, offset + rows * cols),
  }));
  const targets =
    adapter.lora.targets === 'all' ? modulesOf(adapter.tensors) : adapter.lora.targets.split(',').map((t) => t.trim());
  const config = {
    peft_type: 'LORA',
    task_type: adapter.architecture.isCausal ? 'CAUSAL_LM' : null,
    base_model_name_or_path: adapter.base,
    r: adapter.lora.rank,
    lora_alpha: adapter.lora.alpha,
    target_modules: targets,
    lora_dropout: 0,
    bias: 'none',
    fan_in_fan_out: adapter.architecture.linears.some(({ isTransposed }) => isTransposed === true),
    inference_mode: true,
    init_lora_weights: true,
    modules_to_save: null,
    use_dora: false,
    use_rslora: false,
    rank_pattern: {},
    alpha_pattern: {},
  };
  try {
    makeFolder(folder);
    await writeFileAtomic(join(folder, WEIGHTS), encodeSafetensors(named, { format: 'pt' }));
    await writeFileAtomic(join(folder, CONFIG), `${JSON.stringify(config, null, 2)}\n`);
  } catch (error) {
    throw new UserError(
      'storage',
      `${folder}: the adapter cannot be written (${messageOf(error)}); choose another folder`,
    );
  }
}

function modulesOf(tensors: readonly ModelTensor[]): string[] {
  return [...new Set(tensors.map((t) => t.name.replace(/\.lora_[AB]$/, '')))];
}
