/** @file The texts of a file, read for what a run learns. */

import type { DataFile, DataOptions } from '../texts/data.ts';
import { readClassTexts } from './classify.ts';
import type { Texts } from './objective.ts';
import type { Run } from './run.ts';
import { readWritingTexts } from './write.ts';

/** Reads a file for a run. Throws a UserError on rows or labels that are bad, unless such are skipped. */
export function readTexts(run: Run, file: DataFile, options: DataOptions): Texts {
  return run.objective === 'classify' ? readClassTexts(run, file, options) : readWritingTexts(run, file, options);
}
