/** @file A closed run between real hosts on loopback: who shows that it belongs takes part, and nobody else is listened to. */
import '../../node/polyfill.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createBook } from '../../node/admission/book.ts';
import { generateKey, idOfKey } from '../../node/admission/identity.ts';
import { holderProof, issueTicket, type Ticket } from '../../node/admission/ticket.ts';
import { fetchRun } from '../../node/network/visits.ts';
import { createRuntime, type Runtime } from '../../node/runtime.ts';
import type { Refusal } from '../../protocol/frame.ts';
import { createPeer, type Peer } from '../../protocol/peer.ts';
import { settingsWith, until } from '../support.ts';
import { founder, founderKey, RUN, ticket } from './parts/closed-run.ts';

const COUNT = 100;

interface Node {
  readonly peer: Peer;
  readonly runtime: Runtime;
  readonly refusals: [id: string, code: Refusal][];
  readonly turnedAway: string[];
  readonly expel: (id: string) => void;
}

/** A host of the run; `closed: false` is one of a stranger, for whom everybody belongs. */
async function startNode(
  by: {
    key?: Uint8Array;
    ticket?: Ticket;
    network?: Uint8Array;
    closed?: boolean;
    given?: Record<string, unknown>;
  } = {},
): Promise<Node> {
  const key = by.key ?? (await generateKey());
  const id = idOfKey(key)!;
  const settings = settingsWith({ codec: 'f32', announceMs: 200, minPeers: 2, rounds: 4, ...by.given });
  const peer = createPeer({ id, runId: RUN, settings, adapter: new Float32Array(COUNT).fill(1) });
  const book = createBook({
    runId: RUN,
    founder: by.closed === false ? '' : founder,
    id,
    key,
    ticket: by.ticket ?? null,
  });
  const [refusals, turnedAway]: [Node['refusals'], string[]] = [[], []];
  const runtime = await createRuntime({
    peer,
    key,
    book,
    network: by.network ?? null,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    describeRun: () => JSON.stringify(settings),
    save: async () => {},
    train: async (_round, adapter) => ({ adapter, stats: { loss: 0 } }),
    onRefuse: (who, code) => refusals.push([who, code]),
    onTurnedAway: (_by, code) => turnedAway.push(code),
  });
  const expel = (who: string): void => {
    for (const one of book.rule({ [who]: { verdict: 'ban', tell: false } })) runtime.host.expel(one);
  };
  return { peer, runtime, refusals, turnedAway, expel };
}

const stopAll = (...nodes: Node[]): Promise<unknown> => Promise.all(nodes.map(({ runtime }) => runtime.stop()));
const codesOf = ({ refusals }: Node, { peer }: Node): Set<string> =>
  new Set(refusals.filter(([id]) => id === peer.id).map(([, code]) => code));

test('members by one invite train together to the end; the core knows by which invite each came', async () => {
  const [first, second, third] = [
    await startNode({ key: founderKey, given: { minPeers: 3 } }),
    await startNode({ ticket, given: { minPeers: 3 } }),
    await startNode({ ticket, given: { minPeers: 3 } }),
  ];
  for (const node of [second, third]) await node.runtime.host.dial(first.runtime.host.addresses());
  await Promise.all([first, second, third].map(({ runtime }) => runtime.finished));
  const name = Buffer.from(ticket.pass.key).toString('hex');
  assert.is(first.peer.members.get(second.peer.id)!.invite, name);
  assert.is(second.peer.members.get(first.peer.id)!.invite, '');
  assert.is(second.peer.members.get(third.peer.id)!.invite, name);
  assert.equal(
    [first, second, third].map(({ peer }) => peer.round),
    [6, 6, 6],
  );
  await stopAll(first, second, third);
});

