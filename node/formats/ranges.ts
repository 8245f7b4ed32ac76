/** @file Reads ranges of a file, and walks through one in order with a small window: never the whole in memory. */
import { closeSync, openSync, readSync } from 'node:fs';

/** A copy of the bytes [begin, end) of a file. Throws where it ends earlier. */
export type ReadRange = (begin: number, end: number) => Uint8Array<ArrayBuffer>;

/** Bytes of a file by range; the file is open only while it is read. */
export function rangesOf(path: string): ReadRange {
  return (begin, end) => {
    const file = openSync(path, 'r');
    try {
      return readFrom(file, begin, end);
    } finally {
      closeSync(file);
    }
  };
}

/** What `use` makes of a file's ranges, opened once. */
export function withRanges<T>(path: string, use: (read: ReadRange) => T): T {
  const file = openSync(path, 'r');
  try {
    return use((begin, end) => readFrom(file, begin, end));
  } finally {
    closeSync(file);
  }
}

function readFrom(file: number, begin: number, end: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(end - begin);
  for (let at = 0; at < bytes.length; ) {
    const count = readSync(file, bytes, at, bytes.length - at, begin + at);
    if (count === 0) throw new Error('the file ends early');
    at += count;
  }
  return bytes;
}

/** Little-endian numbers and texts one after the other; `fail` is told what was to be read where the file ends. */
export interface Walk {
  /** Where the next byte stands in the file. */
  readonly at: () => number;
  readonly u32: (what: string) => number;
  /** Above 2^53 rounded: far more than any file holds. */
  readonly u64: (what: string) => number;
  /** UTF-8 of at most 64 KiB; refused where it is none. */
  readonly text: (bytes: number, what: string) => string;
  readonly skip: (bytes: number, what: string) => void;
}

const WINDOW_BYTES = 1 << 16;

export function createWalk(read: ReadRange, size: number, fail: (problem: string) => never): Walk {
  let window = new Uint8Array(0);
  let [start, at] = [0, 0];
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** The next bytes, whose place in the window is returned. */
  const take = (bytes: number, what: string): number => {
    skip(bytes, what);
    const from = at - bytes;
    if (from < start || at > start + window.length) {
      start = from;
      window = read(from, Math.min(size, from + WINDOW_BYTES));
    }
    return from - start;
  };
  const skip = (bytes: number, what: string): void => {
    if (bytes > size - at) fail(`${what} at byte ${at} wants ${bytes} bytes, got ${size - at}`);
    at += bytes;
  };
  const u32 = (what: string): number => {
    const i = take(4, what);
    return (window[i]! | (window[i + 1]! << 8) | (window[i + 2]! << 16) | (window[i + 3]! << 24)) >>> 0;
  };
  return {
    at: () => at,
    u32,
    u64: (what) => u32(what) + u32(what) * 2 ** 32,
    text: (bytes, what) => {
      const i = take(bytes, what);
      try {
        return decoder.decode(window.subarray(i, i + bytes));
      } catch {
        return fail(`${what} at byte ${at - bytes} is not UTF-8`);
      }
    },
    skip,
  };
}
