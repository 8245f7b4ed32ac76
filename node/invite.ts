/**
 * @file An invite: where peers can be reached and which run it is, `lorikeet1:ADDRESS[,ADDRESS...]#RUN-ID`, eight digits that
 * check the rest and, of a closed run, `.TICKET` that lets its holder in. Read out of whatever it was pasted with; a typo is told
 * from a cut.
 */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { RUN_ID_DIGITS } from '../protocol/frame.ts';
import { decodeTicket, encodeTicket, holderProof, type Ticket } from './admission/ticket.ts';
import { UserError } from './errors.ts';
import { nearest } from './nearest.ts';

export interface Invite {
  /** Multiaddresses that end with a peer's id. */
  readonly addresses: readonly string[];
  readonly runId: string;
  /** Null: the run is open. */
  readonly ticket: Ticket | null;
}

const VERSION = 1;
const PREFIX = `lorikeet${VERSION}:`;
const CHECK_DIGITS = 8;
/** Of the run id and the check. */
const DIGITS = RUN_ID_DIGITS + CHECK_DIGITS;
/** More than anybody prints, since addresses may be added by hand. */
const MAX_ADDRESSES = 32;
const ID_CHARACTERS = 52;
const WHOLE = 'copy the whole line that "lorikeet up" or "lorikeet join" prints';
const ADDRESS_BEGIN = /\/(?:ip4|ip6|dns4|dns6|dns)\//;

/** The invite as a word to paste. */
export function formatInvite({ addresses, runId, ticket }: Invite): string {
  const text = ticket ? formatTicket(ticket) : '';
  return `${PREFIX}${addresses.join(',')}#${runId}${checkOf(addresses, runId, text)}${text}`;
}

/** How those that an invite names are asked about the run: showing, by the id of the moment, that the caller holds it. */
export function askingBy({ addresses, runId, ticket }: Invite) {
  const proof = ticket ? { network: ticket.network, proofFor: (id: string) => holderProof(ticket, runId, id) } : {};
  return { addresses, runId, ...proof };
}

/** Base64url characters that hold the length of what follows (bytes). */
const LENGTH_CHARACTERS = 4;
const MAX_TICKET_BYTES = 2048;

/**
 * A ticket as it stands in an invite: after a dot its length and itself, in base64 with + and _ (a piece of a broken line that
 * began with the - of base64url would be taken for an option).
 */
function formatTicket(ticket: Ticket): string {
  const bytes = encodeTicket(ticket);
  const length = Buffer.from([0, bytes.length >>> 8, bytes.length & 255]);
  const text = length.toString('base64url') + Buffer.from(bytes).toString('base64url');
  return `.${text.replaceAll('-', '+')}`;
}

/** What stands after the digits as a ticket, perhaps cut off; '' where none does. */
function ticketText(after: string): string {
  if (!after.startsWith('.')) return '';
  const [, a = 0, b = 0] = Buffer.from(after.slice(1, 1 + LENGTH_CHARACTERS), 'base64url');
  const bytes = Math.min(256 * a + b, MAX_TICKET_BYTES);
  return after.slice(0, 1 + LENGTH_CHARACTERS + Math.ceil((bytes * 4) / 3));
}

/** The ticket that an invite ends with. Throws a UserError where it is cut off or altered. */
function readTicket(text: string, whole: boolean): Ticket {
  const odd = /[^A-Za-z0-9_+]/.exec(text.slice(1));
  const bytes = Buffer.from(text.slice(1 + LENGTH_CHARACTERS), 'base64url');
  const ticket = odd || !whole ? null : decodeTicket(new Uint8Array(bytes));
  if (ticket) return ticket;
  throw typo('cut off or altered in its ticket, the long word after the dot');
}

/**
 * Finds the invite in a text: a shell line, a mail with its line breaks. Without prefix and check, as it once was, it is taken as
 * it stands, and so are addresses added by hand. Throws a UserError that says which part is wrong.
 */
