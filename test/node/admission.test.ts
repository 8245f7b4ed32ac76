/** @file Who belongs to a closed run: chains of signatures, places, time, bans; what is altered, forged or of another run is refused. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Verdicts } from '../../node/admission/bans.ts';
import { type Book, type BookOptions, createBook } from '../../node/admission/book.ts';
import { decodeChain, encodeChain, MAX_CHAIN_BYTES, MAX_LINKS } from '../../node/admission/chain.ts';
import { generateKey, idOfKey } from '../../node/admission/identity.ts';
import {
  decodeTicket,
  encodeTicket,
  holderProof,
  issueTicket,
  type Ticket,
  takePlace,
} from '../../node/admission/ticket.ts';
import { UserError } from '../../node/errors.ts';
import { createPrng } from '../../protocol/prng.ts';

const RUN = '00112233445566778899aabbccddeeff';
const NOW_S = 1_800_000_000;
const HOUR_S = 3600;

interface Someone {
  readonly id: string;
  readonly key: Uint8Array;
}

async function someone(): Promise<Someone> {
  const key = await generateKey();
  return { key, id: idOfKey(key)! };
}

const [founder, anna, ben, eve] = [await someone(), await someone(), await someone(), await someone()];

const bookOf = (who: Someone, more: Partial<BookOptions> = {}): Book =>
  createBook({ runId: RUN, founder: founder.id, ...who, now: () => NOW_S * 1000, ...more });
const ticketOf = (
  giver: Book | null,
  by: Someone,
  more: { uses?: number; expires?: number; runId?: string } = {},
): Ticket =>
  issueTicket({
    runId: RUN,
    key: by.key,
    chain: giver ? decodeChain(giver.proof())! : [],
    uses: 4,
    expires: 0,
    ...more,
  });
const codeOf = (book: Book, who: Someone, proof: Uint8Array): string => book.check(who.id, proof)?.code ?? 'good';
const proofOf = (ticket: Ticket, who: Someone, place: number, runId = RUN): Uint8Array =>
  encodeChain(takePlace(ticket, runId, who.id, place));
const ban = (...ids: string[]): Verdicts => Object.fromEntries(ids.map((id) => [id, { verdict: 'ban', tell: false }]));

test('guests of guests of guests are let in, and no further; a chain is a few hundred bytes', async () => {
  const judge = bookOf(founder);
  let [giver, book] = [founder, bookOf(founder)];
  for (let links = 1; links <= MAX_LINKS; links++) {
    const guest = await someone();
    const ticket = ticketOf(book, giver);
    assert.equal(decodeTicket(encodeTicket(ticket)), ticket);
    book = bookOf(guest, { ticket });
    assert.is(codeOf(judge, guest, book.proof()), 'good');
    assert.ok(book.proof().length <= 201 * links + 1, `${book.proof().length} bytes of ${links} links`);
    giver = guest;
  }
  const proof = proofOf(ticketOf(book, giver), eve, 0);
  assert.is(codeOf(judge, eve, proof), 'not-admitted', 'four links');
});

test('nobody comes without an invite, with that of another run, or with one that was altered anywhere', () => {
  const judge = bookOf(founder);
  const good = proofOf(ticketOf(null, founder), anna, 1);
  for (const [what, proof] of [
    ['nothing', new Uint8Array()],
    ['no links', encodeChain([])],
    ['too much', new Uint8Array(MAX_CHAIN_BYTES + 1)],
    ['of another run', proofOf(ticketOf(null, founder, { runId: 'f'.repeat(32) }), anna, 1, 'f'.repeat(32))],
    ['by a stranger', proofOf(ticketOf(null, eve), anna, 1)],
    ['a place it has not', proofOf(ticketOf(null, founder), anna, 4)],
    ["somebody else's", proofOf(ticketOf(null, founder), ben, 1)],
  ] as const)
    assert.is(codeOf(judge, anna, proof), 'not-admitted', what);
  for (const at of good.keys()) {
    const altered = Uint8Array.from(good);
    altered[at]! ^= 1 << (at % 8);
    assert.is.not(codeOf(judge, anna, altered), 'good', `byte ${at}`);
    assert.is(codeOf(judge, anna, good.subarray(0, at)), 'not-admitted', `cut at ${at}`);
  }
  assert.is.not(judge.isAdmitted(anna.id), true);
  assert.is(codeOf(judge, anna, good), 'good');
  assert.ok(judge.isAdmitted(anna.id));
});

test('random bytes are no proof and no ticket, and nothing throws', () => {
  const seed = `${Math.floor(Math.random() * 1e9)}`;
  const prng = createPrng(process.env.SEED ?? seed);
  const judge = bookOf(founder);
  for (let i = 0; i < 300; i++) {
    const bytes = Uint8Array.from({ length: Math.floor(prng.random() * 700) }, () => prng.random() * 256);
    bytes[0]! %= 5;
    assert.is(codeOf(judge, anna, bytes), 'not-admitted', `SEED=${seed}`);
    assert.is(judge.holdsInvite(eve.id, bytes), false, `SEED=${seed}`);
    decodeTicket(bytes);
  }
});

test('a place is of one id: who came first keeps it, the other is told which is free and moves there, or finds none', () => {
  const ticket = ticketOf(null, founder, { uses: 2 });
  const judge = bookOf(founder);
  assert.is(codeOf(judge, anna, proofOf(ticket, anna, 0)), 'good');
  const denial = judge.check(ben.id, proofOf(ticket, ben, 0));
  assert.equal(denial, { code: 'place-taken', free: 1 });
  const mover = bookOf(ben, {
    ticket,
    kept: { own: Buffer.from(proofOf(ticket, ben, 0)).toString('base64'), proofs: {}, told: {} },
  });
  assert.ok(mover.moveTo(1));
  assert.is(codeOf(judge, ben, mover.proof()), 'good');
  assert.equal(
    judge.check(eve.id, proofOf(ticket, eve, 1)),
    { code: 'place-taken', free: null },
    'no more than it says',
  );
  assert.is(mover.moveTo(2), false, 'no such place');
  assert.is(codeOf(judge, anna, proofOf(ticket, anna, 0)), 'good', 'to show it again costs nothing');
});

test('a guest of one that has moved to another place since is let in', () => {
  const ticket = ticketOf(null, founder, { uses: 2 });
  const judge = bookOf(founder);
  const own = bookOf(anna, { ticket });
  const place = decodeChain(own.proof())![0]!.place;
  const guest = bookOf(eve, { ticket: ticketOf(own, anna) });
  own.moveTo(1 - place);
  for (const [who, proof] of [
    [anna, own.proof()],
    [ben, proofOf(ticket, ben, place)],
    [eve, guest.proof()],
  ] as const)
    assert.is(codeOf(judge, who, proof), 'good');
  assert.equal(
    judge.check(anna.id, proofOf(ticket, anna, place)),
    { code: 'place-taken', free: null },
    'it is of another',
  );
});

test('who holds the invite has so many ids as it says in any one view, whatever it signs', async () => {
  const ticket = ticketOf(null, founder, { uses: 3 });
  const judge = bookOf(founder);
  const crowd = await Promise.all(Array.from({ length: 12 }, someone));
  for (const [i, one] of crowd.entries()) judge.check(one.id, proofOf(ticket, one, i % 3));
  assert.is(crowd.filter(({ id }) => judge.isAdmitted(id)).length, 3);
  assert.is(new Set(crowd.map(({ id }) => judge.inviteOf(id))).size, 2, 'one invite, and none');
});

test('after an invite has expired nobody new comes by it; who came before stays, known, or by the word of one who is', () => {
  const ticket = ticketOf(null, founder, { expires: NOW_S + HOUR_S });
  const [before, after] = [() => NOW_S * 1000, () => (NOW_S + 2 * HOUR_S) * 1000];
  let now = before;
  const judge = bookOf(founder, { now: () => now() });
  const guest = bookOf(anna, { ticket });
  assert.is(codeOf(judge, anna, guest.proof()), 'good');
  now = after;
  assert.is(
    codeOf(judge, ben, proofOf(ticket, ben, (decodeChain(guest.proof())![0]!.place + 1) % 4)),
    'invite-expired',
  );
  assert.ok(judge.isAdmitted(anna.id));
  const late = bookOf(ben, { ticket: ticketOf(null, founder), now: after });
  assert.is(codeOf(late, anna, guest.proof()), 'invite-expired', 'it cannot know');
  guest.takeWitness(eve.id, judge.witnessFor(anna.id)!);
  assert.is(codeOf(late, anna, guest.proof()), 'invite-expired', 'a witness is who it says');
  guest.takeWitness(founder.id, judge.witnessFor(anna.id)!);
  assert.is(codeOf(late, anna, guest.proof()), 'good', 'the first peer says that it came in time');
  const trusting = bookOf(ben, { ticket: ticketOf(null, founder), now: after, trusted: [anna.id] });
  const bare = bookOf(anna, { ticket });
  assert.is(codeOf(trusting, anna, bare.proof()), 'good', 'whoever invited named it');
  const expired = bookOf(eve, { ticket });
  expired.takeWitness(ben.id, bookOf(ben, { ticket }).witnessFor(ben.id)!);
  assert.is(codeOf(late, eve, expired.proof()), 'invite-expired', 'a witness of another is none');
});

test('a ban is of an id and of all it has invited; allowing it again lets them in', () => {
  const own = bookOf(anna, { ticket: ticketOf(null, founder) });
  const guest = bookOf(ben, { ticket: ticketOf(own, anna) });
  const judge = bookOf(founder);
  judge.check(anna.id, own.proof());
  judge.check(ben.id, guest.proof());
  assert.equal(judge.rule(ban(anna.id)).sort(), [anna.id, ben.id].sort());
  assert.equal([judge.isAdmitted(ben.id), codeOf(judge, ben, guest.proof())], [false, 'banned']);
  const new_ = bookOf(eve, { ticket: ticketOf(own, anna) });
  assert.is(codeOf(judge, eve, new_.proof()), 'banned', 'one that comes after');
  judge.rule({});
  assert.ok(judge.isAdmitted(ben.id) && judge.isAdmitted(anna.id));
});

test('others are believed on whom they have invited themselves, and on nobody else; the user has the last word', () => {
  const annas = bookOf(anna, { ticket: ticketOf(null, founder) });
  const bens = bookOf(ben, { ticket: ticketOf(annas, anna) });
  const judge = bookOf(eve, { ticket: ticketOf(null, founder) });
  judge.check(anna.id, annas.proof());
  judge.check(ben.id, bens.proof());
  assert.equal(judge.hearBans(ben.id, [anna.id, eve.id, founder.id]), []);
  assert.equal(judge.hearBans(anna.id, [ben.id]), [ben.id]);
  assert.is(judge.isAdmitted(ben.id), false);
  const again = bookOf(eve, { ticket: null, kept: judge.keep() });
  assert.is(again.isAdmitted(ben.id), false, 'kept');
  judge.rule({ [ben.id]: { verdict: 'allow', tell: false } });
  assert.ok(judge.isAdmitted(ben.id));
});

test('a book comes back from what it has kept; without proof and invite a peer of a closed run does not start', () => {
  const ticket = ticketOf(null, founder);
  const first = bookOf(anna, { ticket });
  first.check(ben.id, proofOf(ticket, ben, (decodeChain(first.proof())![0]!.place + 1) % 4));
  const back = bookOf(anna, { kept: first.keep() });
  assert.equal(back.proof(), first.proof());
  assert.ok(back.isAdmitted(ben.id));
  const fails = (more: Partial<BookOptions>, who = eve): string => {
    try {
      bookOf(who, more);
      return 'none';
    } catch (error) {
      return error instanceof UserError ? error.mistake : String(error);
    }
  };
  assert.is(fails({}), 'incompatible');
  assert.is(fails({ kept: first.keep() }), 'incompatible', "somebody else's proof");
  assert.is(fails({ ticket: ticketOf(null, eve) }), 'incompatible', 'an invite by a stranger');
  assert.is(fails({ founder: '' }), 'none', 'an open run');
});

test('who holds an invite may ask about the run, by its own id only, and takes no place', () => {
  const ticket = ticketOf(null, founder, { uses: 1, expires: NOW_S + HOUR_S });
  const judge = bookOf(founder);
  assert.ok(judge.holdsInvite(eve.id, holderProof(ticket, RUN, eve.id)));
  assert.is(judge.holdsInvite(ben.id, holderProof(ticket, RUN, eve.id)), false);
  assert.is(judge.holdsInvite(eve.id, holderProof(ticketOf(null, eve), RUN, eve.id)), false, 'an invite by a stranger');
  assert.is(
    bookOf(founder, { now: () => (NOW_S + 2 * HOUR_S) * 1000 }).holdsInvite(eve.id, holderProof(ticket, RUN, eve.id)),
    false,
  );
  assert.is(judge.isAdmitted(eve.id), false);
  assert.is(codeOf(judge, anna, proofOf(ticket, anna, 0)), 'good');
});

test.run();
