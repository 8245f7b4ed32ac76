/** @file Invites and bans as a user meets them: who comes by which invite, one that is used up or expired, one that is banned. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { issueTicket } from '../../node/admission/ticket.ts';
import { formatInvite, parseInvite } from '../../node/invite.ts';
import { openStore, peekKey } from '../../node/store.ts';
import { MACHINE, type Running, said, startIn, writeTexts } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
const start = (...args: string[]): Running => startIn(folder, args);
const peer = (...args: string[]): Running => start(...args, ...MACHINE);
for (const name of ['a.tsv', 'b.tsv', 'c.tsv']) writeTexts(folder, name, ['a dull film', 'a warm film']);

interface Listed {
  readonly id: string;
  readonly invitedBy: string | null;
  readonly refusedBy: string | null;
}

async function listed(state: string): Promise<Listed[]> {
  const { code, out } = await start('peers', '--state', state, '--json').done;
  assert.is(code, 0);
  return JSON.parse(out).peers;
}

/** Waits until a list is as it should be; the file's deadline ends a wait that never does. */
async function until(state: string, isRight: (peers: readonly Listed[]) => boolean): Promise<Listed[]> {
  for (;;) {
    const peers = await listed(state);
    if (isRight(peers)) return peers;
  }
}

test('an invite for one lets in one, a guest invites in its turn, a ban is of both, and who is banned hears it', async () => {
  const first = peer('up', '--data', 'a.tsv', '--min-peers', '9', '--label-prior', 'off');
  const [, id] = await said(first, /peer (12D3KooW\w+), run/);
  await said(first, /up to 16 others join with:/);
  const made = await start('invite', '--uses', '1', '--state', 'a.tsv.lorikeet').done;
  assert.match(made.err, /admits one peer, until \d{4}-\d\d-\d\dT\d\d:\d\dZ/);
  const guest = peer('join', made.out.trim(), '--data', 'b.tsv');
  const [, guestId] = await said(guest, /peer (12D3KooW\w+), run/);
  await said(guest, /2 of 9 here/);
  const second = await peer('join', made.out.trim(), '--data', 'c.tsv', '--state', 'second').done;
  assert.is(second.code, 3);
  assert.match(second.err, /invite: used up, its one place is taken \(12D3KooW\w+ says so\); ask a member for another/);
  const bare = parseInvite(made.out);
  const uninvited = await peer('join', formatInvite({ ...bare, ticket: null }), '--data', 'c.tsv', '--state', 'bare')
    .done;
  assert.is(uninvited.code, 4, 'the run is not told to who holds no invite');
  const byGuest = await start('invite', '--expires', '1h', '--state', 'b.tsv.lorikeet').done;
  const third = peer('join', byGuest.out.trim(), '--data', 'c.tsv');
  const [, thirdId] = await said(third, /peer (12D3KooW\w+), run/);
  const known = await until(
    'a.tsv.lorikeet',
    (peers) => peers.length === 2 && peers.every(({ invitedBy }) => invitedBy !== null),
  );
  assert.equal(
    new Map(known.map((one) => [one.id, one.invitedBy])),
    new Map([guestId!, thirdId!].sort().map((one) => [one, one === guestId ? id! : guestId!])),
  );
  const banned = await start('peers', 'ban', guestId!, '--state', 'a.tsv.lorikeet').done;
  assert.match(banned.out, /is refused from now on, and whomever it has invited \(1 so far\)/);
  await said(first, new RegExp(`refusing ${thirdId}`));
  assert.ok((await listed('a.tsv.lorikeet')).every(({ refusedBy }) => refusedBy === 'you'));
  for (const { child, done } of [third, guest]) {
    child.kill('SIGINT');
    await done;
  }
  const back = await peer('join', made.out.trim(), '--data', 'b.tsv').done;
  assert.is(back.code, 3);
  assert.match(back.err, /invite: of no use any more, this peer or who invited it is refused/);
  first.child.kill('SIGINT');
  assert.is((await first.done).code, 130);
});

test('an expired invite is told at once, with its date', async () => {
  const { settings } = openStore(join(folder, 'a.tsv.lorikeet')).readRun()!;
  const key = peekKey(join(folder, 'a.tsv.lorikeet'), () => {})!;
  const { runId } = parseInvite((await start('invite', '--state', 'a.tsv.lorikeet').done).out);
  const ticket = issueTicket({ runId, key, chain: [], uses: 1, expires: 1_700_000_000 });
  const addresses = [`/ip4/127.0.0.1/tcp/1/p2p/${settings.founder}`];
  const { code, err } = await peer(
    'join',
    formatInvite({ addresses, runId, ticket }),
    '--data',
    'c.tsv',
    '--state',
    'late',
  ).done;
  assert.is(code, 3);
  assert.match(err, /invite: expired on 2023-11-14T22:13:20/);
});

const MISTAKES: readonly [args: string[], code: number, says: RegExp][] = [
  [['invite', '--state', 'nothing'], 2, /nothing: no state of a peer/],
  [['invite', '--uses', '0', '--state', 'a.tsv.lorikeet'], 2, /--uses: got "0"; wanted an integer from 1 to 65535/],
  [['invite', '--expires', 'soon', '--state', 'a.tsv.lorikeet'], 2, /--expires: got "soon"; wanted a duration such as/],
  [['peers', 'ban', 'Anna', '--state', 'a.tsv.lorikeet'], 2, /peers ban: got "Anna"; wanted the id of a peer/],
];
for (const [args, code, says] of MISTAKES)
  test(`one line for ${args.join(' ')}`, async () => {
    const ended = await start(...args).done;
    assert.is(ended.code, code);
    assert.match(ended.err, says);
    assert.is(ended.err.trim().split('\n').length, 1);
  });

test('an open run says what it means, and lets in who has no invite', async () => {
  const first = peer('up', '--data', 'a.tsv', '--state', 'open', '--open', '--min-peers', '9', '--label-prior', 'off');
  await said(first, /open run: whoever can connect takes part, under as many names as it likes/);
  const [, invite] = await said(first, /lorikeet join (\S+#\S+)/);
  assert.is(parseInvite(invite!).ticket, null);
  const guest = peer('join', invite!, '--data', 'b.tsv', '--state', 'guest');
  await said(guest, /2 of 9 here/);
  for (const { child, done } of [guest, first]) {
    child.kill('SIGINT');
    await done;
  }
});

test.run();
