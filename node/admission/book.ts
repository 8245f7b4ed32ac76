/**
 * @file Who is in the run as far as this peer knows: proofs checked once and kept, a place for one id, bans for an id and whom it
 * has invited. In an open run everybody is.
 */
import { equalBytes, Reader } from '../../protocol/bytes.ts';
import type { Refusal } from '../../protocol/frame.ts';
import { MAX_MEMBERS } from '../../protocol/membership.ts';
import { UserError } from '../errors.ts';
import { refuserOf, type Verdicts } from './bans.ts';
import {
  type Chain,
  chainInText,
  decodeChain,
  encodeChain,
  idsOf,
  isPassOf,
  type Link,
  lineageOf,
  messageOf,
  type Pass,
  readChain,
  readPass,
  witnessMessage,
} from './chain.ts';
import { idOfPublicKey, isSigned, publicKeyOf, SIGNATURE_BYTES, seedOfKey, sign } from './identity.ts';
import { anyPlace, isExpired, type Ticket, takePlace } from './ticket.ts';

/** Somebody whose proof is good. */
export interface Admitted {
  readonly proof: Uint8Array;
  readonly chain: Chain;
  /** Ids from the first peer to itself. */
  readonly lineage: readonly string[];
}

export const DENIALS = [
  'not-admitted',
  'invite-expired',
  'place-taken',
  'banned',
  'too-many-members',
] as const satisfies readonly Refusal[];

/** Why a proof is not good; `free`: a place that is, where the one asked for is taken. */
export interface Denial {
  readonly code: (typeof DENIALS)[number];
  readonly free: number | null;
}

/** What a book keeps between lives, bytes in base64. */
export interface Kept {
  readonly runId: string;
  /** This peer's own proof; empty for none. */
  readonly own: string;
  /** What the invites to the run share; empty in an open run. */
  readonly network: string;
  /** By id. */
  readonly proofs: Readonly<Record<string, string>>;
  /** Who is refused since one that invited it says so, and who that is. */
  readonly told: Readonly<Record<string, string>>;
}

export interface Book {
  readonly isOpen: boolean;
  /** This peer's own proof; empty in an open run. */
  proof(): Uint8Array;
  /** Checks a proof, and takes in whose it is; null: it is good. */
  check(id: string, proof: Uint8Array): Denial | null;
  isAdmitted(id: string): boolean;
  isBanned(id: string): boolean;
  /** By which invite somebody came; '' for the first peer, and in an open run. */
  inviteOf(id: string): string;
  /** How many of those known here have come by an invite. */
  placesTaken(pass: Pass): number;
  /** Signed by this peer: somebody admitted was here before its invite expired; null where that never does. */
  witnessFor(id: string): Uint8Array | null;
  /** Takes in what another has signed of this peer. */
  takeWitness(from: string, signature: Uint8Array): void;
  /** Takes another place of the invite this peer has come by; false where it cannot. */
  moveTo(place: number): boolean;
  /** Whether a caller, not admitted itself, has shown that it holds an invite. */
  holdsInvite(id: string, proof: Uint8Array): boolean;
  /** What the user says. Gives those who are refused by it now. */
  rule(verdicts: Verdicts): string[];
  /** What somebody says of whom to refuse: believed of those it has invited. Gives those who are refused by it now. */
  hearBans(from: string, ids: readonly string[]): string[];
  /** Whom this peer tells the others to refuse. */
  bansToTell(): string[];
  keep(): Omit<Kept, 'runId' | 'network'>;
}

/** Ids that one announcement tells others to refuse. */
export const MAX_TOLD_AT_ONCE = 8;
/** Ids refused because others have said so. */
const MAX_TOLD = 4096;
/** How often this peer moves to another place: who says that one is taken may lie. */
const MAX_MOVES = 64;

export interface BookOptions {
  readonly runId: string;
  /** Id of the first peer; '': an open run. */
  readonly founder: string;
  readonly id: string;
  readonly key: Uint8Array;
  /** The invite this peer comes by, if any. */
  readonly ticket?: Ticket | null;
  readonly kept?: Omit<Kept, 'runId' | 'network'> | null;
  /** Ids that whoever invited this peer has told it of. */
  readonly trusted?: readonly string[];
  /** ms since 1970. */
  readonly now?: () => number;
  /** There is something new to keep. */
  readonly onChange?: () => void;
}

