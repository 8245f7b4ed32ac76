/** @file Quick digests for virtual time: of bytes, and of what happens, one thing after the other. Not for security. */
import { HASH_BYTES, type Hash } from '../../protocol/frame.ts';

/** A quick digest for virtual time, good until the next. Four lanes over words of four bytes. */
export const quickHash: Hash = (bytes) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let [a, b, c, d] = [0x811c9dc5, 0x811c9dc4, 0x811c9dc7, 0x811c9dc6];
  const words = bytes.length & ~15;
  for (let i = 0; i < words; i += 16) {
    a = turn(a, view.getInt32(i, true));
    b = turn(b, view.getInt32(i + 4, true));
    c = turn(c, view.getInt32(i + 8, true));
    d = turn(d, view.getInt32(i + 12, true));
  }
  for (let i = words; i < bytes.length; i++) a = turn(a, bytes[i]!);
  DIGEST_WORDS[0] = a ^ bytes.length;
  DIGEST_WORDS[1] = b ^ a;
  DIGEST_WORDS[2] = c ^ b;
  DIGEST_WORDS[3] = d ^ c;
  return DIGEST;
};

const DIGEST = new Uint8Array(HASH_BYTES);
const DIGEST_WORDS = new Int32Array(DIGEST.buffer);

/** A 32-bit digest that has taken in one more word. */
export function turn(h: number, word: number): number {
  const mixed = Math.imul(h ^ word, 0x01000193);
  return mixed ^ (mixed >>> 15);
}

/** The digest a frame begins with, in 32 bits. */
export function headOf(bytes: Uint8Array): number {
  let h = bytes.length;
  for (let i = 0; i < Math.min(bytes.length, HASH_BYTES); i += 2) h = turn(h, bytes[i]! | (bytes[i + 1]! << 8));
  return h;
}
