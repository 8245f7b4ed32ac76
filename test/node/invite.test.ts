/** @file An invite is read out of what it was pasted with, and whatever was altered on the way is told apart. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { generateKey } from '../../node/admission/identity.ts';
import { issueTicket } from '../../node/admission/ticket.ts';
import { EXIT, UserError } from '../../node/errors.ts';
import { formatInvite, type Invite, parseInvite } from '../../node/invite.ts';
import { qrColumns, qrLines } from '../../node/qr.ts';

const RUN = '00112233445566778899aabbccddeeff';
const ID = '12D3KooWJXtosp4crb1NvZ2AaLfdVAz6egKvC7BQULUrBGWpeYeo';
const OTHER = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN';
const INVITE: Invite = {
  addresses: [`/ip4/192.168.1.7/tcp/4001/p2p/${ID}`, `/dns4/lab.example.org/tcp/1/p2p/${OTHER}`],
  runId: RUN,
  ticket: null,
};
const TEXT = formatInvite(INVITE);
const PLAIN = `${INVITE.addresses.join(',')}#${RUN}`;

/** The exit code and the message, or the invite that was read. */
function read(text: string): Invite | { code: number; message: string } {
  try {
    return parseInvite(text);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { code: EXIT[error.mistake], message: error.message };
  }
}