test('a stranger is heard of by nobody: not its frames, not its announcements, also where it passes by a member', async () => {
  const first = await startNode({ key: founderKey, given: { minPeers: 9 } });
  const member = await startNode({ ticket, given: { minPeers: 9 } });
  const stranger = await startNode({ closed: false, given: { minPeers: 9 } });
  await member.runtime.host.dial(first.runtime.host.addresses());
  await stranger.runtime.host.dial(first.runtime.host.addresses()).catch(() => {}); // it may be hung up on at once
  await until(() => codesOf(first, stranger).has('not-admitted'));
  await until(() => first.peer.members.get(member.peer.id)?.connected === true);
  assert.is(first.peer.members.has(stranger.peer.id), false);
  assert.is(member.peer.members.has(stranger.peer.id), false);
  assert.is(first.runtime.host.isConnected(stranger.peer.id), false);
  await stopAll(first, member, stranger);
});

test('what the run is, is told to who holds an invite, and to nobody else', async () => {
  const first = await startNode({ key: founderKey });
  const addresses = first.runtime.host.addresses();
  const proofFor = (id: string): Uint8Array => holderProof(ticket, RUN, id);
  assert.is(JSON.parse(await fetchRun({ addresses, runId: RUN, proofFor })).minPeers, 2);
  const refused = await fetchRun({ addresses, runId: RUN }).then(
    () => 'told',
    (error) => error.mistake,
  );
  assert.is(refused, 'unreachable');
  await stopAll(first);
});

test('who has not got what the invites share cannot even shake hands, and hears what that may mean', async () => {
  const { network } = ticket;
  const first = await startNode({ key: founderKey, network, given: { minPeers: 9 } });
  const member = await startNode({ ticket, network, given: { minPeers: 9 } });
  const stranger = await startNode({ ticket, given: { minPeers: 9 } });
  const addresses = first.runtime.host.addresses();
  await member.runtime.host.dial(addresses);
  await until(() => first.peer.members.get(member.peer.id)?.connected === true);
  const outside = await stranger.runtime.host.dial(addresses).catch((error) => error.message);
  assert.match(
    outside,
    /nobody answers at .*\(it hung up in the handshake: it is of another run, whose key is another/,
  );
  const proofFor = (id: string): Uint8Array => holderProof(ticket, RUN, id);
  assert.is(JSON.parse(await fetchRun({ addresses, runId: RUN, proofFor, network })).minPeers, 9);
  const asked = await fetchRun({ addresses, runId: RUN, proofFor }).catch((error) => error.mistake);
  assert.is(asked, 'unreachable');
  assert.is(first.runtime.host.isConnected(stranger.peer.id), false);
  assert.equal([...codesOf(first, stranger)], [], 'it has not even said who it is');
  await stopAll(first, member, stranger);
});

test('one that is banned while it takes part is out, and does not come back; it hears why', async () => {
  const first = await startNode({ key: founderKey, given: { minPeers: 9 } });
  const member = await startNode({ ticket, given: { minPeers: 9 } });
  await member.runtime.host.dial(first.runtime.host.addresses());
  await until(() => first.peer.members.get(member.peer.id)?.connected === true);
  first.expel(member.peer.id);
  await until(() => first.peer.members.get(member.peer.id)?.connected === false);
  assert.is(first.runtime.host.isConnected(member.peer.id), false);
  await member.runtime.host.dial(first.runtime.host.addresses()).catch(() => {});
  assert.is(first.runtime.host.isConnected(member.peer.id), false);
  assert.is(await first.runtime.host.send(member.peer.id, new Uint8Array(60)), false);
  await stopAll(first, member);
});

test('more ids than an invite has places: the last is told that it is used up', async () => {
  const few = issueTicket({ runId: RUN, key: founderKey, chain: [], uses: 2, expires: 0 });
  const first = await startNode({ key: founderKey, given: { minPeers: 9 } });
  const guests = [
    await startNode({ ticket: few, given: { minPeers: 9 } }),
    await startNode({ ticket: few, given: { minPeers: 9 } }),
  ];
  for (const { runtime } of guests) await runtime.host.dial(first.runtime.host.addresses());
  await until(() => guests.every(({ peer }) => first.peer.members.get(peer.id)?.connected === true));
  const last = await startNode({ ticket: few, given: { minPeers: 9 } });
  await last.runtime.host.dial(first.runtime.host.addresses()).catch(() => {});
  await until(() => last.turnedAway.includes('place-taken'));
  assert.is(first.runtime.host.isConnected(last.peer.id), false);
  await stopAll(first, last, ...guests);
});

test.run();
