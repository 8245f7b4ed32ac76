/** @file Bytes to text: UTF-8 or UTF-16, plain or gzipped, recognised by what the file holds; anything else is named. */
import { gunzipSync } from 'node:zlib';
import { codeOf, messageOf, UserError } from '../errors.ts';
import { readBounded, shownBytes } from '../formats/bounded.ts';

/** The longest text that Node can hold. */
const MAX_BYTES = 0x1fffffe8;
/** Text is packed to a third or a tenth; what grows by more than this, and beyond what does no harm, is there to fill the memory. */
const MOST_GROWTH = 20;
const HARMLESS_BYTES = 16_000_000;
const PIECE_BYTES = 1 << 20;

/** What is no text, by its first bytes. */
const KINDS: readonly (readonly [what: string, beginning: readonly number[]])[] = [
  ['a ZIP archive, as spreadsheets are too', [0x50, 0x4b, 3, 4]],
  ['a Parquet table', [0x50, 0x41, 0x52, 0x31]],
  ['an old Excel sheet', [0xd0, 0xcf, 0x11, 0xe0]],
  ['a PDF', [0x25, 0x50, 0x44, 0x46, 0x2d]],
  ['a bzip2 archive', [0x42, 0x5a, 0x68]],
  ['an xz archive', [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ['a zstd archive', [0x28, 0xb5, 0x2f, 0xfd]],
  ['an SQLite database', [0x53, 0x51, 0x4c, 0x69, 0x74, 0x65, 0x20]],
  ['an Arrow table', [0x41, 0x52, 0x52, 0x4f, 0x57, 0x31]],
  ['UTF-32', [0xff, 0xfe, 0, 0]],
  ['UTF-32', [0, 0, 0xfe, 0xff]],
];

/** The text of a file, without a byte order mark. Throws a UserError that names what it holds instead. */
export function readText(path: string): string {
  let bytes: Uint8Array;
  try {
    bytes = readBounded(path, MAX_BYTES);
    // By content: a browser may have unpacked what is still named .gz.
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = unpack(bytes);
  } catch (error) {
    throw new UserError('usage', `${path}: cannot be read (${messageOf(error)}); wanted a UTF-8 file of texts`);
  }
  const other = KINDS.find(([, beginning]) => beginning.every((byte, i) => bytes[i] === byte))?.[0];
  if (other) throw new UserError('usage', `${path}: holds ${other}; wanted a UTF-8 file of texts, plain or gzipped`);
  const encoding = encodingOf(bytes);
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
    const nul = text.indexOf('\0');
    if (nul < 0) return text;
    throw new Error(`a NUL byte on line ${text.slice(0, nul).split('\n').length}`);
  } catch (error) {
    const next = encoding === 'utf-8' ? `; if it is Windows-1252: ${conversion(path)}` : '';
    throw new UserError(
      'usage',
      `${path}: cannot be read as ${encoding.toUpperCase()} (${encoding === 'utf-8' ? placeOf(bytes, error) : messageOf(error)}); wanted a UTF-8 file of texts${next}`,
    );
  }
}

/** What was gzipped. Throws where it is far more than text packs to. */
function unpack(packed: Uint8Array): Uint8Array {
  const most = Math.min(MAX_BYTES, Math.max(HARMLESS_BYTES, MOST_GROWTH * packed.length));
  try {
    return gunzipSync(packed, { maxOutputLength: most, chunkSize: PIECE_BYTES });
  } catch (error) {
    if (codeOf(error) !== 'ERR_BUFFER_TOO_LARGE') throw error;
    throw new Error(
      `its ${shownBytes(packed.length)} unpack to more than ${shownBytes(most)}, which no text does; if it is one, unpack it first`,
    );
  }
}

/**
 * By the mark at the beginning; without one, UTF-16 shows in its first characters, since every kind of file begins in ASCII
 * and so with a zero in every other byte.
 */
function encodingOf(bytes: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  const [a, b, c, d] = bytes;
  if (a === 0xff && b === 0xfe) return 'utf-16le';
  if (a === 0xfe && b === 0xff) return 'utf-16be';
  if (a && c && b === 0 && d === 0) return 'utf-16le';
  if (b && d && a === 0 && c === 0) return 'utf-16be';
  return 'utf-8';
}

/** Where bytes stop being UTF-8. */
function placeOf(bytes: Uint8Array, error: unknown): string {
  if (!(error instanceof TypeError)) return messageOf(error);
  for (let start = 0, line = 1; start < bytes.length; line++) {
    const newline = bytes.indexOf(10, start);
    const end = newline < 0 ? bytes.length : newline;
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(start, end));
    } catch {
      return `line ${line} is not UTF-8`;
    }
    start = end + 1;
  }
  return messageOf(error);
}

function conversion(path: string): string {
  return `iconv -f WINDOWS-1252 -t UTF-8 ${path.endsWith('.gz') ? 'FILE' : path}`;
}
