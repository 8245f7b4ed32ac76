/** @file Real hosts on loopback: they agree on the mean of where they began, and refuse and count what is hostile. */
import '../../node/polyfill.ts';
import { type AddressInfo, createServer } from 'node:net';
import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import { tcp } from '@libp2p/tcp';
import { multiaddr } from '@multiformats/multiaddr';
import * as lengthPrefixed from 'it-length-prefixed';
import { pipe } from 'it-pipe';
import { createLibp2p } from 'libp2p';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { generateKey, idOfKey } from '../../node/admission/identity.ts';
import { fetchRun } from '../../node/network/visits.ts';
import { createRuntime, type Runtime, type RuntimeOptions } from '../../node/runtime.ts';
import { sha256 } from '../../node/train/run.ts';
import { CODECS } from '../../protocol/codec.ts';
import { encodeFrame, type Message, maxFrameBytes, type Refusal } from '../../protocol/frame.ts';
import { createPeer, type Peer } from '../../protocol/peer.ts';
import { createPrng } from '../../protocol/prng.ts';
import { distance, mean, norm } from '../../protocol/vector.ts';
import { settingsWith, until } from '../support.ts';

const RUN = '00112233445566778899aabbccddeeff';
const COUNT = 1000;

interface Node {
  readonly peer: Peer;
  readonly runtime: Runtime;
  readonly refusals: { id: string; code: Refusal }[];
}

async function startNode(
  given: Record<string, unknown>,
  adapter: Float32Array,
  more: Partial<RuntimeOptions> = {},
): Promise<Node> {
  const key = await generateKey();
  const settings = settingsWith({ codec: 'f32', announceMs: 500, retryMs: 2000, roundDeadlineMs: 20_000, ...given });
  const peer = createPeer({ id: idOfKey(key)!, runId: RUN, settings, adapter });
  const refusals: Node['refusals'] = [];
  const runtime = await createRuntime({
    peer,
    key,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    describeRun: () => JSON.stringify(settings),
    save: async () => {},
    train: async (_round, x) => ({ adapter: x, stats: { loss: 0 } }),
    onRefuse: (id, code) => refusals.push({ id, code }),
    ...more,
  });
  return { peer, runtime, refusals };
}

const peersAt = (id: string, addresses: readonly string[] = []): Message => {
  return { type: 'peers', round: 0, peers: [{ id, addresses }] };
};

test('hosts that have met and stopped leave no timer for which a process would wait', async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const nodes = [await startNode({}, new Float32Array(COUNT)), await startNode({}, new Float32Array(COUNT))] as const;
  await nodes[1].runtime.host.dial(nodes[0].runtime.host.addresses());
  assert.ok(timers() > before);
  for (const { runtime } of nodes) await runtime.stop();
  // Short ones may run out; those that were left took a second.
  for (let turn = 0; turn < 200 && timers() > before; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.ok(timers() <= before, `${timers()} timers, ${before} before`);
});

test('four hosts, rounds without training: all come to the mean of where they began', async () => {
  const prng = createPrng('hosts');
  const adapters = Array.from({ length: 4 }, () => Float32Array.from({ length: COUNT }, prng.normal));
  const nodes: Node[] = [];
  for (const adapter of adapters) nodes.push(await startNode({ minPeers: 4, rounds: 6, closingRounds: 2 }, adapter));
  const first = nodes[0]!.runtime.host.addresses();
  for (const node of nodes.slice(1)) await node.runtime.host.dial(first);
  await Promise.all(nodes.map((node) => node.runtime.finished));
  const wanted = mean(adapters);
  for (const { peer } of nodes) {
    assert.is(peer.round, 8);
    assert.ok(distance(peer.adapter, wanted) / norm(wanted) < 1e-5, `${distance(peer.adapter, wanted) / norm(wanted)}`);
  }
  await Promise.all(nodes.map((node) => node.runtime.stop()));
  const bytes = nodes.map((node) => node.runtime.traffic.sentBytes / (8 * 3 * CODECS.f32.size(COUNT)));
  // A neighbour that is late on a busy machine is left out of a round, and mixed in later.
  for (const ratio of bytes) assert.ok(ratio > 0.75 && ratio < 1.5, `${ratio} times neighbours x adapter`);
});

