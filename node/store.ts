/** @file A peer's state folder: run settings, key (0600), snapshot, port; one process at a time. */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { CODECS, type CodecName, decode } from '../protocol/codec.ts';
import type { RunSettings } from '../protocol/config.ts';
import { decodeSnapshot, encodeSnapshot, type Snapshot } from '../protocol/snapshot.ts';
import { makeFolder, removeEmpty, writeFileAtomic } from './atomic.ts';
import { codeOf, messageOf, UserError } from './errors.ts';
import { isRunning } from './running.ts';
import { checkSettings, sha256 } from './train/run.ts';

export interface Saved {
  readonly settings: RunSettings;
  readonly port: number;
  /** Addresses of the peer this one was invited by; none for the first. */
  readonly bootstrap: readonly string[];
  /** Rounds mixed with whom, over all its lives. */
  readonly mixedWith: Readonly<Record<string, number>>;
  /** The run, over now, whose state this one has taken over; its snapshot may still lie here. Null: none. */
  readonly follows: string | null;
  /** Training rounds of the runs whose adapter this one goes on from, where its rounds were raised. */
  readonly earlierRounds: number;
}

/** A 64-bit digest a row, sorted: tells what has changed without keeping the texts. */
export interface RowDigests {
  readonly words: BigUint64Array;
}

export interface Store {
  readonly folder: string;
  readRun(): Saved | null;
  writeRun(saved: Saved): Promise<void>;
  /** Digests of the rows the state has learned from, sorted; null where it does not say. */
  readTexts(): RowDigests | null;
  writeTexts(digests: RowDigests): Promise<void>;
  /** The key, made by `create` the first time. */
  key(create: () => Promise<Uint8Array>): Promise<Uint8Array>;
  /** The last whole snapshot, or null; one of the run that is followed does not count. Throws a UserError if it is torn or of another run. */
  readSnapshot(runId: string, codec: CodecName, follows?: string | null): Snapshot | null;
  writeSnapshot(snapshot: Snapshot): Promise<void>;
  /** Keeps the adapter that the run starts from. */
  writeStart(vector: Float32Array): Promise<void>;
  /** Lets another process in. Where no run has begun, what was made here goes away again. */
  release(): void;
}

const FILES = {
  run: 'run.json',
  key: 'key',
  snapshot: 'snapshot.bin',
  texts: 'texts.bin',
  start: 'start.bin',
  lock: 'lock',
} as const;

/** Locks this very process holds. */
const held = new Set<string>();

/** Opens (or makes) a state folder and locks it. Throws a UserError if it cannot be written or another process holds it. */
export function openStore(folder: string): Store {
  const path = (file: keyof typeof FILES): string => join(folder, FILES[file]);
  const failed = (what: string, error: unknown): UserError =>
    new UserError(
      'storage',
      `${what}: ${messageOf(error)}; check its permissions and the space left, or choose another --state`,
    );
  let made: string | undefined;
  try {
    made = makeFolder(folder);
  } catch (error) {
    throw failed(folder, error);
  }
  takeLock(path('lock'), failed);
  let isKeyNew = false;
  // What a process that was killed while it wrote has left.
  for (const file of readdirSync(folder)) if (file.endsWith('.tmp')) rmSync(join(folder, file), { force: true });
  const write = (file: keyof typeof FILES, bytes: Uint8Array | string, mode?: number): Promise<void> =>
    writeFileAtomic(path(file), bytes, mode).catch((error) => {
      throw failed(path(file), error);
    });
  return {
    folder,
    readRun: () => readRun(path('run')),
    writeRun: (saved) => write('run', `${JSON.stringify(saved, null, 2)}\n`),
    readTexts: () => readTexts(path('texts')),
    writeTexts: ({ words }) => write('texts', new Uint8Array(words.buffer, words.byteOffset, words.byteLength)),
    key: async (create) => {
      if (existsSync(path('key'))) return readFileSync(path('key'));
      const key = await create();
      isKeyNew = true;
      await write('key', key, 0o600);
      return key;
    },
    readSnapshot: (runId, codec, follows = null) => readSnapshot(path('snapshot'), { runId, codec, follows }),
    writeSnapshot: (snapshot) => write('snapshot', encodeSnapshot(snapshot, sha256)),
    writeStart: (vector) => write('start', CODECS.f32.encode(vector)),
    release: () => {
      if (!held.delete(path('lock'))) return;
      rmSync(path('lock'), { force: true });
      if (existsSync(path('run')) || existsSync(path('snapshot'))) return;
      if (isKeyNew) for (const file of ['key', 'start'] as const) rmSync(path(file), { force: true });
      if (made) removeEmpty(folder, made);
    },
  };
}

