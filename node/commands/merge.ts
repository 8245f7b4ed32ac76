/** @file `lorikeet merge`: records of many machines in one folder, each line once. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { prepareFolder } from '../adapter.ts';
import { writeFileAtomic } from '../atomic.ts';
import { UserError } from '../errors.ts';
import type { Flags } from './flags.ts';

/** Every *.jsonl of the folders, by name (a shard's under its scenario's), lines in the order they come, each once. */
export async function merge(folders: readonly string[], flags: Flags): Promise<void> {
  const out = String(flags.out);
  const lines = new Map<string, Set<string>>();
  // What is there already stays.
  for (const folder of existsSync(out) ? [out, ...folders] : folders) {
    if (!existsSync(folder) || !statSync(folder).isDirectory())
      throw new UserError('usage', `merge: ${folder}: no such folder; wanted folders of results`);
    for (const file of readdirSync(folder).sort()) {
      if (!file.endsWith('.jsonl') || !statSync(join(folder, file)).isFile()) continue;
      const name = file.replace(/\.\d+of\d+\.jsonl$/, '.jsonl');
      const merged = lines.get(name) ?? new Set<string>();
      lines.set(name, merged);
      for (const line of readFileSync(join(folder, file), 'utf8').split('\n')) if (isWhole(line)) merged.add(line);
    }
  }
  if (lines.size === 0)
    throw new UserError('usage', `merge: ${folders.join(', ')}: no records (*.jsonl); wanted folders of results`);
  await prepareFolder(out);
  for (const [name, merged] of lines) {
    await writeFileAtomic(join(out, name), [...merged, ''].join('\n'));
    console.log(`${join(out, name)}: ${merged.size} records`);
  }
}

/** A line cut short by a crash is left out. */
function isWhole(line: string): boolean {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
