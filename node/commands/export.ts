/** @file `lorikeet export`: a peer's adapter, or one in a folder, where other tools can load it. */
import { namedFor, openAdapter } from '../adapter.ts';
import { openSaved } from '../entry/begin.ts';
import { UserError } from '../errors.ts';
import type { Facts, Format } from '../export/card.ts';
import { readResult } from '../export/result.ts';
import type { Subject } from '../export/subject.ts';
import { exportSubject, FORMATS } from '../exporting.ts';
import { WIDTHS } from '../formats/narrow.ts';
import { peekStore, peekTexts } from '../store.ts';
import { type Flags, stateFolder } from './flags.ts';

export async function exportAdapter(flags: Flags): Promise<void> {
  const format = choice(flags, 'format', Object.keys(FORMATS) as Format[]);
  const { said, widths } = FORMATS[format];
  if (flags.dtype !== undefined && !widths)
    throw new UserError(
      'usage',
      `--dtype: an adapter is written in f32; got --format ${format}, wanted one that merges`,
    );
  const width = flags.dtype === undefined ? 'f32' : choice(flags, 'dtype', WIDTHS);
  const { subject, what } = flags.adapter === undefined ? await fromState(flags) : await fromFolder(flags);
  const out = String(flags.out);
  await exportSubject(out, subject, { format, width });
  console.log(`${out}: ${what}, ${said}`);
}

function choice<T extends string>(flags: Flags, name: string, choices: readonly T[]): T {
  const found = choices.find((one) => one === flags[name]);
  if (found !== undefined) return found;
  throw new UserError('usage', `--${name}: got ${JSON.stringify(flags[name])}; wanted ${choices.join(' | ')}`);
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
  const folder = stateFolder(state);
  if (base !== undefined) throw new UserError('usage', '--base: goes with --adapter; a state knows its base');
  const { saved, snapshot } = peekStore(folder, console.error);
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
