/**
 * @file What an invite holds beside addresses: its secret, and how its giver belongs to the run. Nobody need be online for it to
 * be good. Whoever has it can take its places.
 */
import { createHash, randomBytes } from 'node:crypto';
import { Reader, Writer } from '../../protocol/bytes.ts';
import {
  type Chain,
  messageOf,
  type Pass,
  passMessage,
  placeMessage,
  readChain,
  readPass,
  writeChain,
  writePass,
} from './chain.ts';
import { publicKeyOf, publicKeyOfSeed, SEED_BYTES, seedOfKey, sign } from './identity.ts';

export interface Ticket {
  /** How its giver belongs. */
  readonly chain: Chain;
  readonly pass: Pass;
  /** Seed of the invite's key, 32 bytes. */
  readonly secret: Uint8Array;
  /** What all invites to the run share, and who has none of them does not: 16 bytes, of which its network's key is made. */
  readonly network: Uint8Array;
}

export const NETWORK_BYTES = 16;

/** What the invites to a run share, as its first peer works it out of its key. */
export function networkOf(key: Uint8Array, runId: string): Uint8Array {
  const hash = createHash('sha256').update(messageOf('network', runId, [seedOfKey(key)]));
  return new Uint8Array(hash.digest().subarray(0, NETWORK_BYTES));
}

/** The pre-shared key of a network, 32 bytes. */
export function networkKeyOf(network: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update('lorikeet network').update(network).digest());
}

/**
 * Makes one. `chain` is the giver's own, `expires` in seconds since 1970 or 0; `network` is what the invite it came by says, left out
 * for the first peer.
 */
export function issueTicket(options: {
  runId: string;
  key: Uint8Array;
  chain: Chain;
  uses: number;
  expires: number;
  network?: Uint8Array;
}): Ticket {
  const { runId, key, chain, uses, expires, network = networkOf(key, runId) } = options;
  const [secret, seed] = [new Uint8Array(randomBytes(SEED_BYTES)), seedOfKey(key)];
  const open = { key: publicKeyOfSeed(secret), uses, expires };
  const signature = sign(seed, passMessage(runId, publicKeyOfSeed(seed), open));
  return { chain, pass: { ...open, signature }, secret, network };
}

/** The chain of who takes a place by this ticket. */
export function takePlace({ chain, pass, secret }: Ticket, runId: string, id: string, place: number): Chain {
  const member = publicKeyOf(id)!;
  const signature = sign(secret, placeMessage(runId, pass, place, member));
  return [...chain, { pass, place, member, signature, witness: null }];
}

/** A place at random. */
export function anyPlace({ pass }: Ticket): number {
  return randomBytes(4).readUInt32LE() % pass.uses;
}

/** Whether nobody new may come by it any more; `now` in ms. */
export function isExpired({ expires }: Pass, now: number): boolean {
  return expires !== 0 && now >= expires * 1000;
}

/** Shows that a caller, by its id of the moment, holds the ticket, without taking a place. */
export function holderProof({ chain, pass, secret }: Ticket, runId: string, id: string): Uint8Array {
  const signature = sign(secret, messageOf('question', runId, [publicKeyOf(id)!]));
  return writePass(writeChain(new Writer(), chain), pass).raw(signature).finish();
}

export function encodeTicket({ chain, pass, secret, network }: Ticket): Uint8Array {
  return writePass(writeChain(new Writer(), chain), pass).raw(secret).raw(network).finish();
}

/** The ticket in some bytes; null where they are none. */
export function decodeTicket(bytes: Uint8Array): Ticket | null {
  const reader = new Reader(bytes);
  const chain = readChain(reader);
  const [pass, secret, network] = [readPass(reader), reader.raw(SEED_BYTES), reader.raw(NETWORK_BYTES)];
  return reader.done() && pass.uses > 0 ? { chain, pass, secret, network } : null;
}
