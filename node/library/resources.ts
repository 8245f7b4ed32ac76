/** @file What a peer of a program holds, given back in reverse order; and the lines it says meanwhile. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Resources {
  /** Of the state. */
  readonly folder: string;
  /** Whether the folder goes away in the end. */
  readonly isTemporary: boolean;
  readonly note: (line: string) => void;
  /** Who is told what is noted, and what was before. */
  hear(listener: (line: string) => void): void;
  /** What to do in the end, before all that was kept earlier. */
  keep(release: () => unknown): void;
  /** Gives back all; again: waits for the same. */
  release(): Promise<void>;
}

/** `folder` left out: a temporary one. */
export function createResources(folder?: string): Resources {
  const place = folder ?? mkdtempSync(join(tmpdir(), 'lorikeet-'));
  const releases: (() => unknown)[] = [];
  const early: string[] = [];
  let tell = (line: string): unknown => early.push(line);
  let releasing: Promise<void> | null = null;
  const releaseAll = async (): Promise<void> => {
    for (const release of releases.reverse()) await release();
    if (folder === undefined) await rm(place, { recursive: true, force: true });
  };
  return {
    folder: place,
    isTemporary: folder === undefined,
    note: (line) => void tell(line),
    hear: (listener) => {
      tell = listener;
      early.splice(0).forEach(listener);
    },
    keep: (release) => releases.push(release),
    release: () => {
      releasing ??= releaseAll();
      return releasing;
    },
  };
}
