/** @file Floods: more than is taken in waits, is refused under a code, or costs the connection; others get through. */
import '../../node/polyfill.ts';
import type { Stream, StreamMuxer } from '@libp2p/interface';
import * as lengthPrefixed from 'it-length-prefixed';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { worthDialling } from '../../node/addresses.ts';
import { createBuckets } from '../../node/buckets.ts';
import { createDials } from '../../node/dials.ts';
import { createGate } from '../../node/gate.ts';
import { readAsRead } from '../../node/guard.ts';
import { ARRIVALS, GRACE_MS, MAX_SLOTS, MAX_SLOTS_PER_ADDRESS, SILENCE_MS, STALLED } from '../../node/limits.ts';
import { createRoom } from '../../node/room.ts';
import { receiveFrames } from '../../node/streams.ts';

const ID = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN';

test('a bucket gives its burst at once, then its rate, and each key has its own', () => {
  let now = 0;
  const buckets = createBuckets({ burst: 10, perSecond: 5, now: () => now });
  const takeAll = (key: string): number => {
    let count = 0;
    while (buckets.take(key)) count += 1;
    return count;
  };
  assert.equal([takeAll('a'), takeAll('b')], [10, 10]);
  now = 1000;
  assert.is(takeAll('a'), 5);
  assert.equal([buckets.borrow('a'), buckets.borrow('a')], [200, 400], 'who borrows waits its turn');
  now = 1e6;
  assert.is(takeAll('a'), 10, 'never more than the burst');
  for (let i = 0; i < 10_000; i++) buckets.take(`${i}`);
  assert.is(takeAll('a'), 10, 'what was not used for long is forgotten');
});

/** A gate with a clock that stands still, and what it is asked. */
function gateOf() {
  let now = 0;
  const refused: string[] = [];
  const gate = createGate({ onRefuse: (who, code) => refused.push(`${code} ${who}`), now: () => now });
  const arrive = (host: string, id: string | null = null) => {
    const timeline: { upgraded?: number; close?: number } = {};
    const incoming = {
      timeline,
      abort: () => {
        timeline.close = 1;
      },
    };
    const isIn = gate.admit(incoming, host);
    if (isIn && id !== null) {
      gate.identify(timeline, id);
      timeline.upgraded = 1;
    }
    return { isIn, isOpen: () => isIn && timeline.close === undefined };
  };
  const pass = (ms: number): void => {
    now += ms;
  };
  return { gate, arrive, pass, refused };
}

test('fifty peers behind one address all take part, each with a connection either way', () => {
  const { gate, arrive, pass } = gateOf();
  const all = Array.from({ length: 100 }, (_, i) => {
    gate.heard(`peer ${i % 50}`);
    return arrive('198.51.100.7', `peer ${i % 50}`);
  });
  pass(100_000);
  gate.sweep();
  assert.ok(all.every(({ isOpen }) => isOpen()));
});

test('connections of one address that never speak are bounded, then closed, and a newcomer there gets the slot of one', () => {
  const { gate, arrive, pass, refused } = gateOf();
  const idle = Array.from({ length: 1000 }, (_, i) => arrive('198.51.100.7', `idle ${i}`));
  assert.is(idle.filter(({ isOpen }) => isOpen()).length, MAX_SLOTS_PER_ADDRESS);
  assert.ok(arrive('198.51.100.8', 'elsewhere').isIn);
  pass(GRACE_MS);
  assert.ok(arrive('198.51.100.7', 'newcomer').isIn);
  gate.heard('newcomer');
  gate.heard('elsewhere');
  assert.is(idle.filter(({ isOpen }) => isOpen()).length, MAX_SLOTS_PER_ADDRESS - 1);
  pass(SILENCE_MS);
  gate.sweep();
  assert.is(idle.filter(({ isOpen }) => isOpen()).length, 0);
  assert.is(refused.filter((line) => line.startsWith('silent')).length, MAX_SLOTS_PER_ADDRESS - 1);
  assert.is(refused.filter((line) => line.startsWith('crowded-address')).length, 1000 - MAX_SLOTS_PER_ADDRESS);
});