export function parseInvite(text: string): Invite {
  const { characters, isAfterGap } = pack(text);
  const begin = ADDRESS_BEGIN.exec(characters)?.index;
  if (begin === undefined) throw noInvite(text, characters);
  const before = characters.slice(0, begin);
  const version = versionIn(before, isAfterGap);
  const hash = characters.indexOf('#', begin);
  if (hash < 0) throw typo('cut off, no #RUN follows its addresses');
  const places = characters.slice(begin, hash);
  if (/…|\.\.\./.test(places)) throw typo('cut off in its middle');
  const digits = runDigits(characters, hash + 1, isAfterGap);
  const addresses = places.split(new RegExp(`(?=${ADDRESS_BEGIN.source})`)).map((part) => part.replace(/[,;]+$/, ''));
  const isChecked = digits.length === DIGITS;
  const after = characters.slice(hash + 1 + digits.length);
  const isOpen = isChecked && holdsWhole(addresses, digits, '');
  const ticketed = isOpen ? '' : ticketText(after);
  const fits = isOpen || (isChecked && ticketed !== '' && holdsWhole(addresses, digits, ticketed));
  if (version !== null && version !== VERSION && !fits)
    throw new UserError(
      'incompatible',
      `invite: of version ${version}, and this lorikeet reads version ${VERSION}; use the same version of lorikeet`,
    );
  if (version !== null && version !== VERSION) throw typo(`begins with "lorikeet${version}:"; wanted "${PREFIX}"`);
  checkDigits(digits, version === null ? [RUN_ID_DIGITS, DIGITS] : [DIGITS]);
  if (addresses.length > MAX_ADDRESSES)
    throw typo(`too long, ${addresses.length} addresses; wanted ${MAX_ADDRESSES} or fewer`);
  for (const [i, address] of addresses.entries()) {
    const mistake = mistakeIn(address);
    if (mistake) throw typo(`address ${i + 1} of ${addresses.length}, ${quote(address)}: ${mistake}`);
  }
  const ticket = isChecked && ticketed !== '' ? readTicket(ticketed, fits) : null;
  if (isChecked && !fits)
    throw typo(`mistyped or altered: its last ${CHECK_DIGITS} digits are not those of its addresses and run`);
  const runId = digits.slice(0, RUN_ID_DIGITS);
  refuseAnother(after.slice(ticketed.length), runId);
  return { addresses: [...new Set(addresses)], runId, ticket };
}

/**
 * The ticket for a run in what somebody gives as its secret: an invite, or what stands after the dot of one. Throws a UserError
 * where it is none, or of another run.
 */
export function readSecret(text: string, runId: string): Ticket {
  if (!text.includes('#')) {
    const after = text.trim().replace(/^\.?/, '.');
    return readTicket(after, ticketText(after) === after);
  }
  const invite = parseInvite(text);
  if (invite.runId === runId && invite.ticket) return invite.ticket;
  throw new UserError('incompatible', `invite: is for run ${invite.runId}; wanted one for run ${runId}`);
}

/** What follows may be anything but another run. */
function refuseAnother(rest: string, runId: string): void {
  const more = /^#|#([0-9a-f]{8,})/i.exec(rest);
  if (more && !more[1]?.toLowerCase().startsWith(runId)) throw typo('names two runs');
}

function typo(what: string): UserError {
  return new UserError('usage', `invite: ${what}; ${WHOLE}`);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 60)}...${text.slice(-57)}` : text);
}

/** Where no address begins. */
function noInvite(text: string, characters: string): UserError {
  if (/\/p2p\/|\/tcp\/|lorikeet\d+:|#[0-9a-f]{8}/i.test(characters))
    return typo(`got ${quote(text)}: cut off, no address begins in it with /ip4/ or the like`);
  return new UserError(
    'usage',
    `invite: got ${quote(text)}; wanted ${PREFIX}/ip4/HOST/tcp/PORT/p2p/ID#RUN as "lorikeet up" prints it`,
  );
}

/** What eight digits an invite ends with. */
function checkOf(addresses: readonly string[], runId: string, ticket: string): string {
  return createHash('sha256')
    .update(`${PREFIX}${addresses.join(',')}#${runId}${ticket}`)
    .digest('hex')
    .slice(0, CHECK_DIGITS);
}

/** Whether the addresses that were checked are all there, one after the other; some may have been added around them. */
function holdsWhole(addresses: readonly string[], digits: string, ticket: string): boolean {
  const [runId, check] = [digits.slice(0, RUN_ID_DIGITS), digits.slice(RUN_ID_DIGITS)];
  const few = addresses.slice(0, MAX_ADDRESSES);
  return few.some((_, i) => few.slice(i).some((_, j) => checkOf(few.slice(i, i + j + 1), runId, ticket) === check));
}

