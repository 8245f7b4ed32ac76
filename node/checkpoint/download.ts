/** @file Downloads one file into a blob: goes on where it stopped, and is the blob only once size and hash are those listed. */
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { messageOf, UserError } from '../errors.ts';
import { UNFINISHED } from './cache.ts';
import { type Answer, type Asker, Hitch, notTheHub, persist, unreachable, withAnswer } from './request.ts';

/** A file as the Hub lists it. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** SHA-256 of the bytes where it has 64 digits (large files), of 40 SHA-1 as git counts it (small ones). */
  readonly hash: string;
}

/** What has come so far. */
interface Part {
  readonly path: string;
  have: number;
}

export interface Download {
  readonly asker: Asker;
  readonly file: HubFile;
  readonly url: URL;
  /** That the snapshot was listed at. */
  readonly commit: string;
  /** Where the file is to be. */
  readonly blob: string;
  /** Takes how many bytes are there. */
  readonly onBytes: (have: number) => void;
}

/**
 * Downloads a file. Throws a UserError, or what the signal was aborted with; the bytes that came stay for the next time.
 */
export async function download(given: Download): Promise<void> {
  const { asker, file, blob } = given;
  const part: Part = { path: `${blob}${UNFINISHED}`, have: await partSize(blob) };
  if (part.have > file.size) part.have = 0;
  // Bytes of an earlier time may be broken: once more, from the start.
  for (const isLast of [false, true]) {
    given.onBytes(part.have);
    await persist(
      asker,
      () => fetchRest(given, part),
      () => part.have,
    );
    // Of the bytes on the disk, which are those that will be read.
    if ((await attempted(part.path, () => hashOf(part.path, file))) === file.hash) {
      await attempted(part.path, () => rename(part.path, blob));
      return;
    }
    await attempted(part.path, () => rm(part.path, { force: true }));
    part.have = 0;
    if (isLast)
      throw unreachable(
        asker,
        `${file.path} came twice with other bytes than listed (hash ${file.hash.slice(0, 12)}); a proxy or the line breaks them: try another network`,
      );
  }
}

/** The hash of a file on this disk, as the Hub lists it. */
export async function hashOf(path: string, { size, hash }: HubFile): Promise<string> {
  const digest = hash.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
  for await (const piece of createReadStream(path)) digest.update(piece as Buffer);
  return digest.digest('hex');
}

/** How many bytes of a file came the last time. */
export async function partSize(blob: string): Promise<number> {
  return stat(`${blob}${UNFINISHED}`).then(
    ({ size }) => size,
    () => 0,
  );
}

async function fetchRest({ asker, file, url, commit, onBytes }: Download, part: Part): Promise<void> {
  const handle = await attempted(part.path, () => open(part.path, constants.O_RDWR | constants.O_CREAT));
  try {
    if (part.have < file.size)
      await withAnswer(asker, url, part.have > 0 ? { range: `bytes=${part.have}-` } : {}, async (answer) => {
        checkAnswer(asker, file, commit, answer);
        settle(answer, file, part);
        await attempted(part.path, () => handle.truncate(part.have));
        for await (const piece of answer.pieces()) {
          if (part.have + piece.length > file.size) {
            part.have = 0;
            throw new Hitch(`${file.path} came with more than the ${file.size} bytes listed`);
          }
          await writeAll(handle, piece, part);
          onBytes(part.have);
        }
      });
    if (part.have < file.size) throw new Hitch(`${file.path} ended after ${part.have} bytes; wanted ${file.size}`);
    await attempted(part.path, async () => {
      await handle.truncate(file.size);
      await handle.sync();
    });
  } finally {
    await handle.close();
  }
}

/** Begins anew where an answer does not go on at `have`. Throws a Hitch where it is of other bytes. */
function settle({ status, headers }: Answer, file: HubFile, part: Part): void {
  const range = headers.get('content-range') ?? '';
  const [, from, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range) ?? [];
  if (status === 206 && Number(from) === part.have && (total === '*' || Number(total) === file.size)) return;
  const asked = part.have;
  part.have = 0;
  if (status !== 200)
    throw new Hitch(
      `${file.path} was asked for from byte ${asked} of ${file.size}; got ${`${status} ${range}`.trim()}`,
    );
}

/** Throws a UserError where the answer is of another file than the one listed, or of none. */
function checkAnswer(asker: Asker, file: HubFile, commit: string, { headers, told }: Answer): void {
  const given = told.get('x-linked-etag') ?? (headers === told ? told.get('etag') : null);
  // A server between may have tags of its own kind.
  const tag = /^(?:W\/)?"?([0-9a-f]{40}|[0-9a-f]{64})"?$/.exec(given ?? '')?.[1];
  const [size, at] = [told.get('x-linked-size'), told.get('x-repo-commit')];
  const other =
    tag && tag !== file.hash
      ? `hash ${tag.slice(0, 12)}; listed as ${file.hash.slice(0, 12)}`
      : size !== null && Number(size) !== file.size
        ? `${size} bytes; listed with ${file.size}`
        : at !== null && at !== commit
          ? `commit ${at.slice(0, 12)}; asked for at ${commit.slice(0, 12)}`
          : null;
  if (other !== null)
    throw unreachable(asker, `${file.path} is given as ${other}; check HF_ENDPOINT, or try again later`);
  if (!tag && headers.get('content-type')?.startsWith('text/html')) throw notTheHub(asker, headers);
}

async function writeAll(handle: FileHandle, piece: Uint8Array, part: Part): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    const { bytesWritten } = await attempted(part.path, () =>
      handle.write(piece, done, piece.length - done, part.have),
    );
    part.have += bytesWritten;
    done += bytesWritten;
  }
}

/** Throws a UserError where the disk refuses. */
async function attempted<T>(path: string, act: () => Promise<T>): Promise<T> {
  return act().catch((error: unknown) => {
    throw new UserError(
      'storage',
      `${path}: ${messageOf(error)}; check its permissions and the space left, or set HF_HUB_CACHE to another folder`,
    );
  });
}
