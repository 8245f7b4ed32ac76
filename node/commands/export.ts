/** @file `lorikeet export`: a peer's adapter as a PEFT folder. */
import { existsSync, readdirSync } from 'node:fs';
import { writeAdapter } from '../adapter.ts';
import { UserError } from '../errors.ts';
import { peekStore } from '../store.ts';
import { openSaved } from './begin.ts';
import type { Flags } from './flags.ts';

export async function exportAdapter(flags: Flags): Promise<void> {
  if (flags.format !== 'peft')
    throw new UserError('usage', `--format: got ${JSON.stringify(flags.format)}; wanted peft`);
  const folder = flags.state === undefined ? onlyState() : String(flags.state);
  const { saved, snapshot } = peekStore(folder);
  const run = await openSaved({ saved, folder });
  const found = snapshot(run.runId);
  if (!found) throw new UserError('usage', `${folder}: no snapshot yet; let the peer finish its first round`);
  const out = String(flags.out);
  await writeAdapter(out, { run, vector: run.wire.unpack(found.adapter) });
  console.log(`${out}: adapter of round ${found.round}, in PEFT's format`);
}

/** The one state folder in the current directory. */
function onlyState(): string {
  const folders = readdirSync('.').filter((name) => name.endsWith('.lorikeet') && existsSync(`${name}/run.json`));
  if (folders.length === 1) return folders[0]!;
  throw new UserError(
    'usage',
    `--state: ${folders.length === 0 ? 'no *.lorikeet folder here' : `${folders.length} of them here (${folders.join(', ')})`}; name the one to export`,
  );
}