test('where all slots are taken by those that speak, a newcomer gets that of the most crowded address', () => {
  const { gate, arrive, pass } = gateOf();
  const crowd = Array.from({ length: MAX_SLOTS - 20 }, (_, i) => {
    gate.heard(`many ${i}`);
    return arrive(`198.51.100.${Math.floor(i / 100)}`, `many ${i}`);
  });
  const few = Array.from({ length: 20 }, (_, i) => {
    gate.heard(`one ${i}`);
    return arrive(`203.0.113.${i}`, `one ${i}`);
  });
  assert.not.ok(arrive('192.0.2.1', 'too soon').isIn, 'whoever has just come keeps its slot');
  pass(GRACE_MS);
  for (let i = 0; i < 20; i++) assert.ok(arrive(`192.0.2.${i}`, `new ${i}`).isIn);
  assert.ok(few.every(({ isOpen }) => isOpen()));
  assert.is(crowd.filter(({ isOpen }) => isOpen()).length, MAX_SLOTS - 40);
});

test('handshakes that are never ended hold no slot against a newcomer, and one address comes at a bounded rate', () => {
  const { arrive, pass, refused } = gateOf();
  const halfOpen = Array.from({ length: MAX_SLOTS_PER_ADDRESS }, () => arrive('2001:db8:1:2::7'));
  assert.ok(halfOpen.every(({ isOpen }) => isOpen()));
  assert.not.ok(arrive('2001:db8:1:2:3::9').isIn, 'a network of IPv6 is one address');
  pass(GRACE_MS);
  assert.ok(arrive('2001:db8:1:2::8').isIn);
  assert.not.ok(halfOpen[0]!.isOpen());
  for (let i = 0; i < 2 * ARRIVALS.burst; i++) arrive('192.0.2.1');
  pass(GRACE_MS);
  const isIn = Array.from({ length: ARRIVALS.burst }, () => arrive('192.0.2.1').isIn).filter(Boolean).length;
  assert.ok(isIn <= (ARRIVALS.perSecond * GRACE_MS) / 1000, `${isIn}`);
  assert.ok(refused.every((line) => line.startsWith('crowded-address')));
});

test('few addresses are dialled of whatever a peer names, and those that fail wait', () => {
  let now = 0;
  const dials = createDials(() => now);
  const places = (id: string, count: number): string[] =>
    Array.from({ length: count }, (_, i) => `/ip4/198.51.100.${i}/tcp/1/p2p/${id}`);
  assert.is(dials.choose('a', places('a', 16))?.length, 4);
  dials.failed('a', places('a', 4));
  assert.is(dials.choose('a', places('a', 16)), null, 'the peer waits');
  assert.equal(dials.choose('b', places('b', 4)), [], 'and so do the places, whoever is said to be there');
  now = 500;
  assert.is(dials.choose('a', places('a', 4))?.length, 4);
  dials.failed('a', places('a', 4));
  now = 1000;
  assert.is(dials.choose('a', places('a', 4)), null, 'for longer each time');
  dials.reached('a');
  assert.is(dials.choose('a', ['/ip4/203.0.113.1/tcp/1/p2p/a'])?.length, 1, 'who was reached need not wait');
  dials.failed('e', ['/ip4/203.0.113.1/tcp/1/p2p/e']);
  assert.is(dials.choose('a', ['/ip4/203.0.113.1/tcp/1/p2p/a'])?.length, 1, 'whoever else is said to be where it is');
  assert.equal(dials.choose('b', ['/ip4/203.0.113.1/tcp/1/p2p/b']), [], 'as one never met does');
  // What one peer could make another do: 300 connections to distinct hosts within 8 s.
  let dialled = 0;
  for (let i = 0; i < 300; i++) {
    now += 8000 / 300;
    const id = `c${i}`;
    const chosen = dials.choose(id, [`/ip4/192.0.${i >> 8}.${i & 255}/tcp/1/p2p/${id}`]) ?? [];
    dialled += chosen.length;
    dials.failed(id, chosen);
  }
  assert.ok(dialled > 10 && dialled < 60, `${dialled} of 300`);
  assert.is(dials.choose('d', ['/ip4/192.0.9.1/tcp/1/p2p/d']), null, 'put off, not failed');
});

