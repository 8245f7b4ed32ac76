/**
 * @file A peer's part in a closed run on this disk: the book of who belongs, kept as it grows; the ticket its invites carry; the
 * bans of its user, read again when they change.
 */
import { messageOf, UserError } from '../errors.ts';
import type { Store } from '../store.ts';
import { type Verdicts, watchVerdicts } from './bans.ts';
import { type Book, createBook, type Denial, type Kept } from './book.ts';
import { isPassOf } from './chain.ts';
import { publicKeyOf } from './identity.ts';
import { decodeTicket, encodeTicket, isExpired, issueTicket, networkOf, type Ticket } from './ticket.ts';

/** What the first peer's own invite admits, and for how long. */
export const USUAL_USES = 16;
export const USUAL_DAYS = 7;
const DAY_MS = 86_400_000;
/** How soon what is new is written. */
const KEEP_MS = 500;
const LOOK_MS = 1000;
/** Pieces of advice that are passed on to the user. */
const MAX_ADVICE = 64;

export interface Membership {
  readonly book: Book;
  /** What invites carry; null in an open run. */
  readonly ticket: Ticket | null;
  /** What all invites to the run share; null in an open run. */
  readonly network: Uint8Array | null;
  /** Begins to heed bans; `expel` closes the connections of who is refused. */
  begin(expel: (id: string) => void): void;
  /** Somebody asks to refuse others. */
  hearBans(from: string, ids: readonly string[]): void;
  /** Writes what is not written yet. */
  stop(): Promise<void>;
}

/** Throws a UserError where this peer cannot prove that it belongs, or its state cannot be read. */
export async function openMembership(options: {
  store: Store;
  runId: string;
  /** Id of the first peer; '': an open run. */
  founder: string;
  id: string;
  key: Uint8Array;
  /** Of the invite this peer came by. */
  ticket: Ticket | null;
  trusted: readonly string[];
  onNotice: (line: string) => void;
}): Promise<Membership> {
  const { store, runId, founder, id, key, onNotice } = options;
  const kept = store.readMembers();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  const write = (): void => {
    clearTimeout(timer);
    timer = undefined;
    writing = writing
      .then(() => store.writeMembers({ runId, network: Buffer.from(network ?? []).toString('base64'), ...book.keep() }))
      .catch((error) => onNotice(messageOf(error)));
  };
  const isKept = kept?.runId === runId;
  const network =
    founder === ''
      ? null
      : id === founder
        ? networkOf(key, runId)
        : (options.ticket?.network ?? keptNetwork(isKept ? kept : null));
  const book: Book = createBook({
    ...options,
    kept: isKept ? kept : null,
    onChange: () => {
      timer ??= setTimeout(write, KEEP_MS);
    },
  });
  const ticket = id === founder ? await ownTicket(store, { runId, id, key }) : options.ticket;
  const advised = new Set<string>();
  let expel: (id: string) => void = () => {};
  let unwatch: () => void = () => {};
  const turnOut = (refused: readonly string[], why: string): void => {
    for (const one of refused) {
      onNotice(`refusing ${one}, ${why}`);
      expel(one);
    }
  };
  return {
    book,
    ticket: founder === '' ? null : ticket,
    network,
    begin: (close) => {
      expel = close;
      if (!book.isOpen) write();
      unwatch = watchVerdicts(store.folder, {
        everyMs: LOOK_MS,
        onTrouble: onNotice,
        onChange: (verdicts: Verdicts) =>
          turnOut(book.rule(verdicts), 'which is banned here, or was invited by who is'),
      });
    },
    hearBans: (from, ids) => {
      turnOut(book.hearBans(from, ids), `as ${from} asks, who invited it; "lorikeet peers allow" lets it in here`);
      for (const one of ids) {
        if (one === id || book.isBanned(one) || advised.has(`${from} ${one}`) || advised.size >= MAX_ADVICE) continue;
        advised.add(`${from} ${one}`);
        onNotice(`${from} asks to refuse ${one}; "lorikeet peers ban ${one}" does so here`);
      }
    },
    stop: async () => {
      unwatch();
      if (timer) write();
      await writing;
    },
  };
}

/** What the invites to a run share, as a state keeps it. */
export function keptNetwork(kept: Kept | null): Uint8Array {
  return new Uint8Array(Buffer.from(kept?.network ?? '', 'base64'));
}

/** The ticket the first peer has made, or a new one where that has expired. */
async function ownTicket(
  store: Store,
  { runId, id, key }: { runId: string; id: string; key: Uint8Array },
): Promise<Ticket> {
  const bytes = store.readTicket();
  const before = bytes && decodeTicket(bytes);
  if (before && isPassOf(publicKeyOf(id)!, runId, before.pass) && !isExpired(before.pass, Date.now())) return before;
  const expires = Math.floor((Date.now() + USUAL_DAYS * DAY_MS) / 1000);
  const ticket = issueTicket({ runId, key, chain: [], uses: USUAL_USES, expires });
  await store.writeTicket(encodeTicket(ticket));
  return ticket;
}

/** Why a peer is not taken in, for its user. */
export function turnedAway(by: string, code: Denial['code'], ticket: Ticket | null): UserError {
  const uses = ticket?.pass.uses ?? 0;
  const places = uses === 1 ? 'its one place is taken' : `all ${uses} places are taken`;
  const why: Readonly<Record<Denial['code'], string>> = {
    'place-taken': `used up, ${places}`,
    'invite-expired': 'expired before this peer came',
    'not-admitted': 'not of this run, as its signatures say',
    banned: 'of no use any more, this peer or who invited it is refused',
    'too-many-members': 'good, but the run has as many members as there can be',
  };
  return new UserError(
    'incompatible',
    `invite: ${why[code]} (${by} says so); ask a member for another: "lorikeet invite"`,
  );
}
