/** @file A peer's state folder: run settings, key (0600), snapshots, port; one process at a time. */
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CODECS, type CodecName, decode } from '../protocol/codec.ts';
import type { RunSettings } from '../protocol/config.ts';
import type { Snapshot } from '../protocol/snapshot.ts';
import type { Kept } from './admission/book.ts';
import { makeFolder, removeEmpty, writeFileAtomic } from './atomic.ts';
import { codeOf, messageOf, UserError } from './errors.ts';
import { type Lock, takeLock } from './lock.ts';
import { SNAPSHOT_FILES, snapshotsIn } from './snapshots.ts';
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
  /** What its last invite named: itself, and a few others. */
  readonly invited: readonly string[];
  /** Training rounds of the runs whose adapter this one goes on from, where its rounds were raised. */
  readonly earlierRounds: number;
}

/** Of run.json; one without a version is of the first. */
const RUN_VERSION = 1;

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
  /** The key, made by `create` the first time. One that others may read is closed to them; throws a UserError where it cannot be. */
  key(create: () => Promise<Uint8Array>): Promise<Uint8Array>;
  /** The last whole snapshot, or null; one of the run that is followed does not count. Throws a UserError if none is whole, or it is of another run. */
  readSnapshot(runId: string, codec: CodecName, follows?: string | null): Snapshot | null;
  writeSnapshot(snapshot: Snapshot): Promise<void>;
  /** Who belongs to the run and how this peer proves that it does; null where the state does not say. */
  readMembers(): Kept | null;
  writeMembers(kept: Kept): Promise<void>;
  /** The invite that the first peer of a closed run gives; null: none has been made. */
  readTicket(): Uint8Array | null;
  writeTicket(ticket: Uint8Array): Promise<void>;
  /** Keeps the adapter that the run starts from. */
  writeStart(vector: Float32Array): Promise<void>;
  /** Lets another process in. Where no run has begun, what was made here goes away again. */
  release(): void;
}

const FILES = {
  ...{ run: 'run.json', key: 'key', texts: 'texts.bin', start: 'start.bin', lock: 'lock' },
  ...{ members: 'members.json', ticket: 'ticket' },
} as const;

/** A folder may go away between being made and being locked, as another start that failed tidies up. */
const TRIES = 5;

type Tell = (line: string) => void;

/**
 * Opens (or makes) a state folder and locks it; `tell` hears what was mended. Throws a UserError if it cannot be written or
 * another process holds it.
 */
export function openStore(folder: string, tell: Tell = () => {}): Store {
  const path = (file: keyof typeof FILES): string => join(folder, FILES[file]);
  const { lock, made } = enter(folder, path('lock'));
  const snapshots = snapshotsIn(folder);
  let [isKeyNew, isReleased] = [false, false];
  /** Writes, unless this process was taken for dead and another has the folder now. */
  const guarded = async (file: string, write: () => Promise<void>): Promise<void> => {
    try {
      if (lock.isLost()) throw new Error('another process has taken over this state');
      await write();
    } catch (error) {
      throw failed(file, error);
    }
  };
  const write = (file: keyof typeof FILES, bytes: Uint8Array | string, mode?: number): Promise<void> =>
    guarded(path(file), () => writeFileAtomic(path(file), bytes, mode));
  return {
    folder,
    readRun: () => readRun(path('run')),
    writeRun: (saved) => write('run', `${JSON.stringify({ version: RUN_VERSION, ...saved }, null, 2)}\n`),
    readTexts: () => readTexts(path('texts')),
    writeTexts: ({ words }) => write('texts', new Uint8Array(words.buffer, words.byteOffset, words.byteLength)),
    key: async (create) => {
      if (existsSync(path('key'))) return readKey(path('key'), tell);
      const key = await create();
      isKeyNew = true;
      await write('key', key, 0o600);
      return key;
    },
    readSnapshot: (runId, codec, follows = null) => snapshots.read({ runId, codec, follows, tell }),
    writeSnapshot: (snapshot) => guarded(join(folder, SNAPSHOT_FILES[0]!), () => snapshots.write(snapshot)),
    readMembers: () => readMembers(path('members')),
    writeMembers: (kept) => write('members', `${JSON.stringify(kept)}\n`),
    readTicket: () => (existsSync(path('ticket')) ? Uint8Array.from(readBytes(path('ticket'))) : null),
    writeTicket: (ticket) => write('ticket', ticket, 0o600),
    writeStart: (vector) => write('start', CODECS.f32.encode(vector)),
    release: () => {
      if (isReleased) return;
      isReleased = true;
      lock.release();
      if ([FILES.run, ...SNAPSHOT_FILES].some((name) => existsSync(join(folder, name)))) return;
      if (isKeyNew)
        for (const file of ['key', 'start', 'members', 'ticket'] as const) rmSync(path(file), { force: true });
      if (made) removeEmpty(folder, made);
    },
  };
}

function failed(what: string, error: unknown): UserError {
  return new UserError(
    'storage',
    `${what}: ${messageOf(error)}; check its permissions and the space left, or choose another --state`,
    error,
  );
}