test('addresses are dialled that name whom they lead to, and lead at least as far as to who tells of them', () => {
  const at = (host: string, id = ID): string => `/ip${host.includes(':') ? 6 : 4}/${host}/tcp/4001/p2p/${id}`;
  const hosts = ['127.0.0.1', '::1', '10.1.2.3', '172.16.0.1', '192.168.1.1', '169.254.1.1', 'fd00::1', 'fe80::1'];
  const open = [at('198.51.100.7'), at('2001:db8::7')];
  const told = [...hosts.map((host) => at(host)), ...open];
  assert.equal(worthDialling(told, ID, '203.0.113.9'), open, 'told by somebody public');
  assert.equal(worthDialling(told, ID, ''), open, 'told by nobody knows whom');
  assert.equal(worthDialling(told, ID, '192.168.1.9'), told.slice(2), 'told by a neighbour');
  assert.equal(worthDialling(told, ID, '127.0.0.1'), told, 'told on this machine');
  assert.equal(worthDialling(told, ID, 'lab.example'), told.slice(2), 'told where the user sent us by name');
  const unfit = [
    '/ip4/198.51.100.7/tcp/4001',
    at('198.51.100.7', `${ID}x`),
    at('0.0.0.0'),
    at('224.0.0.1'),
    at('ff02::1'),
  ];
  unfit.push(`/dns4/localhost/tcp/1/p2p/${ID}`, `/ip4/198.51.100.7/udp/1/p2p/${ID}`, at('::'), at('198.51.100.7:1'));
  assert.equal(worthDialling(unfit, ID, '127.0.0.1'), []);
});

/** A stream that frames come over, with a count of how many have been read. */
function streamOf(frames: readonly Uint8Array[]) {
  let read = 0;
  let isAborted = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    for (const frame of frames) {
      read += 1;
      yield lengthPrefixed.encode.single(frame).subarray();
    }
  }
  const stream = { source: source(), close: async () => {}, abort: () => (isAborted = true) } as unknown as Stream;
  return { stream, read: () => read, isAborted: () => isAborted };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a stream whose frame waits is not read', async () => {
  const { stream, read } = streamOf(Array.from({ length: 5 }, () => Uint8Array.of(1)));
  const waiting: (() => void)[] = [];
  const room = createRoom({ inAll: 100, each: 10 });
  const over = receiveFrames(stream, {
    maxFrameBytes: 10,
    onFrame: () => new Promise((resolve) => waiting.push(resolve)),
    onOversized: () => {},
    room: { reserve: (bytes) => room.reserve('a', bytes), release: (bytes) => room.release('a', bytes) },
  });
  for (let i = 0; i < 5; i++) {
    await turn();
    await turn();
    assert.equal([waiting.length, read()], [i + 1, i + 1]);
    waiting[i]!();
  }
  await over;
});

test('of a connection that takes none of the answers that wait for it little is read, and then it is closed', async () => {
  let read = 0;
  let stalled = 0;
  let waiting = 0;
  const answers = Object.assign((async function* () {})(), { readableLength: 0 });
  const muxer = {
    protocol: '',
    streams: [],
    newStream: () => assert.unreachable(),
    close: async () => {},
    abort: () => {},
    source: Object.defineProperty(answers, 'readableLength', { get: () => waiting }),
    sink: async (source: AsyncIterable<Uint8Array>) => {
      for await (const bytes of source) read += bytes.length;
    },
  } as unknown as StreamMuxer;
  async function* pings(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 40; i++) yield new Uint8Array(STALLED.readBytes / 4);
  }
  let clock = 0;
  const waits: number[] = [];
  const slowly = (onStalled: () => void): StreamMuxer =>
    readAsRead(muxer, onStalled, {
      now: () => clock,
      wait: async (ms) => {
        waits.push(ms);
        clock += 8 * ms;
      },
    });
  await slowly(assert.unreachable).sink(pings());
  assert.equal([read, waits.length], [10 * STALLED.readBytes, 0], 'what is answered is read at once');
  [read, waiting] = [0, STALLED.waitingBytes];
  const slow = slowly(() => {
    stalled += 1;
  });
  clock += STALLED.afterMs;
  await slow.sink(pings());
  assert.ok(waits.every((ms) => ms === 250));
  assert.is(read, (waits.length + 1) * (STALLED.readBytes / 4), 'no more after the end');
  assert.is(stalled, 1);
});

test('frames on their way in have room of one peer and in all, and give it back', async () => {
  const room = createRoom({ inAll: 25, each: 10 });
  assert.ok(room.reserve('a', 10));
  assert.not.ok(room.reserve('a', 1));
  assert.ok(room.reserve('b', 10));
  assert.not.ok(room.reserve('c', 6));
  const { stream, isAborted } = streamOf([new Uint8Array(6)]);
  const taken: Uint8Array[] = [];
  await receiveFrames(stream, {
    maxFrameBytes: 10,
    onFrame: async (bytes) => {
      taken.push(bytes);
    },
    onOversized: () => {},
    room: { reserve: (bytes) => room.reserve('c', bytes), release: (bytes) => room.release('c', bytes) },
  });
  assert.equal([isAborted(), taken.length], [true, 0], 'what finds no room is cut off unread');
  room.release('a', 10);
  assert.ok(room.reserve('c', 10), 'what was cut off holds none');
});

test.run();