/** What a state folder says of its run, or null. For commands that only look. */
export function readRun(path: string): Saved | null {
  if (!existsSync(path)) return null;
  try {
    const saved = JSON.parse(readFileSync(path, 'utf8')) as Saved;
    if (typeof saved?.settings !== 'object' || typeof saved.port !== 'number')
      throw new Error('settings or port are missing');
    const { mixedWith = {}, follows = null, earlierRounds = 0 } = saved;
    return { ...saved, mixedWith, follows, earlierRounds, settings: checkSettings(saved.settings, path) };
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(
      'storage',
      `${path}: not a run (${messageOf(error).split('\n')[0]}); remove the folder to start afresh`,
    );
  }
}

/** Digests of rows, as a state remembers them. */
export function digestRows(rows: readonly { readonly text: string; readonly label: string | null }[]): RowDigests {
  const words = rows.map(({ text, label }) => {
    const digest = sha256(new TextEncoder().encode(JSON.stringify([text, label])));
    return new DataView(digest.buffer, digest.byteOffset).getBigUint64(0);
  });
  return { words: BigUint64Array.from(words).sort() };
}

/** How many rows are new, and how many are gone. */
export function compareRows(before: RowDigests, after: RowDigests): { added: number; removed: number } {
  let [i, j, shared] = [0, 0, 0];
  while (i < before.words.length && j < after.words.length) {
    const [a, b] = [before.words[i]!, after.words[j]!];
    if (a === b) shared += 1;
    if (a <= b) i += 1;
    if (b <= a) j += 1;
  }
  return { added: after.words.length - shared, removed: before.words.length - shared };
}

/** What a state folder says of the rows it learned from. For commands that only look. */
export function peekTexts(folder: string): RowDigests | null {
  return readTexts(join(folder, FILES.texts));
}

/** The adapter that the run of a state folder starts from; null where it is a fresh one. Throws a UserError if it is torn. */
export function peekStart(folder: string): Float32Array | null {
  const path = join(folder, FILES.start);
  if (!existsSync(path)) return null;
  const bytes = readFileSync(path);
  const vector = decode('f32', bytes, bytes.length / 4);
  if (!vector) throw new UserError('storage', `${path}: torn; remove the folder to start afresh`);
  return vector;
}

function readTexts(path: string): RowDigests | null {
  if (!existsSync(path)) return null;
  const bytes = Uint8Array.from(readFileSync(path)); // a buffer of its own, so aligned
  if (bytes.length % 8 !== 0) throw new UserError('storage', `${path}: torn; remove the folder to start afresh`);
  return { words: new BigUint64Array(bytes.buffer) };
}

/** Looks into a state folder without locking it. */
export function peekStore(folder: string): { saved: Saved; snapshot: (runId: string) => Snapshot | null } {
  const saved = readRun(join(folder, FILES.run));
  if (!saved)
    throw new UserError('usage', `${folder}: no state of a peer; wanted the folder that "lorikeet up" or "join" named`);
  return {
    saved,
    snapshot: (runId) =>
      readSnapshot(join(folder, FILES.snapshot), {
        runId,
        codec: saved.settings.codec as CodecName,
        follows: saved.follows,
      }),
  };
}

function readSnapshot(
  path: string,
  { runId, codec, follows }: { runId: string; codec: CodecName; follows: string | null },
): Snapshot | null {
  if (!existsSync(path)) return null;
  const snapshot = decodeSnapshot(readFileSync(path), codec, sha256);
  if (!snapshot)
    throw new UserError('storage', `${path}: torn or altered; remove the folder to start afresh as a new peer`);
  if (snapshot.runId !== runId && snapshot.runId === follows) return null;
  if (snapshot.runId !== runId)
    throw new UserError(
      'incompatible',
      `${path}: of run ${snapshot.runId}; this run is ${runId}; choose another --state`,
    );
  return snapshot;
}

/** A file that names the process that holds the folder; one left by a dead process is taken over. */
function takeLock(path: string, failed: (what: string, error: unknown) => UserError): void {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const file = openSync(path, 'wx');
      writeSync(file, String(process.pid));
      closeSync(file);
      held.add(path);
      return;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw failed(path, error);
      const holder = Number(readFileSync(path, 'utf8'));
      // Its own number in the file is a stale lock too: in a container every life has the same.
      if (held.has(path) || (holder !== process.pid && isRunning(holder))) {
        throw new UserError('storage', `${path}: process ${holder} uses this state; stop it or choose another --state`);
      }
      rmSync(path, { force: true });
    }
  }
}