/** Makes a folder, locks it, and removes what a process that was killed while it wrote has left. */
function enter(folder: string, path: string): { lock: Lock; made: string | undefined } {
  let made: string | undefined;
  for (let tries = 1; ; tries++) {
    try {
      made = makeFolder(folder) ?? made;
      const lock = takeLock(path);
      if (lock.type === 'taken') {
        for (const file of readdirSync(folder)) if (file.endsWith('.tmp')) rmSync(join(folder, file), { force: true });
        return { lock, made };
      }
      const who = lock.holder ? `process ${lock.holder.pid} of ${lock.holder.host}` : 'another process';
      throw new UserError('storage', `${path}: ${who} uses this state; stop it or choose another --state`);
    } catch (error) {
      if (error instanceof UserError) throw error;
      if (codeOf(error) !== 'ENOENT' || tries === TRIES) throw failed(folder, error);
    }
  }
}

/** The key of a state folder, which another process may hold; null where there is none yet. */
export function peekKey(folder: string, tell: Tell): Uint8Array | null {
  const path = join(folder, FILES.key);
  return existsSync(path) ? readKey(path, tell) : null;
}

/** What a state folder says of who belongs to its run; null where it says nothing. Throws a UserError where it is torn. */
export function peekMembers(folder: string): Kept | null {
  return readMembers(join(folder, FILES.members));
}

function readMembers(path: string): Kept | null {
  if (!existsSync(path)) return null;
  try {
    const { runId, own, network, proofs, told } = JSON.parse(readFileSync(path, 'utf8')) as Kept;
    const isWhole =
      [runId, own, network].every((s) => typeof s === 'string') &&
      [proofs, told].every((o) => typeof o === 'object' && o !== null);
    if (!isWhole || Object.values({ ...proofs, ...told }).some((s) => typeof s !== 'string')) throw new Error('torn');
    return { runId, own, network, proofs, told };
  } catch (error) {
    throw new UserError(
      'storage',
      `${path}: not a list of members (${messageOf(error).split('\n')[0]}); remove it and join with your invite again`,
    );
  }
}

/** Who reads the key can take part as this peer. */
function readKey(path: string, tell: Tell): Uint8Array {
  try {
    const key = readFileSync(path);
    const mode = modeOf(path);
    if (mode & 0o077) {
      chmodSync(path, 0o600);
      const isMended = (modeOf(path) & 0o077) === 0;
      tell(
        `${path}: others could read it (mode ${mode.toString(8)}); ${isMended ? 'now only you can' : 'this disk keeps no permissions'}. Who has a copy can take part as this peer: remove it to come back as a new one`,
      );
    }
    return key;
  } catch (error) {
    throw new UserError('storage', `${path}: ${messageOf(error)}; wanted a file that is yours alone (mode 600)`);
  }
}

/** Permissions of a file; on Windows the user's folder keeps others out. */
function modeOf(path: string): number {
  return process.platform === 'win32' ? 0o600 : statSync(path).mode & 0o777;
}

/** What a state folder says of its run, or null. For commands that only look. */
export function readRun(path: string): Saved | null {
  if (!existsSync(path)) return null;
  try {
    const { version = RUN_VERSION, ...saved } = JSON.parse(readFileSync(path, 'utf8')) as Saved & { version?: number };
    if (version !== RUN_VERSION)
      throw new UserError(
        'incompatible',
        `${path}: written by another version of lorikeet (form ${version}; this one reads ${RUN_VERSION}); use that version, or choose another --state`,
      );
    if (typeof saved.settings !== 'object' || typeof saved.port !== 'number')
      throw new Error('settings or port are missing');
    const { mixedWith = {}, follows = null, invited = [], earlierRounds = 0 } = saved;
    return { ...saved, mixedWith, follows, invited, earlierRounds, settings: checkSettings(saved.settings, path) };
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
  const bytes = readBytes(path);
  const vector = decode('f32', bytes, bytes.length / 4);
  if (!vector) throw new UserError('storage', `${path}: torn; remove the folder to start afresh`);
  return vector;
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw failed(path, error);
  }
}

function readTexts(path: string): RowDigests | null {
  if (!existsSync(path)) return null;
  const bytes = Uint8Array.from(readBytes(path)); // a buffer of its own, so aligned
  if (bytes.length % 8 !== 0) throw new UserError('storage', `${path}: torn; remove the folder to start afresh`);
  return { words: new BigUint64Array(bytes.buffer) };
}

/** Looks into a state folder without locking it; `tell` hears where an earlier snapshot stands in for the newest. */
export function peekStore(
  folder: string,
  tell: Tell = () => {},
): { saved: Saved; snapshot: (runId: string) => Snapshot | null } {
  const saved = readRun(join(folder, FILES.run));
  if (!saved)
    throw new UserError('usage', `${folder}: no state of a peer; wanted the folder that "lorikeet up" or "join" named`);
  const { settings, follows } = saved;
  return {
    saved,
    snapshot: (runId) => snapshotsIn(folder).read({ runId, codec: settings.codec as CodecName, follows, tell }),
  };
}
