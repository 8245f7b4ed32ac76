/** @file Tells a file from any other, and from itself before it was written to, without reading it. */
import { type BigIntStats, statSync } from 'node:fs';

export interface Stamp {
  /** Disk, number, size and times of the file. */
  readonly text: string;
  /** When it was last changed, in ms. */
  readonly changedMs: number;
}

/** The stamp of a file; null where there is none. */
export function stampOf(path: string): Stamp | null {
  const stat = statOf(path);
  if (!stat?.isFile()) return null;
  const { dev, ino, size, mtimeNs, ctimeNs } = stat;
  const newest = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
  return { text: [dev, ino, size, mtimeNs, ctimeNs].join(' '), changedMs: Number(newest / 1_000_000n) };
}

function statOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