test('an invite comes back, with its prefix or without, and as it once was', () => {
  assert.match(TEXT, /^lorikeet1:\/ip4\/\S+#[0-9a-f]{40}$/);
  for (const text of [TEXT, TEXT.slice('lorikeet1:'.length), PLAIN]) assert.equal(read(text), INVITE);
});

const PASTED: readonly [what: string, text: string][] = [
  ['a shell line', `lorikeet join ${TEXT} --data FILE`],
  ['a shell line with its prompt and indent', `$   npx lorikeet join ${TEXT} --data x --host 0.0.0.0\n`],
  ['a shell line as it once was', `  lorikeet join ${PLAIN} --data FILE`],
  ['quoted', `"${TEXT}"`],
  ['in typographic quotes', `\u201elorikeet join ${TEXT}\u201c`],
  ['in single quotes inside double ones', `"lorikeet join '${TEXT}' --data a.tsv"`],
  ['in backticks', `\`${TEXT}\``],
  ['in a sentence', `Join us: (${TEXT}). See you!`],
  ['at the end of a sentence', `it is ${TEXT}!`],
  ['after a word and a colon', `invite:${TEXT.slice('lorikeet1:'.length)}`],
  ['in a variable', `INVITE=${PLAIN}`],
  ['between angle brackets', `<${TEXT}>`],
  ['quoted by a mail', `> ${TEXT.slice(0, 70)}\n> ${TEXT.slice(70, 140)}\n> ${TEXT.slice(140)}\n> Anna`],
  ['wrapped with indents and followed by a word', `${TEXT.slice(0, 60)}\r\n    ${TEXT.slice(60)}\r\nRegards`],
  ['as it once was, followed by a word of hex digits', `${PLAIN} add me`],
  ['broken by quoted-printable', `${TEXT.slice(0, 76)}=\r\n${TEXT.slice(76)}`],
  ['continued by the shell', `lorikeet join ${TEXT.slice(0, 50)}\\\n${TEXT.slice(50)}`],
  ['with invisible characters', `\ufeff${TEXT.slice(0, 40)}\u200b${TEXT.slice(40)}\u00a0`],
  ['percent-encoded', encodeURIComponent(TEXT)],
  ['with spaces for commas', TEXT.replaceAll(',', ' ')],
  ['in capitals where they do not matter', TEXT.replace('lorikeet', 'Lorikeet').replace(/#.*/, (d) => d.toUpperCase())],
  ['twice', `${TEXT}\n${TEXT}`],
];
for (const [what, text] of PASTED) test(`an invite is understood: ${what}`, () => assert.equal(read(text), INVITE));

test('a line break anywhere leaves an invite whole', () => {
  for (let i = 1; i < TEXT.length; i++)
    assert.equal(read(`lorikeet join ${TEXT.slice(0, i)}\n  ${TEXT.slice(i)} --data x`), INVITE, `${i}`);
});

test('a character altered, left out, put in or swapped is a mistake, or no harm is done', () => {
  const variants = [...TEXT].flatMap((old, i) => {
    const [before, after] = [TEXT.slice(0, i), TEXT.slice(i + 1)];
    const changed = ['0', 'a', 'Z', '1', ':', '/', '.'].filter((c) => c !== old).map((c) => before + c + after);
    const swapped = i + 1 < TEXT.length ? [before + TEXT[i + 1] + old + TEXT.slice(i + 2)] : [];
    return [...changed, before + after, `${before}7${old}${after}`, ...swapped].filter((text) => text !== TEXT);
  });
  for (const text of variants) {
    const got = read(text);
    if ('code' in got) assert.is(got.code, EXIT.usage, `${text}: ${got.message}`);
    else assert.equal(got, INVITE, text);
  }
});

test('an invite cut anywhere at its end is told to be cut off, and one cut at its beginning is refused or whole', () => {
  for (let i = 1; i < TEXT.length; i++) {
    const head = read(TEXT.slice(0, i));
    assert.ok('code' in head && head.code === EXIT.usage, `${i}`);
    if (i > TEXT.indexOf('/tcp')) assert.match(head.message, /cut off/);
    const tail = read(TEXT.slice(i));
    if ('code' in tail) assert.is(tail.code, EXIT.usage);
    else assert.equal(tail, INVITE);
  }
});

const MISTAKES: readonly [text: string, message: RegExp][] = [
  ['', /got ""; wanted lorikeet1:\/ip4\/HOST/],
  ['hello', /got "hello"; wanted lorikeet1:\/ip4\/HOST/],
  [TEXT.replace('lorikeet1:', 'loriket1:'), /begins with "loriket1:"; wanted "lorikeet1:"/],
  [TEXT.replace('lorikeet1:', 'lorikeet2:'), /begins with "lorikeet2:"; wanted "lorikeet1:"/],
  [TEXT.slice(4), /begins with "keet1:"; wanted "lorikeet1:"/],
  [TEXT.slice(30), /cut off at its beginning/],
  [TEXT.slice(TEXT.indexOf('/tcp/1')), /cut off, no address begins/],
  [TEXT.slice(0, TEXT.indexOf('#')), /cut off, no #RUN/],
  [`${TEXT.slice(0, 60)}...${TEXT.slice(-60)}`, /cut off in its middle/],
  [TEXT.slice(0, -1), /cut off, its run has 39 digits; wanted 40/],
  [TEXT.slice(0, -8), /cut off, its run has 32 digits; wanted 40/],
  [PLAIN.slice(0, -2), /cut off, its run has 30 digits/],
  [`${TEXT}7`, /too long, its run has 41 digits; wanted 40/],
  [`${TEXT}x7`, /too long, its run has 42 digits; wanted 40/],
  [PLAIN.replace('#00', '#0o'), /digit 2 of its run is "o"; wanted 0 to 9 or a to f/],
  [TEXT.replace('192.168', '192.169'), /mistyped or altered: its last 8 digits/],
  [TEXT.replace('tcp/4001', 'tcp/4010'), /mistyped or altered/],
  [TEXT.replace('#0011', '#0017'), /mistyped or altered/],
  [TEXT.replace('192.168.1.7', '192.168.1.700'), /address 1 of 2, .*: "192\.168\.1\.700" is no address of IPv4/],
  [TEXT.replace('lab.', 'lab_'), /address 2 of 2, .*: "lab_example\.org" is no host name/],
  [TEXT.replace('tcp/4001', 'tcp/99999'), /address 1 of 2, .*: port "99999"; wanted 1 to 65535/],
  [TEXT.replace('/tcp/1/', '/udp/1/'), /address 2 of 2, .*: wanted \/tcp\/PORT after the host/],
  [TEXT.replace(`/p2p/${ID}`, ''), /address 1 of 2, .*: wanted \/p2p\/ID after the port/],
  [TEXT.replace(ID, ID.slice(0, -3)), /address 1 of 2, .*: its id has 49 characters \(cut off\); wanted 52/],
  [TEXT.replace(ID, ID.replace('X', '0')), /address 1 of 2, .*: its id is none of an Ed25519 key/],
  [TEXT.replace(ID, `${ID}/x`), /address 1 of 2, .*: "x" follows its id/],
  [`${PLAIN}#x`, /names two runs/],
  [`${TEXT} ${PLAIN.replace('#00', '#ff')}`, /names two runs/],
  [`${Array.from({ length: 33 }, (_, i) => `/ip4/10.0.0.${i}/tcp/1/p2p/${ID}`).join(',')}#${RUN}`, /too long, 33 addr/],
];
for (const [text, message] of MISTAKES) {
  test(`an invite says what is wrong with it: ${message.source}`, () => {
    const got = read(text);
    assert.ok('code' in got, text);
    assert.is(got.code, EXIT.usage);
    assert.match(got.message, message);
    assert.not.match(got.message, /\n/);
  });
}

test('no piece of a ticket looks like an option', async () => {
  const key = await generateKey();
  for (let i = 0; i < 50; i++) {
    const ticket = issueTicket({ runId: RUN, key, chain: [], uses: 16, expires: i });
    const text = formatInvite({ ...INVITE, ticket });
    assert.not.match(text.split('#')[1]!, /-/);
    assert.equal(read(encodeURIComponent(text)), { ...INVITE, ticket });
  }
});

test('an invite of a later version is told apart from a typo', () => {
  const later = `lorikeet2:/ip4/192.168.1.7/tcp/4001/p2p/${ID}#${RUN}0000`;
  const got = read(later);
  assert.ok('code' in got);
  assert.is(got.code, EXIT.incompatible);
  assert.match(got.message, /of version 2, and this lorikeet reads version 1/);
});

test('addresses added by hand around those of a whole invite are tried too', () => {
  const [mine, more] = [`/ip4/127.0.0.1/tcp/9/p2p/${ID}`, `/ip6/fd00::1/tcp/9/p2p/${OTHER}`];
  const [places, digits] = TEXT.slice('lorikeet1:'.length).split('#');
  assert.equal(read(`${mine},${places},${more}#${digits}`), {
    ...INVITE,
    addresses: [mine, ...INVITE.addresses, more],
  });
});

test('an invite is a QR code where there is room for it, with its three corners', () => {
  const text = formatInvite(INVITE);
  const columns = qrColumns(text);
  assert.is(qrLines(text, columns - 1), null);
  const lines = qrLines(text, columns)!;
  assert.ok(lines.every((line) => line.length === columns));
  // Two rows a line and two of margin, so the upper corners begin in the second line and the third ends in the last but one.
  const framed = lines.flatMap((line, i) => (line.includes(' ▄▄▄▄▄ ') ? [[i, line.split(' ▄▄▄▄▄ ').length - 1]] : []));
  assert.equal(framed[0], [1, 2]);
  assert.is(framed.at(-1)![0], lines.length - 5);
  assert.not.equal(qrLines(`${text}x`, 200), lines);
});

test.run();