test('a host that sends garbage, oversized, stale, unfit and wrong-run frames is refused each time, counted, then dropped', async () => {
  const victim = await startNode({ minPeers: 2, rounds: 3 }, new Float32Array(COUNT));
  const hostile = await createLibp2p({
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  });
  const connection = await hostile.dial(multiaddr(victim.runtime.host.addresses()[0]!));
  const send = async (bytes: Uint8Array, cap = 1e9): Promise<void> => {
    const stream = await connection.newStream(`/lorikeet/2/${RUN}/frame`);
    await pipe([bytes], (source) => lengthPrefixed.encode(source, { maxDataLength: cap }), stream.sink).catch(() => {});
    await stream.close().catch(() => {});
  };
  let sequence = 0;
  const frame = (message: Message, runId = RUN): Uint8Array =>
    encodeFrame({ message, sequence: sequence++ }, runId, sha256);
  const data = (values: Float32Array, round = 0): Message => ({
    type: 'data',
    round,
    degree: 1,
    radius: Number.POSITIVE_INFINITY,
    codec: 'f32',
    count: values.length,
    payload: CODECS.f32.encode(values),
  });
  const limits = { runId: RUN, count: COUNT, codec: 'f32' } as const;
  const { refused } = victim.peer;
  const expectations: [Refusal, Uint8Array][] = [
    ['malformed', Uint8Array.from({ length: 500 }, (_, i) => i * 7)],
    ['oversized', new Uint8Array(maxFrameBytes(limits) + 1)],
    ['wrong-run', frame(data(new Float32Array(COUNT)), 'f'.repeat(32))],
    ['wrong-shape', frame(data(new Float32Array(COUNT + 1)))],
    ['not-finite', frame(data(new Float32Array(COUNT).fill(Number.POSITIVE_INFINITY)))],
    ['huge-norm', frame(data(new Float32Array(COUNT).fill(1e9)))],
    ['bad-hash', Uint8Array.from(frame(data(new Float32Array(COUNT))), (b, i) => (i === 100 ? b ^ 1 : b))],
    ['beyond-the-run', frame({ type: 'have', round: 4_000_000 })],
  ];
  // Peers and places that cannot be, which libp2p would throw at.
  const someone = idOfKey(await generateKey())!;
  const places: Message[] = [
    ...['nobody', '', '__proto__', `${someone}x`, 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N'].map((id) =>
      peersAt(id),
    ),
    peersAt(someone, ['/ip4/999.0.0.1/tcp/1']),
    peersAt(someone, [`/ip4/127.0.0.1/tcp/1/p2p/${hostile.peerId}`]),
    { type: 'announce', round: 0, state: 'joined', addresses: ['somewhere'] },
    { type: 'announce', round: 0, state: 'joined', addresses: [`/ip4/127.0.0.1/tcp/1/p2p/${someone}`] },
  ];
  for (const [i, message] of places.entries()) {
    await send(frame(message));
    await until(() => (refused.malformed ?? 0) > i);
  }
  assert.is(victim.peer.members.size, 1, 'nobody but the sender is a member');
  for (const id of Object.keys(victim.peer.strikes)) delete victim.peer.strikes[id]; // it has more to say
  for (const [code, bytes] of expectations) {
    await send(bytes);
    await until(() => (refused[code] ?? 0) > 0);
  }
  // Known as a member it starts the first round; a second adapter for a finished exchange is stale.
  await send(frame({ type: 'announce', round: 0, state: 'joined', addresses: [] }));
  await until(() => victim.peer.phase === 'exchanging');
  await send(frame(data(new Float32Array(COUNT))));
  await until(() => victim.peer.round > 0);
  await send(frame({ type: 'ack', round: 0 }));
  await send(frame(data(new Float32Array(COUNT), 1)));
  await until(() => victim.peer.round > 1);
  await send(frame(data(new Float32Array(COUNT), 0)));
  await until(() => (refused['stale-round'] ?? 0) > 0);
  assert.ok(victim.peer.adapter.every((x) => x === 0));
  const hostileId = hostile.peerId.toString();
  assert.ok(victim.refusals.every(({ id }) => id === hostileId));
  for (let i = 0; i < 30 && connection.status === 'open'; i++) await send(Uint8Array.of(1, 2, 3)).catch(() => {});
  await until(() => connection.status !== 'open');
  await victim.runtime.stop();
  await hostile.stop();
});

