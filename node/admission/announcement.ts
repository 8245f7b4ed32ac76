/** @file What goes to everybody: a frame, beside it how its author belongs to the run and whom it asks others to refuse. */
import { Reader, Writer } from '../../protocol/bytes.ts';
import { MAX_TOLD_AT_ONCE } from './book.ts';
import { MAX_CHAIN_BYTES } from './chain.ts';
import { idOfPublicKey, PUBLIC_KEY_BYTES, publicKeyOf } from './identity.ts';

export interface Announcement {
  /** Empty in an open run. */
  readonly proof: Uint8Array;
  /** Ids. */
  readonly bans: readonly string[];
  readonly frame: Uint8Array;
}

/** Bytes before the frame at most. */
export const MAX_PREAMBLE_BYTES = 2 + MAX_CHAIN_BYTES + 1 + MAX_TOLD_AT_ONCE * PUBLIC_KEY_BYTES;

export function encodeAnnouncement({ proof, bans, frame }: Announcement): Uint8Array {
  const keys = bans.flatMap((id) => publicKeyOf(id) ?? []).slice(0, MAX_TOLD_AT_ONCE);
  const writer = new Writer(3 + proof.length + keys.length * PUBLIC_KEY_BYTES + frame.length);
  writer.u16(proof.length).raw(proof).u8(keys.length);
  for (const key of keys) writer.raw(key);
  return writer.raw(frame).finish();
}

/** The announcement in some bytes; null where they are none. */
export function decodeAnnouncement(bytes: Uint8Array): Announcement | null {
  const reader = new Reader(bytes);
  const proof = reader.raw(Math.min(reader.u16(), MAX_CHAIN_BYTES + 1));
  const count = reader.u8();
  if (proof.length > MAX_CHAIN_BYTES || count > MAX_TOLD_AT_ONCE) return null;
  const keys = Array.from({ length: count }, () => reader.raw(PUBLIC_KEY_BYTES));
  const frame = reader.raw(reader.left());
  return reader.failed ? null : { proof, bans: keys.map(idOfPublicKey), frame };
}
