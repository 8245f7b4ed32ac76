/** @file Reports as one HTML file that needs nothing else: the page, and what it shows. */
import { writeFileAtomic } from '../atomic.ts';
import { UserError } from '../errors.ts';
import type { Report, ReportFile } from '../page/report.ts';
import { readPageFiles, wholeDocument } from './document.ts';

/** Writes it; false, with a line, where the page was not built. */
export async function writeReportFile(
  path: string,
  reports: readonly Report[],
  note: (line: string) => void,
): Promise<boolean> {
  try {
    const data: ReportFile = { reports };
    await writeFileAtomic(path, wholeDocument(reports.map(({ name }) => name).join(', '), data, readPageFiles()));
    return true;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    note(`${path} was not written: ${error.message}`);
    return false;
  }
}
