/** @file `lorikeet check`: reads texts as a run would, and says what it found; nothing is trained or written. */
import { UserError } from '../errors.ts';
import { type DataFile, type LabelledFile, labelData, openData } from '../train/data.ts';
import { type Inspection, inspectionLines, inspectTexts, MAX_UNKNOWN } from '../train/inspect.ts';
import { checkSettings, openRun } from '../train/run.ts';
import type { Task } from '../train/task.ts';
import { dataOptions } from './dataflags.ts';
import type { Flags } from './flags.ts';
import { provideBase } from './provide.ts';

export async function check(flags: Flags, given: Readonly<Record<string, unknown>>): Promise<void> {
  const options = dataOptions(flags);
  const file = openData(String(flags.data), options);
  if (given.base !== undefined) await provideBase(String(given.base), { isNamed: true, flags });
  const { task } = await openRun(checkSettings(given, 'check'));
  const found = await inspectTexts(task, file, labelData(file, task, options));
  console.log(flags.json ? JSON.stringify(found) : inspectionLines(found).join('\n'));
  refuseUnknown(found, flags);
}

/** The same lines for a start. Throws a UserError, after having said them, where the base knows too little of the texts. */
export async function inspectStart(
  flags: Flags,
  { task, file, read }: { task: Task; file: DataFile; read: LabelledFile },
  note: (line: string) => void,
): Promise<string[]> {
  const found = await inspectTexts(task, file, read);
  const lines = inspectionLines(found);
  try {
    refuseUnknown(found, flags);
  } catch (error) {
    lines.forEach(note);
    throw error;
  }
  return lines;
}

function refuseUnknown({ path, unknownShare }: Inspection, flags: Flags): void {
  if (flags.anyway || unknownShare === null || unknownShare <= MAX_UNKNOWN) return;
  throw new UserError(
    'usage',
    `${path}: ${(100 * unknownShare).toFixed(0)} % of the tokens are unknown to this base, which cannot tell them apart; wanted ${100 * MAX_UNKNOWN} % at most: choose a --base of this language, or go on with --anyway`,
  );
}
