/**
 * @file The weights of a base expanded once to float32 in one file, piece by piece, from where every session of every peer maps
 * the same pages; believed by its stamp, else compared with the base.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder, writeFileAtomic, writePiecesAtomic } from '../atomic.ts';
import { messageOf, UserError } from '../errors.ts';
import { narrow, type Width } from '../formats/narrow.ts';
import type { Architecture } from '../model/architecture.ts';
import type { WeightPlace } from '../model/base.ts';
import { whileLocked } from './lock.ts';
import { stampOf } from './stamp.ts';
import { type Checkpoint, piecesOf } from './stored.ts';

export const WEIGHTS_FILE = 'weights.bin';
const ALIGNMENT = 64;
/** A file that is changed later than this after another change has another time, on any disk that is likely to be fast. */
const TICK_MS = 20;

type Places = ReadonlyMap<string, WeightPlace>;

/** Where each parameter is to stand, in bytes, matrices in the width given, vectors in float32. */
export function placesOf(architecture: Architecture, width: Width = 'f32'): Map<string, WeightPlace> {
  const places = new Map<string, WeightPlace>();
  let offset = 0;
  for (const { name, shape } of architecture.parameters) {
    const dtype = shape.length === 1 ? undefined : DTYPES[width];
    const byteLength = (dtype ? 2 : 4) * shape.reduce((a, b) => a * b, 1);
    places.set(name, { shape, offset, byteLength, ...(dtype ? { dtype } : {}) });
    offset += aligned(byteLength);
  }
  return places;
}

const DTYPES = { f32: undefined, f16: 'float16', bf16: 'bfloat16' } as const;

/** The file of the weights in a width. */
export function weightsFile(width: Width): string {
  return width === 'f32' ? WEIGHTS_FILE : `weights-${width}.bin`;
}

/** The stamp that a file of weights had once it was whole. */
function stampFile(file: string): string {
  return file.replace(/\.bin$/, '.stamp');
}

/** A piece of a parameter as it is stored. Throws a UserError where float16 cannot hold it. */
function storedBytes({ path }: Checkpoint, piece: Float32Array, { dtype }: WeightPlace): Uint8Array {
  if (!dtype) return new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
  if (dtype === 'float16' && piece.some((x) => Math.abs(x) >= 65_520))
    throw new UserError('usage', `--base-precision f16: ${path} holds numbers beyond 65,504; wanted bf16 or f32`);
  return narrow(piece, dtype === 'float16' ? 'f16' : 'bf16');
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

function sizeOf(places: Places): number {
  const last = [...places.values()].at(-1)!;
  return last.offset + aligned(last.byteLength);
}

/**
 * Writes weights.bin unless it holds, number by number, what the base does. One process writes, others wait for it. Throws a
 * UserError where the base or the disk fails.
 */
export async function writeWeights(path: string, checkpoint: Checkpoint, places: Places): Promise<void> {
  const cache = dirname(path);
  if (isStamped(path)) return;
  await storing(path, async () => {
    makeFolder(cache);
    await whileLocked(cache, {}, async () => {
      if (isStamped(path)) return;
      if (!holds(path, checkpoint, places)) {
        removeUnfinished(path);
        await writePiecesAtomic(path, (file) => writeAll(file, checkpoint, places));
      }
      await stamp(path);
    });
  });
}

function isStamped(path: string): boolean {
  const found = stampOf(path);
  try {
    return found !== null && readFileSync(stampFile(path), 'utf8') === found.text;
  } catch {
    return false;
  }
}

async function stamp(path: string): Promise<void> {
  const found = stampOf(path);
  if (!found) return;
  const ageMs = Date.now() - found.changedMs;
  if (ageMs < TICK_MS) await sleep(Math.min(TICK_MS, TICK_MS - ageMs));
  await writeFileAtomic(stampFile(path), found.text);
}

/** What processes left that were ended while they wrote; nobody else writes now. */
function removeUnfinished(path: string): void {
  const cache = dirname(path);
  for (const name of readdirSync(cache))
    if (name.startsWith(basename(path)) && name.endsWith('.tmp')) rmSync(join(cache, name), { force: true });
}

async function writeAll(file: FileHandle, checkpoint: Checkpoint, places: Places): Promise<void> {
  for (const [name, tensor] of checkpoint.tensors) {
    const place = places.get(name)!;
    let at = place.offset;
    for (const piece of piecesOf(checkpoint, name, tensor)) {
      const bytes = storedBytes(checkpoint, piece, place);
      for (let done = 0; done < bytes.length; )
        done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
      at += bytes.length;
    }
  }
  await file.truncate(sizeOf(places));
}

/** Whether a file is of that size and has every tensor at its place. */
function holds(path: string, checkpoint: Checkpoint, places: Places): boolean {
  let file: number;
  try {
    const stat = statSync(path);
    if (!stat.isFile() || stat.size !== sizeOf(places)) return false;
    file = openSync(path, 'r');
  } catch {
    return false; // what cannot be read is written anew
  }
  try {
    for (const [name, tensor] of checkpoint.tensors) {
      const place = places.get(name)!;
      let at = place.offset;
      for (const piece of piecesOf(checkpoint, name, tensor)) {
        const wanted = storedBytes(checkpoint, piece, place);
        const found = Buffer.alloc(wanted.length);
        if (readSync(file, found, 0, found.length, at) !== found.length) return false;
        if (!found.equals(wanted)) return false;
        at += found.length;
      }
    }
    return true;
  } finally {
    closeSync(file);
  }
}

/** Every weight as one vector, in the order of the places. */
export function readWeights(cache: string, places: Places): Float32Array {
  const total = [...places.values()].reduce((sum, place) => sum + place.byteLength / 4, 0);
  const vector = new Float32Array(total);
  const file = openSync(join(cache, WEIGHTS_FILE), 'r');
  try {
    let at = 0;
    for (const { offset, byteLength } of places.values()) {
      // No more than 2 GB are read at once.
      for (let done = 0; done < byteLength; ) {
        const bytes = new Uint8Array(vector.buffer, at + done, Math.min(1 << 24, byteLength - done));
        const count = readSync(file, bytes, 0, bytes.length, offset + done);
        if (count === 0) throw new Error(`${WEIGHTS_FILE} ends early`);
        done += count;
      }
      at += byteLength;
    }
  } finally {
    closeSync(file);
  }
  return vector;
}

/** Turns what the disk says into a UserError. */
export async function storing(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (error instanceof UserError && error.mistake !== 'storage') throw error;
    throw new UserError(
      'storage',
      `${path}: cannot be written (${messageOf(error)}); set LORIKEET_CACHE to a folder with room`,
    );
  }
}
