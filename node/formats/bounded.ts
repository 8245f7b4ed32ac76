/** @file Reads a file or a pipe as a whole, up to a bound: what is longer, or has no end, is refused before it fills the memory. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const PIECE_BYTES = 1 << 16;
/** The system reads no more at once. */
const MOST_AT_ONCE = 1 << 30;

/** All bytes of a file. Throws where there are more than `most`, and what the system throws. */
export function readBounded(path: string, most: number): Uint8Array<ArrayBuffer> {
  const file = openSync(path, 'r');
  try {
    // A pipe has no size; a file may grow.
    const { size } = fstatSync(file);
    let bytes = new Uint8Array(size > most ? 0 : Math.max(size + 1, PIECE_BYTES));
    let length = 0;
    for (let count = -1; count !== 0 && size <= most && length <= most; length += Math.max(0, count)) {
      if (length === bytes.length) bytes = longer(bytes, most);
      count = readSync(file, bytes, length, Math.min(bytes.length - length, MOST_AT_ONCE), null);
    }
    if (size > most || length > most) throw new Error(`it is longer than ${shownBytes(most)}, the most that is read`);
    return bytes.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

function longer(bytes: Uint8Array, most: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(Math.min(2 * bytes.length, most + 1));
  out.set(bytes);
  return out;
}

/** A number of bytes in words. */
export function shownBytes(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