for (const [where, broken] of Object.entries({
  'a save': { save: () => Promise.reject(new Error('it broke')) },
  'a report': {
    onMetric: () => {
      throw new Error('it broke');
    },
  },
  training: { train: () => Promise.reject(new Error('it broke')) },
})) {
  test(`an error in ${where} that nobody foresaw stops the peer as a whole`, async () => {
    const [node, other] = [
      await startNode({ minPeers: 2 }, new Float32Array(COUNT), broken),
      await startNode({ minPeers: 2 }, new Float32Array(COUNT)),
    ];
    await other.runtime.host.dial(node.runtime.host.addresses());
    const message = await node.runtime.finished.then(
      () => 'nothing',
      (error: Error) => error.message,
    );
    assert.is(message, 'it broke');
    const { round } = node.peer;
    await Promise.all([node.runtime.stop(), other.runtime.stop()]);
    assert.is(node.peer.round, round, 'it goes on with nothing');
  });
}

test('dead and silent addresses before the good one, and somebody else at one of them, keep nobody out', async () => {
  const node = await startNode({ minPeers: 2 }, new Float32Array(COUNT));
  const stranger = await startNode({ minPeers: 2 }, new Float32Array(COUNT));
  const silent = createServer(() => {}); // accepts, and never speaks
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const at = (port: number): string => `/ip4/127.0.0.1/tcp/${port}/p2p/${node.peer.id}`;
  const strangersPort = Number(/tcp\/(\d+)/.exec(stranger.runtime.host.addresses()[0]!)![1]);
  const { port } = silent.address() as AddressInfo;
  const bad = [at(1), at(port), at(strangersPort), at(2)];
  const addresses = [...bad, ...node.runtime.host.addresses()];
  const described = await fetchRun({ addresses, runId: RUN });
  assert.is(JSON.parse(described).minPeers, 2);
  const joiner = await startNode({ minPeers: 2 }, new Float32Array(COUNT));
  assert.is(await joiner.runtime.host.dial(addresses), node.peer.id);
  assert.is(await joiner.runtime.host.dial(addresses), node.peer.id, 'connected already');
  const reasons = await fetchRun({ addresses: [at(1), at(strangersPort)], runId: RUN }).catch((error) => error.message);
  assert.match(reasons, new RegExp(`tcp/1/.*ECONNREFUSED.*tcp/${strangersPort}/.*${stranger.peer.id} answers there`));
  silent.close();
  await Promise.all([node, stranger, joiner].map(({ runtime }) => runtime.stop()));
});

test('a peer calls back who asks, at the machine it comes from; who cannot be called is reached by way of those it asked', async () => {
  if (process.platform !== 'linux') return; // where all of 127/8 is this machine, with 127.0.0.1 as what others see
  const on = (host: string, more: Partial<RuntimeOptions> = {}): Promise<Node> =>
    startNode({ minPeers: 9 }, new Float32Array(COUNT), { listen: [`/ip4/${host}/tcp/0`], ...more });
  const [one, two, open, shut, beside] = [
    await on('127.0.0.2'),
    await on('127.0.0.4'),
    await on('127.0.0.1'),
    await on('127.0.0.3'), // listens elsewhere than where it comes from
    await on('127.0.0.2'),
  ];
  const ids = [one.peer.id, two.peer.id].sort();
  const hasAll = (some: readonly string[]): boolean => ids.every((id) => some.includes(id));
  for (const node of [open, shut])
    for (const other of [one, two]) await node.runtime.host.dial(other.runtime.host.addresses());
  await until(() => hasAll(open.runtime.host.reach().open));
  assert.equal(open.runtime.host.reach().shut, []);
  await until(() => hasAll(shut.runtime.host.reach().shut) && hasAll(shut.runtime.host.reach().relays));
  const ways = shut.runtime.host.addresses().filter((address) => address.includes('/p2p-circuit'));
  assert.equal(
    ways.sort(),
    ids.map((id) => `/p2p/${id}/p2p-circuit/p2p/${shut.peer.id}`),
  );
  // What it can be reached by is announced.
  await until(() => ways.every((way) => open.peer.members.get(shut.peer.id)?.addresses.includes(way)));
  await beside.runtime.host.dial(one.runtime.host.addresses());
  assert.equal(beside.runtime.host.reach().shut, [], 'on the same machine nobody is asked');
  await Promise.all([one, two, open, shut, beside].map(({ runtime }) => runtime.stop()));
});

