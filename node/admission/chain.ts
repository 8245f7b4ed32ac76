/**
 * @file How a peer proves that it belongs to a run: a chain of links from the first peer to itself. Of each link a member has
 * signed an invite, and the invite's own key has signed that one id takes one of its places.
 */
import { Reader, Writer } from '../../protocol/bytes.ts';
import { idOfPublicKey, isSigned, PUBLIC_KEY_BYTES, publicKeyOf, SIGNATURE_BYTES } from './identity.ts';

/** An invite as its giver has signed it. */
export interface Pass {
  /** The invite's own public key, 32 bytes. */
  readonly key: Uint8Array;
  /** How many places it has. */
  readonly uses: number;
  /** Until when somebody new may come by it (s since 1970); 0: for ever. */
  readonly expires: number;
  readonly signature: Uint8Array;
}

/** Says that a member was there before its invite expired. */
export interface Witness {
  /** Public key of the member that says so. */
  readonly by: Uint8Array;
  readonly signature: Uint8Array;
}

export interface Link {
  readonly pass: Pass;
  /** Which of the invite's places, from 0. */
  readonly place: number;
  /** Public key of who takes it. */
  readonly member: Uint8Array;
  /** By the invite's key. */
  readonly signature: Uint8Array;
  readonly witness: Witness | null;
}

/** From the first peer's invite on; empty for the first peer itself. */
export type Chain = readonly Link[];

/** The first peer's guests, their guests, and theirs. */
export const MAX_LINKS = 3;
export const MAX_USES = 65_535;
const PASS_BYTES = PUBLIC_KEY_BYTES + 2 + 4 + SIGNATURE_BYTES;
const LINK_BYTES = PASS_BYTES + 2 + PUBLIC_KEY_BYTES + SIGNATURE_BYTES + 1;
/** Of a chain of so many links, each with its witness. */
export const MAX_CHAIN_BYTES = 1 + MAX_LINKS * (LINK_BYTES + PUBLIC_KEY_BYTES + SIGNATURE_BYTES);

export function writePass(writer: Writer, { key, uses, expires, signature }: Pass): Writer {
  return writer.raw(key).u16(uses).u32(expires).raw(signature);
}

export function readPass(reader: Reader): Pass {
  const [key, uses, expires] = [reader.raw(PUBLIC_KEY_BYTES), reader.u16(), reader.u32()];
  return { key, uses, expires, signature: reader.raw(SIGNATURE_BYTES) };
}

export function writeChain(writer: Writer, chain: Chain): Writer {
  writer.u8(chain.length);
  for (const { pass, place, member, signature, witness } of chain) {
    writePass(writer, pass).u16(place).raw(member).raw(signature);
    writer.u8(witness ? 1 : 0);
    if (witness) writer.raw(witness.by).raw(witness.signature);
  }
  return writer;
}

/** A chain; the reader has failed where there is none. */
export function readChain(reader: Reader): Chain {
  const count = reader.u8();
  if (count > MAX_LINKS) reader.failed = true;
  return Array.from({ length: reader.failed ? 0 : count }, (): Link => {
    const pass = readPass(reader);
    const [place, member, signature] = [reader.u16(), reader.raw(PUBLIC_KEY_BYTES), reader.raw(SIGNATURE_BYTES)];
    const hasWitness = reader.u8();
    if (hasWitness > 1) reader.failed = true;
    const witness = hasWitness ? { by: reader.raw(PUBLIC_KEY_BYTES), signature: reader.raw(SIGNATURE_BYTES) } : null;
    return { pass, place, member, signature, witness };
  });
}

export function encodeChain(chain: Chain): Uint8Array {
  return writeChain(new Writer(MAX_CHAIN_BYTES), chain).finish();
}

/** The chain in some bytes; null where they are none. */
export function decodeChain(bytes: Uint8Array): Chain | null {
  if (bytes.length > MAX_CHAIN_BYTES) return null;
  const reader = new Reader(bytes);
  const chain = readChain(reader);
  return reader.done() ? chain : null;
}

/** The chain that a state keeps as base64; null where there is none. */
export function chainInText(text: string): Chain | null {
  return decodeChain(new Uint8Array(Buffer.from(text, 'base64')));
}

/** The ids a good chain leads through, the first peer's first. */
export function idsOf(founder: string, chain: Chain): string[] {
  return [founder, ...chain.map(({ member }) => idOfPublicKey(member))];
}

type Signed = 'invite' | 'place' | 'witness' | 'question' | 'network';

/** What is signed, or hashed: of what kind it is, of which run, and its parts. */
export function messageOf(kind: Signed, runId: string, parts: readonly Uint8Array[]): Uint8Array {
  const writer = new Writer().ascii(`lorikeet ${kind}`).ascii(runId);
  for (const part of parts) writer.raw(part);
  return writer.finish();
}

/** What the giver of an invite signs. */
export function passMessage(
  runId: string,
  by: Uint8Array,
  { key, uses, expires }: Omit<Pass, 'signature'>,
): Uint8Array {
  return messageOf('invite', runId, [by, key, new Writer(6).u16(uses).u32(expires).finish()]);
}

/** What the invite's key signs. */
export function placeMessage(runId: string, pass: Pass, place: number, member: Uint8Array): Uint8Array {
  return messageOf('place', runId, [pass.key, new Writer(2).u16(place).finish(), member]);
}

/** What a witness signs: this member has come by this invite in time. */
export function witnessMessage(runId: string, pass: Pass, member: Uint8Array): Uint8Array {
  return messageOf('witness', runId, [pass.key, member]);
}

/** Whether a member, by its public key, has signed the invite. */
export function isPassOf(by: Uint8Array, runId: string, pass: Pass): boolean {
  return isSigned(by, passMessage(runId, by, pass), pass.signature);
}

/**
 * The ids a chain leads through, the first peer's first and its own last; null where it does not lead from the one to the other.
 * Nothing is said of time, of places taken, or of bans.
 */
export function lineageOf(
  chain: Chain,
  { runId, founder, id }: { runId: string; founder: string; id: string },
): string[] | null {
  let by = publicKeyOf(founder);
  if (!by) return null;
  for (const { pass, place, member, signature } of chain) {
    if (place >= pass.uses || !isPassOf(by, runId, pass)) return null;
    if (!isSigned(pass.key, placeMessage(runId, pass, place, member), signature)) return null;
    by = member;
  }
  const lineage = idsOf(founder, chain);
  const isOnce = new Set(lineage).size === lineage.length;
  return isOnce && lineage.at(-1) === id ? lineage : null;
}