/** The text without the white space, quotation marks of mails and escapes that come with pasting; and after which it was. */
function pack(text: string): { characters: string; isAfterGap: (index: number) => boolean } {
  const plain = text
    .replace(/%(?:2b|2f|23|3a|2c)/gi, decodeURIComponent)
    .replace(/^[ \t]*>[> \t]*/gm, '')
    .replace(/[=\\]\r?\n/g, '\n')
    .replace(/[\u00ad\u200b-\u200f\u2060\ufeff]/g, '');
  const gaps = new Set<number>();
  let characters = '';
  for (const part of plain.split(/\s+/)) {
    gaps.add(characters.length);
    characters += part;
  }
  return { characters, isAfterGap: (index) => gaps.has(index) };
}

/** The version that the prefix names; null where there is none. Throws on what was meant as a prefix. */
function versionIn(before: string, isAfterGap: (index: number) => boolean): number | null {
  const named = /lorikeet(\d+):$/i.exec(before);
  if (named) return Number(named[1]);
  let from = before.length;
  while (from > 0 && !isAfterGap(from)) from -= 1;
  const word = /[^\s"'`<>()[\]{}=«»“”„‘’‚]*$/.exec(before.slice(from))![0];
  if (/\/(?:p2p|tcp)\//.test(word)) throw typo('cut off at its beginning');
  const isMeant = PREFIX.endsWith(word) || /[a-z0-9]$/i.test(word) || nearest(word, [PREFIX]) !== null;
  if (word !== '' && isMeant) throw typo(`begins with ${quote(word)}; wanted "${PREFIX}"`);
  return null;
}

/** The digits after `#`, also where they are broken into lines; what cannot belong to them ends them. */
function runDigits(characters: string, begin: number, isAfterGap: (index: number) => boolean): string {
  let digits = '';
  for (let at = begin; ; ) {
    let end = at;
    while (/[a-z0-9]/i.test(characters[end] ?? '') && (end === at || !isAfterGap(end))) end += 1;
    const group = characters.slice(at, end);
    const isWhole = digits.length === DIGITS || (digits.length === RUN_ID_DIGITS && group.length !== CHECK_DIGITS);
    const isMore = /^[0-9a-f]+$/i.test(group) && digits.length + group.length <= DIGITS;
    if (at !== begin && (isWhole || !isMore)) return digits.toLowerCase();
    digits += group;
    if (group === '' || !isAfterGap(end)) return digits.toLowerCase();
    at = end;
  }
}

function checkDigits(digits: string, wanted: readonly number[]): void {
  if (digits.length > DIGITS) throw typo(`too long, its run has ${digits.length} digits; wanted ${DIGITS}`);
  const odd = /[^0-9a-f]/.exec(digits);
  if (odd) throw typo(`digit ${odd.index + 1} of its run is "${odd[0]}"; wanted 0 to 9 or a to f`);
  if (!wanted.includes(digits.length)) throw typo(`cut off, its run has ${digits.length} digits; wanted ${DIGITS}`);
}

/** Whether an invite can name this address. */
export function isInvitable(address: string): boolean {
  return mistakeIn(address) === null;
}

/** What is wrong with an address that should be /ip4/HOST/tcp/PORT/p2p/ID or its like; null where nothing is. */
function mistakeIn(address: string): string | null {
  const [, kind = '', host = '', tcp, port = '', p2p, id = '', ...more] = address.split('/');
  const version = { ip4: 4, ip6: 6 }[kind];
  if (version !== undefined && isIP(host) !== version) return `${quote(host)} is no address of IPv${version}`;
  if (version === undefined && !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(host)) return `${quote(host)} is no host name`;
  if (tcp !== 'tcp') return 'wanted /tcp/PORT after the host';
  if (!/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65535) return `port ${quote(port)}; wanted 1 to 65535`;
  if (p2p !== 'p2p') return 'wanted /p2p/ID after the port';
  if (id.length !== ID_CHARACTERS)
    return `its id has ${id.length} characters (${id.length < ID_CHARACTERS ? 'cut off' : 'too long'}); wanted ${ID_CHARACTERS}`;
  if (!/^12D3KooW[1-9A-HJ-NP-Za-km-z]+$/.test(id)) return 'its id is none of an Ed25519 key (12D3KooW...)';
  return more.length > 0 ? `${quote(more.join('/'))} follows its id` : null;
}
