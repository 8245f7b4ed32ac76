/** @file Keys, the ids they give, and what is signed with them: Ed25519. The one door to libp2p's keys and ids. */
import { createPrivateKey, createPublicKey, type KeyObject, sign as signWith, verify as verifyWith } from 'node:crypto';
import {
  generateKeyPair,
  generateKeyPairFromSeed,
  privateKeyFromProtobuf,
  privateKeyToProtobuf,
  publicKeyFromRaw,
} from '@libp2p/crypto/keys';
import type { PeerId, PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id';
import { fromHex } from '../../protocol/bytes.ts';
import { UserError } from '../errors.ts';

export const PUBLIC_KEY_BYTES = 32;
export const SEED_BYTES = 32;
export const SIGNATURE_BYTES = 64;

/** What comes before a raw key in DER (RFC 8410). */
const PRIVATE_DER = fromHex('302e020100300506032b657004220420');
const PUBLIC_DER = fromHex('302a300506032b6570032100');

/** A new Ed25519 key; the same for the same 32 bytes of seed, where they are given (for demonstrations only). */
export async function generateKey(seed?: Uint8Array): Promise<Uint8Array> {
  return privateKeyToProtobuf(await (seed ? generateKeyPairFromSeed('Ed25519', seed) : generateKeyPair('Ed25519')));
}

/** A key as libp2p has it. Throws where the bytes are none. */
export function privateKeyOf(key: Uint8Array): PrivateKey {
  return privateKeyFromProtobuf(key);
}

/** An id as libp2p has it. Throws where the text is none. */
export function peerIdOf(id: string): PeerId {
  return peerIdFromString(id);
}

/** The peer id of a key; null where the bytes are no key. */
export function idOfKey(key: Uint8Array): string | null {
  try {
    return peerIdFromPrivateKey(privateKeyFromProtobuf(key)).toString();
  } catch {
    return null;
  }
}

/** The id of the key that a state folder keeps. Throws a UserError where that is none. */
export function ownIdOf(key: Uint8Array, folder: string): string {
  const id = idOfKey(key);
  if (id !== null) return id;
  throw new UserError('storage', `${folder}/key: not a key; restore it, or remove it to come back as a new peer`);
}

/** The 32 bytes of seed in a key. Throws where it is no Ed25519 key. */
export function seedOfKey(key: Uint8Array): Uint8Array {
  return privateKeyFromProtobuf(key).raw.subarray(0, SEED_BYTES);
}

/** The public key that an id is made of; null where it is no id of an Ed25519 key. */
export function publicKeyOf(id: string): Uint8Array | null {
  try {
    const peer = peerIdFromString(id);
    return peer.type === 'Ed25519' ? peer.publicKey.raw : null;
  } catch {
    return null;
  }
}

/** The peer id of a public key of 32 bytes. */
export function idOfPublicKey(publicKey: Uint8Array): string {
  return peerIdFromPublicKey(publicKeyFromRaw(publicKey)).toString();
}

/** The public key of a seed of 32 bytes. */
export function publicKeyOfSeed(seed: Uint8Array): Uint8Array {
  const der = createPublicKey(privateOf(seed)).export({ format: 'der', type: 'spki' });
  return new Uint8Array(der.subarray(PUBLIC_DER.length));
}

/** 64 bytes of signature, with a seed of 32 bytes. */
export function sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(signWith(null, message, privateOf(seed)));
}

/** Whether the signature of a message is by this public key of 32 bytes. */
export function isSigned(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    const key = createPublicKey({ key: Buffer.concat([PUBLIC_DER, publicKey]), format: 'der', type: 'spki' });
    return verifyWith(null, message, key, signature);
  } catch {
    return false;
  }
}

function privateOf(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PRIVATE_DER, seed]), format: 'der', type: 'pkcs8' });
}
