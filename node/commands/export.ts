/** @file `lorikeet export`: a peer's adapter, or one in a folder, where other tools can load it. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { namedFor, openAdapter, writeSubject } from '../adapter.ts';
import { UserError } from '../errors.ts';
import type { Facts, Format } from '../export/card.ts';
import { readResult } from '../export/result.ts';
import { openFolderFor, type Subject } from '../export/subject.ts';
import { peekStore, peekTexts } from '../store.ts';
import { openSaved } from './begin.ts';
import type { Flags } from './flags.ts';

/** What each format is said to be once it is written. */
const FORMATS: Readonly<
  Partial<Record<Format, { said: string; write: (out: string, subject: Subject) => Promise<void> }>>
> = {
  peft: { said: "in PEFT's format", write: writeSubject },
};

export async function exportAdapter(flags: Flags): Promise<void> {
  const format = Object.keys(FORMATS).find((name) => name === flags.format) as Format | undefined;
  if (!format)
    throw new UserError(
      'usage',
      `--format: got ${JSON.stringify(flags.format)}; wanted ${Object.keys(FORMATS).join(' | ')}`,
    );
  const { subject, what } = flags.adapter === undefined ? await fromState(flags) : await fromFolder(flags);
  const out = String(flags.out);
  openFolderFor(out, format);
  const { said, write } = FORMATS[format]!;
  await write(out, subject);
  console.log(`${out}: ${what}, ${said}`);
}

interface Found {
  readonly subject: Subject;
  readonly what: string;
}

async function fromFolder({ adapter, base, state }: Flags): Promise<Found> {
  const folder = String(adapter);
  if (state !== undefined)
    throw new UserError('usage', '--adapter and --state: wanted one of them, whose adapter is meant');
  const opened = await openAdapter(folder, base === undefined ? undefined : String(base));
  for (const note of opened.notes) console.error(note);
  return { subject: { ...opened, named: namedFor(opened.name), facts: {} }, what: `the adapter of ${folder}` };
}

async function fromState({ state, base }: Flags): Promise<Found> {
  const folder = state === undefined ? onlyState() : String(state);
  if (base !== undefined) throw new UserError('usage', '--base: goes with --adapter; a state knows its base');
  const { saved, snapshot } = peekStore(folder);
  const run = await openSaved({ saved, folder });
  const found = snapshot(run.runId);
  if (!found) throw new UserError('usage', `${folder}: no snapshot yet; let the peer finish its first round`);
  const texts = peekTexts(folder)?.words.length;
  const facts: Facts = {
    rounds: found.round + saved.earlierRounds,
    peers: Object.keys(saved.mixedWith).length,
    ...(readResult(folder, run.runId) ?? (texts === undefined ? {} : { texts })),
  };
  const vector = run.wire.unpack(found.adapter);
  const subject = { ...run, vector, named: namedFor(run.settings.base), facts };
  return { subject, what: `adapter of round ${found.round}` };
}

/** The one state folder in the current directory. */
function onlyState(): string {
  const folders = readdirSync('.').filter((name) => name.endsWith('.lorikeet') && existsSync(join(name, 'run.json')));
  if (folders.length === 1) return folders[0]!;
  throw new UserError(
    'usage',
    `--state: ${folders.length === 0 ? 'no *.lorikeet folder here' : `${folders.length} of them here (${folders.join(', ')})`}; name the one to export`,
  );
}
