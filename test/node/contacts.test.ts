/** @file What an invite names, what is said of it and when, and what is said where nobody can come. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hostBeside, idIn, isLoopback, mergeAddresses, nobodyOf, worthTelling } from '../../node/addresses.ts';
import { announce, lonelyText } from '../../node/commands/announce.ts';
import { createContacts } from '../../node/contacts.ts';
import type { Display } from '../../node/display.ts';
import { formatInvite, parseInvite } from '../../node/invite.ts';
import type { Reach } from '../../node/network/reach.ts';
import type { Participant } from '../../node/participant.ts';
import type { Acquaintance } from '../../protocol/frame.ts';

const RUN = '00112233445566778899aabbccddeeff';
const idOf = (n: number): string => `12D3KooW${String.fromCharCode(64 + n).repeat(44)}`;
const at = (host: string, n: number): string => `/ip4/${host}/tcp/4001/p2p/${idOf(n)}`;
const member = (n: number, ...hosts: string[]): Acquaintance => ({
  id: idOf(n),
  addresses: hosts.map((host) => at(host, n)),
});
const OWN = at('10.0.0.1', 1);
/** Lets every promise that is settled be heard. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function contactsOf(options: {
  own?: string[];
  connected: Acquaintance[];
  answering?: (address: string) => boolean;
  now?: () => number;
}) {
  const tried: string[] = [];
  let more = 0;
  const contacts = createContacts({
    own: () => options.own ?? [OWN],
    connected: () => options.connected,
    answers: async (address) => {
      tried.push(address);
      return options.answering?.(address) ?? true;
    },
    onMore: () => {
      more += 1;
    },
    now: options.now ?? (() => 0),
  });
  return { contacts, tried, told: () => more };
}

test('an invite names this peer, then at most three others that answered, two addresses each', async () => {
  const connected = Array.from({ length: 9 }, (_, i) => member(i + 2, `10.0.1.${i}`, `10.0.2.${i}`, `10.0.3.${i}`));
  const { contacts, tried, told } = contactsOf({ connected });
  assert.equal(contacts.addresses(), [OWN]);
  contacts.look();
  await settle();
  const named = connected.slice(0, 3).flatMap(({ addresses }) => addresses.slice(0, 2));
  assert.equal(contacts.addresses(), [OWN, ...named]);
  assert.equal([tried, told()], [named, 3], 'nobody else is tried');
  assert.equal(parseInvite(formatInvite({ addresses: contacts.addresses(), runId: RUN, ticket: null })).addresses, [
    OWN,
    ...named,
  ]);
});

test('an invite stays below a thousand characters of addresses', async () => {
  const name = `${'a'.repeat(60)}.${'b'.repeat(60)}.example`;
  const connected = [2, 3, 4].map((n) => ({
    id: idOf(n),
    addresses: [1, 2].map((port) => `/dns4/${name}/tcp/${port}/p2p/${idOf(n)}`),
  }));
  const { contacts } = contactsOf({ connected });
  contacts.look();
  await settle();
  assert.ok(contacts.addresses().join().length <= 1000);
  assert.equal(new Set(contacts.addresses().map(idIn)).size, 3, 'as many as fit');
});

test('who does not answer, who has left, and addresses of loopback or of another kind are not named', async () => {
  const connected = [
    member(2, '10.0.0.2'),
    member(3, '127.0.0.1'),
    member(4, '10.0.0.4', '10.0.0.44'),
    { id: idOf(5), addresses: [`/ip4/10.0.0.5/udp/1/p2p/${idOf(5)}`, `/ip4/10.0.0.5/tcp/1`] },
    member(6, '10.0.0.6'),
  ];
  const { contacts, tried } = contactsOf({ connected, answering: (address) => !/\.(2|44)\//.test(address) });
  contacts.look();
  await settle();
  assert.equal(contacts.addresses(), [OWN, at('10.0.0.4', 4), at('10.0.0.6', 6)]);
  assert.equal(tried, [at('10.0.0.2', 2), at('10.0.0.4', 4), at('10.0.0.44', 4), at('10.0.0.6', 6)]);
  connected.splice(4, 1);
  assert.equal(contacts.addresses(), [OWN, at('10.0.0.4', 4)], 'gone');
  assert.equal(contacts.others(), [at('10.0.0.6', 6), at('10.0.0.4', 4)], 'but remembered');
  contacts.look();
  await settle();
  assert.is(tried.length, 4, 'nobody is tried twice');
  connected[0] = member(2, '10.0.0.22');
  contacts.look();
  await settle();
  assert.equal(contacts.addresses(), [OWN, at('10.0.0.22', 2), at('10.0.0.4', 4)], 'but at another address');
});

test('who does not answer, since it is busy, is tried again after half a minute, three times in all', async () => {
  let [time, isBusy] = [0, true];
  const connected = [member(2, '10.0.0.2'), member(3, '10.0.0.3')];
  const { contacts, tried, told } = contactsOf({
    connected,
    now: () => time,
    answering: (address) => !isBusy && address.includes('.2/'),
  });
  const counts: number[] = [];
  for (time of [0, 29_000, 30_000, 59_000]) {
    contacts.look();
    await settle();
    counts.push(tried.length);
  }
  assert.equal(counts, [2, 2, 4, 4]);
  isBusy = false;
  for (time of [60_000, 90_000, 900_000]) {
    contacts.look();
    await settle();
  }
  assert.equal([tried.length, told(), contacts.addresses()], [6, 1, [OWN, at('10.0.0.2', 2)]]);
});

test('of a crowd that does not answer so many are tried and no more', async () => {
  const connected = Array.from({ length: 200 }, (_, i) => member(2, `10.0.1.${i}`));
  const { contacts, tried } = contactsOf({ connected, answering: () => false });
  contacts.look();
  for (let i = 0; i < 200; i++) await settle();
  assert.is(tried.length, 64);
});

test('where all are on this machine loopback is named, and where others are known it is not', async () => {
  const local = contactsOf({ own: [at('127.0.0.1', 1)], connected: [member(2, '127.0.0.1')] });
  local.contacts.look();
  await settle();
  assert.equal(local.contacts.addresses(), [at('127.0.0.1', 1), at('127.0.0.1', 2)]);
  const mixed = contactsOf({ own: [at('127.0.0.1', 1)], connected: [member(2, '10.0.0.2')] });
  mixed.contacts.look();
  await settle();
  assert.equal(mixed.contacts.addresses(), [at('10.0.0.2', 2)]);
});

test('after its end nobody is tried and nothing told', async () => {
  const { contacts, tried, told } = contactsOf({ connected: [member(2, '10.0.0.2'), member(3, '10.0.0.3')] });
  contacts.look();
  contacts.stop();
  await settle();
  contacts.look();
  assert.equal([tried.length, told()], [1, 0]);
});

/** A peer that says what it says to `lines`, whose reach is what it is told to be. */
function crierOf(own: string[], bootstrap: string[]) {
  const lines: string[] = [];
  let [reach, at]: [Reach, number] = [{ open: [], shut: [], relays: [] }, 0];
  const participant = {
    id: idOf(1),
    port: 4001,
    view: { labelled: 3, unlabelled: 0 },
    addresses: () => own,
    connected: () => [],
    reach: () => reach,
  } as unknown as Participant;
  const display = { note: (line: string) => lines.push(line) } as unknown as Display;
  const invites: string[] = [];
  const onInvite = (invite: string): void => void invites.push(invite);
  const context = { runId: RUN, ticket: null, host: '0.0.0.0', bootstrap, onInvite, now: () => at };
  const crier = announce(display, participant, context);
  assert.equal(
    invites.map((invite) => parseInvite(invite).addresses),
    [own],
  );
  const begun = lines.length;
  /** What is said where its reach is this, so many ms later. */
  const look = (next: Partial<Reach>, laterMs = 0): string[] => {
    [reach, at] = [{ open: [], shut: [], relays: [], ...next }, at + laterMs];
    const before = lines.length;
    crier.look();
    return lines.slice(before);
  };
  return { look, lines: () => lines.slice(begun) };
}

