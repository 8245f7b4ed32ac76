/** @file `lorikeet check`: reads texts as a run would, and says what it found; nothing is trained or written. */
import { UserError } from '../errors.ts';
import { openData } from '../texts/data.ts';
import { MAX_UNKNOWN } from '../train/inspect.ts';
import type { Inspected, Texts } from '../train/objective.ts';
import { checkSettings, openRun } from '../train/run.ts';
import { readTexts } from '../train/texts.ts';
import { dataOptions } from './dataflags.ts';
import type { Flags } from './flags.ts';
import { provideNamed } from './provide.ts';

export async function check(flags: Flags, given: Readonly<Record<string, unknown>>): Promise<void> {
  const settings = checkSettings(given, 'check');
  const options = { ...dataOptions(flags), objective: settings.objective };
  const file = openData(String(flags.data), options);
  await provideNamed(flags);
  const found = await readTexts(await openRun(settings), file, options).inspect();
  console.log(flags.json ? JSON.stringify(found.fields) : found.lines.join('\n'));
  refuseUnknown(found, flags);
}

/** The same lines for a start. Throws a UserError, after having said them, where the base knows too little of the texts. */
export async function inspectStart(
  flags: Flags,
  texts: Texts,
  note: (line: string) => void,
): Promise<readonly string[]> {
  const found = await texts.inspect();
  try {
    refuseUnknown(found, flags);
  } catch (error) {
    found.lines.forEach(note);
    throw error;
  }
  return found.lines;
}

function refuseUnknown({ path, unknownShare }: Inspected, flags: Flags): void {
  if (flags.anyway || unknownShare === null || unknownShare <= MAX_UNKNOWN) return;
  throw new UserError(
    'usage',
    `${path}: ${(100 * unknownShare).toFixed(0)} % of the tokens are unknown to this base, which cannot tell them apart; wanted ${100 * MAX_UNKNOWN} % at most: choose a --base of this language, or go on with --anyway`,
  );
}
