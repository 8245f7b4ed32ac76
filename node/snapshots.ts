/** @file The newest snapshots of a state folder, three of them: where the newest is not whole, the one before stands in for it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CodecName } from '../protocol/codec.ts';
import { decodeSnapshot, encodeSnapshot, SNAPSHOT_VERSION, type Snapshot, versionOf } from '../protocol/snapshot.ts';
import { writeFileAtomic } from './atomic.ts';
import { codeOf, messageOf, UserError } from './errors.ts';
import { sha256 } from './train/run.ts';

/** The newest first. */
const [NEWEST, ...EARLIER] = ['snapshot.bin', 'snapshot-1.bin', 'snapshot-2.bin'] as const;
export const SNAPSHOT_FILES: readonly string[] = [NEWEST, ...EARLIER];

/** Whose snapshot is wanted. */
export interface Wanted {
  readonly runId: string;
  readonly codec: CodecName;
  /** The run, over now, whose state this one takes over; null: none. */
  readonly follows: string | null;
  /** Hears which stands in for the newest, and why. */
  readonly tell: (line: string) => void;
}

export interface Snapshots {
  /** The newest whole one, or null; one of the run that is followed does not count. Throws a UserError if none is whole, or it is of another run. */
  read(wanted: Wanted): Snapshot | null;
  /** Resolves when durable; two before it are kept. Throws what the system throws. */
  write(snapshot: Snapshot): Promise<void>;
}

export function snapshotsIn(folder: string): Snapshots {
  let isNewestSpoilt = false;
  return {
    read: (wanted) => {
      const found = find(folder, wanted);
      isNewestSpoilt = found !== null && found.age > 0;
      return found?.snapshot ?? null;
    },
    write: async (snapshot) => {
      // What is not whole is not kept in place of one that is.
      const kept = isNewestSpoilt ? [] : EARLIER.map((name) => join(folder, name));
      await writeFileAtomic(join(folder, NEWEST), encodeSnapshot(snapshot, sha256), 0o644, kept);
      isNewestSpoilt = false;
    },
  };
}

/** Every whole one of a run, the newest first. */
export function allSnapshots(folder: string, { runId, codec }: Pick<Wanted, 'runId' | 'codec'>): Snapshot[] {
  return SNAPSHOT_FILES.flatMap((name) => {
    const snapshot = open(join(folder, name), codec);
    return typeof snapshot !== 'string' && snapshot.runId === runId ? [snapshot] : [];
  });
}

interface Found {
  readonly snapshot: Snapshot | null;
  /** How many newer ones there are that are not whole. */
  readonly age: number;
}

function find(folder: string, { runId, codec, follows, tell }: Wanted): Found | null {
  const newest = join(folder, NEWEST);
  const problems: string[] = [];
  for (const [age, name] of SNAPSHOT_FILES.entries()) {
    const snapshot = open(join(folder, name), codec);
    if (typeof snapshot === 'string') {
      problems.push(snapshot);
      continue;
    }
    const isMissing = problems[0] === MISSING;
    // A run that has begun does not begin again: the others would take what it says for old.
    if (snapshot.runId !== runId && snapshot.runId === follows && (age === 0 || isMissing))
      return { snapshot: null, age };
    if (snapshot.runId !== runId && age > 0 && !isMissing) break;
    if (snapshot.runId !== runId)
      throw new UserError(
        'incompatible',
        `${join(folder, name)}: of run ${snapshot.runId}; this run is ${runId}; choose another --state`,
      );
    if (age === 0) return { snapshot, age };
    tell(`${newest}: ${problems[0]}; going on from ${name} instead, of round ${snapshot.round}`);
    // Each that is lost may have been the first of another life, and no number of a life is used again.
    return { snapshot: { ...snapshot, boot: snapshot.boot + age }, age };
  }
  if (problems.every((problem) => problem === MISSING)) return null;
  throw new UserError(
    'storage',
    `${newest}: ${problems[0]}, and no earlier one of this run is whole; remove the folder to start afresh as a new peer`,
  );
}

const MISSING = 'missing';

/** A snapshot, or what is wrong with it. */
function open(path: string, codec: CodecName): Snapshot | string {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? MISSING : `cannot be read (${messageOf(error)})`;
  }
  const version = versionOf(bytes);
  if (version !== null && version !== SNAPSHOT_VERSION)
    return `written by another version (form ${version}; this one reads ${SNAPSHOT_VERSION})`;
  return decodeSnapshot(bytes, codec, sha256) ?? 'torn or altered';
}