test('who cannot be connected to says so once, with who relays for it, or after a while that nobody does', () => {
  const far = [at('10.0.0.9', 9)];
  const one = crierOf([OWN], far);
  assert.equal(one.look({ shut: [idOf(3)] }), [], 'somebody may be found');
  const [relayed] = one.look({ shut: [idOf(3)], relays: [idOf(3), idOf(4)] }, 1000);
  assert.match(
    relayed!,
    new RegExp(`^${idOf(3)} cannot connect .*port 4001; others reach it by way of ${idOf(3)} and`),
  );
  assert.equal(one.look({ shut: [idOf(3)], relays: [idOf(3)] }, 1000), [], 'said before');
  assert.equal(one.look({ shut: [idOf(3)] }, 1000), []);
  const [shut] = one.look({ shut: [idOf(3)] }, 6000);
  assert.match(shut!, /nobody relays for it.*let TCP port 4001 in \(--port keeps/);
  const open = crierOf([OWN], far);
  assert.equal(open.look({ open: [idOf(2)], shut: [idOf(3)] }, 10_000), [], 'somebody can');
  const here = crierOf([at('127.0.0.1', 1)], [at('127.0.0.1', 9)]);
  assert.equal(here.look({ shut: [idOf(3)] }, 1), []);
  assert.equal(here.look({ shut: [idOf(3)] }, 10_000), [], 'all on this machine');
});

test('where no other machine can come it is said, with what helps', () => {
  const loopback = [at('127.0.0.1', 1)];
  const said = (addresses: string[], host: string, bootstrap: string[]) => lonelyText({ addresses, host, bootstrap });
  assert.match(said(loopback, '127.0.0.1', [])!, /no other machine can join, .* 127\.0\.0\.1 only; --host 0\.0\.0\.0/);
  assert.match(said([`/ip6/::1/tcp/1`], '::1', [])!, /it listens on ::1 only; --host 0\.0\.0\.0/);
  assert.match(said(loopback, '0.0.0.0', [])!, /this machine has no address that others could use; connect it/);
  const far = [at('127.0.0.1', 9), at('10.0.0.9', 9)];
  assert.match(said(loopback, '127.0.0.1', far)!, /no other machine can connect to this peer, .*--host 0\.0\.0\.0/);
  assert.is(said(loopback, '127.0.0.1', [at('127.0.0.1', 9)]), null, 'all on this machine');
  assert.is(said([...loopback, OWN], '0.0.0.0', []), null);
});

test('who joins listens on loopback only where everybody is on this machine', () => {
  assert.is(hostBeside([at('127.0.0.1', 1)]), '127.0.0.1');
  assert.is(hostBeside([`/ip6/::1/tcp/1/p2p/${idOf(1)}`]), '::1');
  assert.is(hostBeside([at('127.0.0.1', 1), at('192.168.1.7', 1)]), '0.0.0.0');
  assert.is(hostBeside([`/dns4/lab.example.org/tcp/1/p2p/${idOf(1)}`]), '0.0.0.0');
  assert.is(hostBeside([at('127.0.0.1', 1), `/ip6/fd00::1/tcp/1/p2p/${idOf(1)}`]), '::');
});

test('addresses are told apart: loopback, one cable, others', () => {
  const local = ['/ip4/127.0.0.2/tcp/1', '/ip6/::1/tcp/1', '/ip6/::ffff:127.0.0.1/tcp/1', '/dns4/localhost/tcp/1'];
  assert.equal(local.map(isLoopback), [true, true, true, true]);
  const others = ['/ip4/10.0.0.1/tcp/1', '/ip6/fd00::1/tcp/1', '/ip4/192.168.0.1/tcp/1'];
  const cable = ['/ip6/fe80::1/tcp/1', '/ip4/169.254.0.1/tcp/1'];
  assert.equal(worthTelling([...local, ...cable, ...others], 2), others.slice(0, 2));
  assert.equal(worthTelling(local, 2), local.slice(0, 2));
});

test('an invite that nobody answers says why at each address, and how many peers were asked', () => {
  const errors = [new Error('connect ECONNREFUSED 10.0.0.1:1'), Object.assign(new Error(''), { name: 'TimeoutError' })];
  const { message, mistake } = nobodyOf([OWN, at('10.0.0.2', 2)], new AggregateError(errors));
  assert.is(mistake, 'unreachable');
  assert.ok(
    message.includes(`at ${OWN} (nothing listens there: ECONNREFUSED), ${at('10.0.0.2', 2)} (no answer in time)`),
  );
  assert.match(message, /all 2 peers it names were asked/);
  assert.match(nobodyOf([OWN], errors[0]).message, /it names nobody else to ask.*can give a fresh invite$/);
  const here = nobodyOf([at('127.0.0.1', 1)], errors[0]).message;
  assert.match(here, /It leads to this very machine: who invites from another begins with --host 0\.0\.0\.0$/);
  const many = Array.from({ length: 20 }, (_, i) => at(`10.0.0.${i}`, 2));
  assert.match(nobodyOf(many, errors[0]).message, /10\.0\.0\.5\/.* and 14 more addresses; it names nobody else/);
  assert.equal(mergeAddresses([many[3]!], many), [many[3], ...many.filter((_, i) => i !== 3)].slice(0, 16));
});

test.run();
