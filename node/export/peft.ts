/** @file Writes PEFT adapter folders (adapter_config.json, adapter_model.safetensors); keys as PEFT 0.21 saves. */
import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../atomic.ts';
import { messageOf, UserError } from '../errors.ts';
import { encodeSafetensors } from '../formats/safetensors.ts';
import type { Architecture } from '../model/architecture.ts';
import type { LoraSpec } from '../model/lora.ts';
import { PEFT_CONFIG, PEFT_WEIGHTS, peftKey } from '../model/peft.ts';
import type { ModelTensor } from '../model/tensors.ts';

export interface PeftAdapter {
  readonly vector: Float32Array;
  readonly tensors: readonly ModelTensor[];
  readonly lora: LoraSpec;
  /** What `base_model_name_or_path` should say: a name of the Hub, or a folder. */
  readonly base: string;
  /** Of a name of the Hub; null: the usual one. */
  readonly revision?: string | null;
  /** Whose layers it adapts. */
  readonly architecture: Pick<Architecture, 'isCausal' | 'linears'>;
  /** The class of transformers that loads the base. */
  readonly model?: ModelClass | null;
}

export interface ModelClass {
  readonly name: string;
  /** The Python module it is in. */
  readonly library: string;
}

/** Writes an adapter folder, the weights before the config that makes it valid. Throws a UserError on a full or read-only disk. */
export async function writePeft(folder: string, adapter: PeftAdapter): Promise<void> {
  const named = adapter.tensors.map(({ name, rows, cols, offset }) => ({
    name: peftKey(name),
    shape: [rows, cols],
    data: adapter.vector.subarray(offset, offset + rows * cols),
  }));
  try {
    makeFolder(folder);
    await writeFileAtomic(join(folder, PEFT_WEIGHTS), encodeSafetensors(named, { format: 'pt' }));
    await writeFileAtomic(join(folder, PEFT_CONFIG), `${JSON.stringify(configOf(adapter), null, 2)}\n`);
  } catch (error) {
    throw new UserError(
      'storage',
      `${folder}: the adapter cannot be written (${messageOf(error)}); choose another folder`,
    );
  }
}

function configOf({ tensors, lora, base, revision = null, architecture, model = null }: PeftAdapter): object {
  const { isCausal, linears } = architecture;
  const sizes = Object.entries(lora.modules ?? {});
  return {
    peft_type: 'LORA',
    // PEFT has no task for words that are masked: without one, AutoPeftModel goes by the class.
    task_type: isCausal ? 'CAUSAL_LM' : null,
    auto_mapping: isCausal || !model ? null : { base_model_class: model.name, parent_library: model.library },
    base_model_name_or_path: base,
    revision,
    r: lora.rank,
    lora_alpha: lora.alpha,
    target_modules: lora.targets === 'all' ? modulesOf(tensors) : lora.targets.split(',').map((t) => t.trim()),
    lora_dropout: 0,
    bias: 'none',
    fan_in_fan_out: linears.some(({ isTransposed }) => isTransposed === true),
    inference_mode: true,
    init_lora_weights: true,
    modules_to_save: null,
    use_dora: false,
    use_rslora: false,
    rank_pattern: Object.fromEntries(sizes.map(([module, { rank }]) => [module, rank])),
    alpha_pattern: Object.fromEntries(sizes.map(([module, { alpha }]) => [module, alpha])),
  };
}

function modulesOf(tensors: readonly ModelTensor[]): string[] {
  return [...new Set(tensors.map((t) => t.name.replace(/\.lora_[AB]$/, '')))];
}
