/** @file What pre-training leaves in its folder: a checkpoint to go on from, the log, and the model as Hugging Face reads it. */
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../../node/atomic.ts';
import type { Base } from '../../node/checkpoint/base.ts';
import { UserError } from '../../node/errors.ts';
import { encodeSafetensors, openSafetensors, tensorData } from '../../node/formats/safetensors.ts';
import { fullTensors } from '../../node/model/tensors.ts';
import { toHalf } from '../../protocol/codec.ts';
import type { PretrainState } from './loop.ts';

const CHECKPOINT = 'checkpoint.safetensors';

/** Replaces the checkpoint. `identity` says what it belongs to: corpus, base and settings. */
export async function saveCheckpoint(folder: string, state: PretrainState, identity: string): Promise<void> {
  const { vector, first, second, step } = state;
  const tensors = Object.entries({ vector, first, second }).map(([name, data]) => ({
    name,
    shape: [data.length],
    data,
  }));
  await writeFileAtomic(join(folder, CHECKPOINT), encodeSafetensors(tensors, { step: String(step), identity }));
}

/** The state to go on from; null where there is none. Throws a UserError where it belongs to other settings or texts. */
export function loadCheckpoint(folder: string, identity: string): PretrainState | null {
  const path = join(folder, CHECKPOINT);
  if (!existsSync(path)) return null;
  const file = openSafetensors(path);
  if (file.metadata.identity !== identity)
    throw new UserError(
      'incompatible',
      `${path}: made with other texts, base or settings; give the same again, or another --out`,
    );
  const [vector, first, second] = ['vector', 'first', 'second'].map((name) => tensorData(file, name));
  return { step: Number(file.metadata.step), vector: vector!, first: first!, second: second! };
}

/** Writes the model: weights in float16, configuration and tokenizer as the base's. */
export async function exportModel(folder: string, base: Base, vector: Float32Array): Promise<void> {
  const shapes = new Map(base.architecture.parameters.map((p) => [p.name, p.shape]));
  const tensors = fullTensors(base.architecture.parameters).map(({ name, rows, cols, offset }) => ({
    name,
    shape: shapes.get(name)!,
    data: Uint16Array.from(vector.subarray(offset, offset + rows * cols), toHalf),
  }));
  await writeFileAtomic(join(folder, 'model.safetensors'), encodeSafetensors(tensors, { format: 'pt' }));
  const config = JSON.parse(readFileSync(join(base.path, 'config.json'), 'utf8'));
  await writeFileAtomic(
    join(folder, 'config.json'),
    `${JSON.stringify({ ...config, torch_dtype: 'float16' }, null, 1)}\n`,
  );
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    copyFileSync(join(base.path, name), join(folder, name));
}
