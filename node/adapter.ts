/** @file The shared adapter on disk: a PEFT folder, with the run it came from beside it so that it can be used as trained. */
import { constants, existsSync, readFileSync } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunSettings } from '../protocol/config.ts';
import { writeFileAtomic } from './atomic.ts';
import { messageOf, UserError } from './errors.ts';
import { readPeftConfig, readPeftVector, writePeft } from './model/peft.ts';
import { checkSettings, openRun, type Run } from './train/run.ts';

const RUN_FILE = 'lorikeet.json';

/** Writes the PEFT folder and lorikeet.json. Throws a UserError on a full or read-only disk. */
export async function writeAdapter(folder: string, { run, vector }: { run: Run; vector: Float32Array }): Promise<void> {
  await prepareFolder(folder);
  await writePeft(folder, { vector, tensors: run.tensors, lora: run.lora, base: run.settings.base });
  const content = `${JSON.stringify({ runId: run.runId, settings: run.settings }, null, 2)}\n`;
  await writeFileAtomic(join(folder, RUN_FILE), content).catch((error) => {
    throw unwritable(folder, error);
  });
}

/** Makes the folder and checks that it can be written, before hours are spent on what goes there. */
export async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (error) {
    throw unwritable(folder, error);
  }
}

function unwritable(folder: string, error: unknown): UserError {
  return new UserError(
    'storage',
    `${JSON.stringify(folder)}: cannot be written (${messageOf(error)}); choose another folder`,
  );
}

/** Reads an adapter folder: one of ours, or any plain LoRA from PEFT with settings given beside it. */
export async function readAdapter(
  folder: string,
  given: Readonly<Record<string, unknown>>,
): Promise<{ run: Run; vector: Float32Array }> {
  const lora = readPeftConfig(folder);
  const own = readRunFile(folder);
  const asked = 'prompt' in given || 'labels' in given;
  // A prior belongs to the prompt and words it was measured with.
  const settings = checkSettings(
    { ...own, ...(asked ? { labelPrior: '', patterns: '' } : {}), ...given, ...lora },
    folder,
  );
  const run = await openRun(settings);
  return { run, vector: readPeftVector(folder, run.tensors) };
}

function readRunFile(folder: string): Partial<RunSettings> {
  const path = join(folder, RUN_FILE);
  if (!existsSync(path)) return {};
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as { settings: RunSettings }).settings;
  } catch (error) {
    throw new UserError(
      'usage',
      `${path}: not a run (${messageOf(error)}); remove it to use the folder as a plain PEFT adapter`,
    );
  }
}
