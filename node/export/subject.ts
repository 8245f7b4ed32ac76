/** @file What is exported: an adapter on its base, where it comes from, and the card that tells of it. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RunSettings } from '../../protocol/config.ts';
import { makeFolder, writeFileAtomic } from '../atomic.ts';
import type { Base } from '../checkpoint/base.ts';
import { messageOf, UserError } from '../errors.ts';
import type { LoraSpec } from '../model/lora.ts';
import type { ModelTensor } from '../model/tensors.ts';
import { cardText, type Facts, type Format, licenseOf } from './card.ts';

export interface Subject {
  readonly base: Base;
  /** What others load the base by, and which revision of it. */
  readonly named: { readonly base: string; readonly revision: string | null };
  readonly lora: LoraSpec;
  readonly tensors: readonly ModelTensor[];
  readonly vector: Float32Array;
  readonly settings: RunSettings | null;
  readonly facts: Facts;
}

/** Writes README.md. */
export async function writeCard(folder: string, subject: Subject, format: Format, notes?: string[]): Promise<void> {
  const { base, named, lora, tensors, settings, facts } = subject;
  const text = cardText({
    format,
    ...named,
    baseHash: base.sha256,
    license: licenseOf(base.path),
    isCausal: base.architecture.isCausal,
    rank: lora.rank,
    alpha: lora.alpha,
    layers: tensors.length / 2,
    settings,
    facts,
    ...(notes ? { notes } : {}),
  });
  await storing(folder, () => writeFileAtomic(join(folder, 'README.md'), text));
}

/** What a folder must not hold beside an export: who loads one would take the other along. */
const FOREIGN: Readonly<Record<Format, RegExp>> = {
  // PEFT resizes the embeddings to a tokenizer that it finds.
  peft: /^(config\.json|tokenizer.*|model.*\.safetensors|.*\.gguf)$/,
  // transformers puts an adapter that it finds onto the model.
  merged: /^(adapter_.*|config\.json|model.*\.safetensors.*|.*\.gguf)$/,
  onnx: /^(adapter_.*|config\.json|model.*\.safetensors.*|.*\.gguf)$/,
  gguf: /^(adapter_config\.json|config\.json|.*\.safetensors)$/,
  'merged-gguf': /^(adapter_config\.json|config\.json|.*\.safetensors)$/,
};

/** Makes the folder. Throws a UserError where something lies in it that would be taken for a part of the export. */
export function openFolderFor(folder: string, format: Format): void {
  let found: string | undefined;
  try {
    makeFolder(folder);
    found = readdirSync(folder).find((name) => FOREIGN[format].test(name));
  } catch (error) {
    throw unwritable(folder, error);
  }
  if (found === undefined) return;
  throw new UserError(
    'usage',
    `--out ${folder}: holds ${found} already, which would be taken for a part of it; choose another folder`,
  );
}

/** Turns what the disk says into a UserError. */
export async function storing(folder: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    throw error instanceof UserError ? error : unwritable(folder, error);
  }
}

function unwritable(folder: string, error: unknown): UserError {
  return new UserError('storage', `${folder}: cannot be written (${messageOf(error)}); choose another folder`);
}