test('a host calls nobody who is banned, and not itself, but all others that are named', async () => {
  const [one, two, three] = [
    await startNode({ minPeers: 9 }, new Float32Array(COUNT)),
    await startNode({ minPeers: 9 }, new Float32Array(COUNT)),
    await startNode({ minPeers: 9 }, new Float32Array(COUNT)),
  ];
  const { host } = one.runtime;
  await host.ban(two.peer.id);
  const named = [...host.addresses(), ...two.runtime.host.addresses()];
  const refused = await host.dial(named).catch((error) => error.message);
  assert.is(refused, 'nobody is left to call: this peer itself was named, or who was refused');
  assert.is(await host.dial([...named, ...three.runtime.host.addresses()]), three.peer.id);
  await Promise.all([one, two, three].map(({ runtime }) => runtime.stop()));
});

test('who floods with streams of unknown protocols, or with frames, is counted, refused for good, and hinders nobody', async () => {
  const victim = await startNode({ minPeers: 9 }, new Float32Array(COUNT));
  const codesOf = (id: string): Set<Refusal> => new Set(victim.refusals.filter((r) => r.id === id).map((r) => r.code));
  const address = multiaddr(victim.runtime.host.addresses()[0]!);
  const connect = async () => {
    const hostile = await createLibp2p({
      addresses: { listen: [] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
    });
    return { hostile, id: hostile.peerId.toString(), connection: await hostile.dial(address) };
  };
  const unknown = await connect();
  for (let i = 0; i < 200 && unknown.connection.status === 'open'; i++)
    await unknown.connection.newStream('/nobody/knows/1').catch(() => {});
  await until(() => unknown.connection.status !== 'open');
  assert.ok(codesOf(unknown.id).has('unknown-protocol'));
  const fast = await connect();
  const reminder = encodeFrame({ message: { type: 'have', round: 0 }, sequence: 1 }, RUN, sha256);
  const stream = await fast.connection.newStream(`/lorikeet/2/${RUN}/frame`);
  let sent = 0;
  function* reminders(): Generator<Uint8Array> {
    while (sent++ < 1e6) yield reminder;
  }
  pipe(reminders(), (source) => lengthPrefixed.encode(source), stream.sink).catch(() => {});
  await until(() => codesOf(fast.id).has('too-fast') && codesOf(fast.id).has('repeated'));
  assert.ok(sent < 1e5, `${sent} left, since they are not read`);
  await stream.abort(new Error('enough'));
  const newcomer = await startNode({ minPeers: 9 }, new Float32Array(COUNT));
  await newcomer.runtime.host.dial(victim.runtime.host.addresses());
  await until(() => victim.peer.members.has(newcomer.peer.id));
  assert.equal([...codesOf(newcomer.peer.id)], []);
  await Promise.all([victim, newcomer].map(({ runtime }) => runtime.stop()));
  await Promise.all([unknown, fast].map(({ hostile }) => hostile.stop()));
});

test('an invite to another run, or to nobody, is told apart', async () => {
  const node = await startNode({ minPeers: 2 }, new Float32Array(COUNT));
  const addresses = node.runtime.host.addresses();
  const described = await fetchRun({ addresses, runId: RUN });
  assert.is(JSON.parse(described).minPeers, 2);
  const mistake = (runId: string, where: readonly string[]): Promise<string> =>
    fetchRun({ addresses: where, runId }).then(
      () => 'none',
      (e) => e.mistake,
    );
  assert.is(await mistake('f'.repeat(32), addresses), 'incompatible');
  await node.runtime.stop();
  assert.is(await mistake(RUN, addresses), 'unreachable');
});

test.run();
