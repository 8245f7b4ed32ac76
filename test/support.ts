/** @file What tests share: where fixtures lie, temporary folders that go away, and settings for quick runs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSettings, type RunSettings } from '../protocol/config.ts';
import type { Source } from '../protocol/mixing.ts';

/** The checkout, seen from dist/test. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export function fixture(name: string): string {
  return join(ROOT, 'test', 'fixtures', name);
}

/** A folder that is removed when the process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'lorikeet-test-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Defaults with some settings changed. Throws where they are not valid. */
export function settingsWith(given: Record<string, unknown>): RunSettings {
  const parsed = parseSettings(given);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.settings;
}

/** A vector as mixing reads it. */
export function sourceOf(x: Float32Array): Source {
  return (begin, out) => out.set(x.subarray(begin, begin + out.length));
}

/** Waits until a condition holds; the file's deadline ends a wait that never does. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}
