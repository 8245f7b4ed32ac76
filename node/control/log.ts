/** @file What a peer has done, in its state folder: a JSON object a line, two files of bounded size, the older one renamed. */
import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../errors.ts';

/** The newest last. */
const [OLDER, NEWER] = ['log.1.jsonl', 'log.jsonl'];
/** Bytes of one file. */
const MAX_BYTES = 1_000_000;

/** Something that happened; never a text of the user's, nor what lets somebody in. */
export interface Entry {
  readonly time: string;
  readonly event: string;
  readonly [fact: string]: unknown;
}

export interface Log {
  write(event: string, facts?: Readonly<Record<string, unknown>>): void;
}

/** Appends to the log of a state folder; what cannot be written is told to `onTrouble` once, and left out. */
export function openLog(folder: string, onTrouble: (why: string) => void, maxBytes = MAX_BYTES): Log {
  const [older, newer] = [join(folder, OLDER), join(folder, NEWER)];
  let isTold = false;
  return {
    write: (event, facts = {}) => {
      const entry: Entry = { time: new Date().toISOString(), event, ...facts };
      try {
        const size = statSync(newer, { throwIfNoEntry: false })?.size ?? 0;
        if (size > maxBytes) {
          rmSync(older, { force: true });
          renameSync(newer, older);
        }
        appendFileSync(newer, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
      } catch (error) {
        if (!isTold) onTrouble(`${newer}: ${messageOf(error)}; the log has gaps`);
        isTold = true;
      }
    },
  };
}

/** The last entries of a log, oldest first; what is torn is left out. */
export function readLog(folder: string, count: number): Entry[] {
  const files = [OLDER, NEWER].map((name) => join(folder, name)).filter((path) => existsSync(path));
  return entriesOf(files.map((path) => readFileSync(path, 'utf8')).join('')).slice(-count);
}

/** Gives what has been written since the last call, across renames, and first what is written from now on. */
export function followLog(folder: string): () => Entry[] {
  const [older, newer] = [join(folder, OLDER), join(folder, NEWER)];
  const look = (): { ino: number; size: number } => statSync(newer, { throwIfNoEntry: false }) ?? { ino: 0, size: 0 };
  let { ino, size: at } = look();
  return () => {
    const now = look();
    if (now.ino === ino && now.size === at) return [];
    const isRenamed = now.ino !== ino;
    const missed =
      isRenamed && existsSync(older) && statSync(older).ino === ino ? readFileSync(older).subarray(at) : '';
    const bytes = now.ino === 0 ? Buffer.alloc(0) : readFileSync(newer);
    const fresh = bytes.subarray(isRenamed ? 0 : at);
    const end = fresh.lastIndexOf(10) + 1; // the last line may be half-written
    at = (isRenamed ? 0 : at) + end;
    ino = now.ino;
    return entriesOf(missed.toString() + fresh.subarray(0, end).toString());
  };
}

function entriesOf(text: string): Entry[] {
  return text.split('\n').flatMap((line) => {
    try {
      const entry = JSON.parse(line) as Entry | null;
      return typeof entry?.time === 'string' && typeof entry.event === 'string' ? [entry] : [];
    } catch {
      return [];
    }
  });
}
