/** @file The journal of a peer of chaos: a line a save, with the digest of the snapshot and the trainings of this life in it. */
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const pathIn = (folder: string): string => join(folder, 'journal.txt');

/** Says, before a snapshot is saved, how often this life has trained by it. */
export function writeLine(folder: string, digest: string, trainings: number): void {
  appendFileSync(pathIn(folder), `${digest} ${trainings}\n`);
}

/** Trainings of this life in the snapshot of that digest; none where it is of an earlier life. */
export function trainingsBy(folder: string, digest: string): number {
  const path = pathIn(folder);
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  const line = lines.findLast((text) => text.startsWith(digest));
  return line ? Number(line.split(' ')[1]) : 0;
}

/** The next life has a journal of its own. */
export function endJournal(folder: string): void {
  rmSync(pathIn(folder), { force: true });
}