/** Throws a UserError where this peer cannot prove that it belongs. */
export function createBook(options: BookOptions): Book {
  const { runId, founder, id: self, key, ticket = null, kept = null, now = Date.now } = options;
  const { trusted = [], onChange = () => {} } = options;
  const isOpen = founder === '';
  const admitted = new Map<string, Admitted>();
  /** Who has which place of which invite. */
  const places = new Map<string, string>();
  const told = new Map<string, string>(Object.entries(kept?.told ?? {}));
  let verdicts: Verdicts = {};
  let moves = 0;
  let own = isOpen ? [] : ownChain(options);
  let ownProof = isOpen ? new Uint8Array() : encodeChain(own);
  const ownLineage = isOpen ? [] : idsOf(founder, own);

  const isNamed = (id: string): boolean => refuserOf(id, verdicts, told) !== null;
  const isRefused = (id: string, lineage = admitted.get(id)?.lineage ?? []): boolean =>
    isNamed(id) || lineage.some((one) => one !== self && isNamed(one));
  /** All that are, in the order they were met. */
  const refused = (): string[] =>
    [...new Set([...Object.keys(verdicts), ...told.keys(), ...admitted.keys()])].filter((id) => isRefused(id));
  const newlyRefused = (act: () => void): string[] => {
    const before = new Set(refused());
    act();
    return refused().filter((id) => !before.has(id));
  };
  const enter = (id: string, one: Admitted): void => {
    const before = admitted.get(id)?.chain.at(-1);
    if (before && places.get(placeOf(before)) === id) places.delete(placeOf(before));
    for (const link of one.chain) if (holderOf(link) === null) places.set(placeOf(link), idOfPublicKey(link.member));
    admitted.set(id, one);
  };
  const isKnown = (id: string): boolean => admitted.has(id) || trusted.includes(id) || ownLineage.includes(id);
  /** Whether somebody came before its invite expired, as far as this peer can tell. */
  const cameInTime = ({ pass, member, witness }: Link): boolean => {
    if (!isExpired(pass, now()) || isKnown(idOfPublicKey(member))) return true;
    if (!witness || equalBytes(witness.by, member)) return false;
    const by = idOfPublicKey(witness.by);
    return (
      isKnown(by) && !isRefused(by) && isSigned(witness.by, witnessMessage(runId, pass, member), witness.signature)
    );
  };
  const holderOf = (link: Link): string | null => {
    const holder = places.get(placeOf(link));
    return holder === undefined || holder === idOfPublicKey(link.member) ? null : holder;
  };
  const freePlace = (pass: Pass): number | null => {
    const begin = Math.floor(Math.random() * pass.uses);
    for (let i = 0; i < pass.uses; i++) {
      const place = (begin + i) % pass.uses;
      if (!places.has(placeOf({ pass, place }))) return place;
    }
    return null;
  };
  const settle = (chain: Chain): void => {
    own = chain;
    ownProof = encodeChain(chain);
    enter(self, { proof: ownProof, chain, lineage: ownLineage });
  };
  const change = (chain: Chain): void => {
    settle(chain);
    onChange();
  };

  if (!isOpen) {
    for (const [id, text] of Object.entries(kept?.proofs ?? {})) {
      const proof = new Uint8Array(Buffer.from(text, 'base64'));
      const chain = decodeChain(proof); // it was checked when it came
      if (chain) enter(id, { proof, chain, lineage: idsOf(founder, chain) });
    }
    settle(own);
  }

  return {
    isOpen,
    proof: () => ownProof,
    check: (id, given) => {
      const deny = (code: Denial['code'], free: number | null = null): Denial => ({ code, free });
      const known = admitted.get(id);
      if (isRefused(id)) return deny('banned');
      if (isOpen || (known && equalBytes(known.proof, given))) return null;
      const proof = Uint8Array.from(given);
      const chain = decodeChain(proof);
      const lineage = chain && lineageOf(chain, { runId, founder, id });
      if (!lineage) return deny('not-admitted');
      if (isRefused(id, lineage)) return deny('banned');
      if (!chain.every(cameInTime)) return deny('invite-expired');
      // Of who has invited it, this peer may know another place by now.
      const isSettled = (link: Link): boolean => link !== chain.at(-1) && admitted.has(idOfPublicKey(link.member));
      const taken = chain.find((link) => holderOf(link) !== null && !isSettled(link));
      if (taken) return deny('place-taken', taken === chain.at(-1) ? freePlace(taken.pass) : null);
      if (!known && admitted.size >= MAX_MEMBERS) return deny('too-many-members');
      enter(id, { proof, chain, lineage });
      onChange();
      return null;
    },
    isAdmitted: (id) => (isOpen || admitted.has(id)) && !isRefused(id),
    isBanned: (id) => isRefused(id),
    inviteOf: (id) => {
      const pass = admitted.get(id)?.chain.at(-1)?.pass;
      return pass ? nameOf(pass) : '';
    },
    placesTaken: (pass) =>
      [...admitted.values()].filter(({ chain }) => chain.length > 0 && nameOf(chain.at(-1)!.pass) === nameOf(pass))
        .length,
    witnessFor: (id) => {
      const link = admitted.get(id)?.chain.at(-1);
      if (!link || link.pass.expires === 0) return null;
      return sign(seedOfKey(key), witnessMessage(runId, link.pass, link.member));
    },
    takeWitness: (from, signature) => {
      const [last, by] = [own.at(-1), publicKeyOf(from)];
      if (!last || last.witness || !by || !isSigned(by, witnessMessage(runId, last.pass, last.member), signature))
        return;
      change([...own.slice(0, -1), { ...last, witness: { by, signature } }]);
    },
    moveTo: (place) => {
      const last = own.at(-1);
      if (!ticket || !last || nameOf(ticket.pass) !== nameOf(last.pass)) return false;
      if (place >= ticket.pass.uses || moves >= MAX_MOVES) return false;
      moves += 1;
      change(takePlace(ticket, runId, self, place));
      return true;
    },
    holdsInvite: (id, proof) => {
      const reader = new Reader(proof);
      const chain = readChain(reader);
      const [pass, signature] = [readPass(reader), reader.raw(SIGNATURE_BYTES)];
      const [caller, giver] = [publicKeyOf(id), chain.at(-1)?.member ?? publicKeyOf(founder)];
      if (!reader.done() || !caller || !giver || isExpired(pass, now())) return false;
      const lineage = lineageOf(chain, { runId, founder, id: idOfPublicKey(giver) });
      if (!lineage || isRefused(id, lineage) || !chain.every(cameInTime)) return false;
      return isPassOf(giver, runId, pass) && isSigned(pass.key, messageOf('question', runId, [caller]), signature);
    },
    rule: (next) =>
      newlyRefused(() => {
        verdicts = next;
      }),
    hearBans: (from, ids) => {
      const guests = ids.filter(
        (id) => id !== self && !told.has(id) && admitted.get(id)?.lineage.slice(0, -1).includes(from),
      );
      if (guests.length === 0) return [];
      return newlyRefused(() => {
        for (const id of guests) if (told.size < MAX_TOLD) told.set(id, from);
        onChange();
      });
    },
    bansToTell: () =>
      Object.keys(verdicts)
        .filter((id) => verdicts[id]!.verdict === 'ban' && verdicts[id]!.tell)
        .slice(-MAX_TOLD_AT_ONCE),
    keep: () => ({
      own: base64(ownProof),
      proofs: Object.fromEntries(
        [...admitted].filter(([id]) => id !== self).map(([id, { proof }]) => [id, base64(proof)]),
      ),
      told: Object.fromEntries(told),
    }),
  };
}

/** How this peer proves that it belongs: as before, unless the user has another invite now. */
function ownChain({ runId, founder, id, ticket, kept }: BookOptions): Chain {
  if (id === founder) return [];
  const before = kept?.own ? chainInText(kept.own) : null;
  const isGood = before !== null && lineageOf(before, { runId, founder, id }) !== null;
  const isSame = isGood && (!ticket || nameOf(ticket.pass) === nameOf(before.at(-1)!.pass));
  if (isSame) return before;
  if (ticket) {
    const chain = takePlace(ticket, runId, id, anyPlace(ticket));
    if (lineageOf(chain, { runId, founder, id })) return chain;
    throw new UserError('incompatible', `invite: its signatures are not those of run ${runId}; ask for a fresh invite`);
  }
  throw new UserError(
    'incompatible',
    `run ${runId}: nothing here proves that this peer belongs to it; join it with an invite, or have its members.json back`,
  );
}

function placeOf({ pass, place }: Pick<Link, 'pass' | 'place'>): string {
  return `${nameOf(pass)}/${place}`;
}

/** Names an invite. */
function nameOf({ key }: Pass): string {
  return Buffer.from(key).toString('hex');
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
