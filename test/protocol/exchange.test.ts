/** @file The ledger: what never left is no exchange, what has left stays one, restarts or not. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CODECS } from '../../protocol/codec.ts';
import type { Effect, Event } from '../../protocol/events.ts';
import { openExchange } from '../../protocol/exchange.ts';
import { decodeFrame, encodeFrame, type Message } from '../../protocol/frame.ts';
import { createPeer, restorePeer, snapshotOf } from '../../protocol/peer.ts';
import { step } from '../../protocol/step.ts';
import { quickHash } from '../../sim/world/digest.ts';
import { settingsWith } from '../support.ts';

const RUN = '00112233445566778899aabbccddeeff';

test('the degree is the number of neighbours an exchange is opened with', () => {
  for (const count of [1, 2, 4, 9]) {
    const neighbours = Array.from({ length: count }, (_, i) => `peer-${i}`);
    const [adapter, residual] = [Float32Array.of(1), Float32Array.of(0)];
    const { exchange } = openExchange({ round: 0, neighbours, settings: settingsWith({}), adapter, residual });
    assert.equal(
      Object.values(exchange.edges).map((edge) => edge.degree),
      neighbours.map(() => count),
    );
  }
});

/** A peer `a` in the exchange of round 0 with `b`, which is not connected any more. */
function alone() {
  const settings = settingsWith({ codec: 'f32', rounds: 5, minPeers: 2 });
  const peer = createPeer({ id: 'a', runId: RUN, settings, adapter: Float32Array.of(0) });
  let now = 1000;
  const effects = (event: Event): Effect[] => step(peer, event, { now, hash: quickHash });
  const hear = (message: Message): Effect[] =>
    effects({ type: 'frame', from: 'b', bytes: encodeFrame({ message, sequence: 1 + now }, RUN, quickHash) });
  effects({ type: 'start', addresses: [] });
  effects({ type: 'peer', id: 'b', up: true });
  hear({ type: 'announce', round: 0, state: 'joined', addresses: ['/ip4/127.0.0.1/tcp/1/p2p/b'] });
  effects({ type: 'peer', id: 'b', up: false });
  const opened = effects({ type: 'trained', round: 0, adapter: Float32Array.of(2), stats: { loss: 1 } });
  return { peer, effects, hear, opened, wait: (ms: number) => (now += ms) };
}

const messages = (effects: readonly Effect[]): string[] =>
  effects.flatMap((effect) => {
    if (effect.type !== 'send') return [];
    const decoded = decodeFrame(effect.bytes, { runId: RUN, count: 1, codec: 'f32' }, quickHash);
    return decoded.ok ? [`${decoded.frame.message.type} ${decoded.frame.message.round}`] : [];
  });
const data: Message = {
  type: 'data',
  round: 0,
  degree: 1,
  radius: Number.POSITIVE_INFINITY,
  codec: 'f32',
  count: 1,
  payload: CODECS.f32.encode(Float32Array.of(8)),
};

test('a neighbour that is not connected is dialled, and sent the adapter once it is', () => {
  const { peer, effects, opened } = alone();
  assert.ok(opened.some((effect) => effect.type === 'dial'));
  assert.equal(messages(opened), []);
  assert.is(peer.phase, 'exchanging');
  assert.ok(messages(effects({ type: 'peer', id: 'b', up: true })).includes('data 0'));
});

test('one that cannot be reached is no neighbour: neither end mixes, should it send something later', () => {
  const { peer, effects, hear } = alone();
  effects({ type: 'peer', id: 'b', up: false });
  assert.is(peer.phase, 'training', 'nobody is waited for');
  assert.equal(
    peer.exchanges.flatMap(({ edges }) => Object.keys(edges)),
    [],
  );
  effects({ type: 'peer', id: 'b', up: true });
  assert.equal(messages(hear(data)), ['nack 0']);
  assert.equal([...peer.adapter], [2]);
});

test('a norm that only packing lifts above the limit is not exchanged', () => {
  // 127 numbers that int8 rounds up, so that the packed adapter is longer than the adapter.
  const adapter = Float32Array.from({ length: 128 }, (_, i) => (i === 0 ? 127 : 0.51));
  const packed = CODECS.int8.norm(CODECS.int8.encode(adapter), 128)!;
  const exact = Math.hypot(...adapter);
  assert.ok(packed > exact);
  const open = (maxNorm: number): number => {
    const settings = settingsWith({ codec: 'int8', rounds: 5, minPeers: 2, maxNorm });
    const peer = createPeer({ id: 'a', runId: RUN, settings, adapter });
    const effects = (event: Event): Effect[] => step(peer, event, { now: 1000, hash: quickHash });
    effects({ type: 'start', addresses: [] });
    effects({ type: 'peer', id: 'b', up: true });
    const message: Message = { type: 'announce', round: 0, state: 'joined', addresses: [] };
    effects({ type: 'frame', from: 'b', bytes: encodeFrame({ message, sequence: 1 }, RUN, quickHash) });
    const opened = effects({ type: 'trained', round: 0, adapter, stats: { loss: 1 } });
    return opened.filter((effect) => effect.type === 'send').length;
  };
  assert.equal([open((exact + packed) / 2), open(packed + 0.01)], [0, 1]);
});

test('who comes back by a clock of today still knows whom it knew, and looks for them', () => {
  const { peer } = alone();
  const { settings } = peer;
  const snapshot = { ...snapshotOf(peer), exchanges: [] };
  assert.equal(
    snapshot.acquaintances.map(({ id }) => id),
    ['b'],
  );
  const again = restorePeer({ id: 'a', settings, snapshot });
  const effects = step(again, { type: 'start', addresses: [] }, { now: 1_790_000_000_000, hash: quickHash });
  assert.ok(effects.some((effect) => effect.type === 'dial' && effect.id === 'b'));
  assert.is(again.phase, 'gathering');
});

test('a restart forgets neither that an adapter has left nor that it never did', () => {
  for (const hasLeft of [false, true]) {
    const { peer, effects } = alone();
    if (hasLeft) effects({ type: 'peer', id: 'b', up: true });
    const again = restorePeer({ id: 'a', settings: peer.settings, snapshot: snapshotOf(peer) });
    step(again, { type: 'start', addresses: [] }, { now: 5000, hash: quickHash });
    step(again, { type: 'timer', name: 'round' }, { now: again.deadlineAt, hash: quickHash });
    step(again, { type: 'timer', name: 'round' }, { now: again.deadlineAt, hash: quickHash });
    assert.is(again.exchanged, 0);
    assert.is(again.round, 1);
    assert.equal(
      again.exchanges.map(({ round, edges }) => [round, Object.keys(edges)]),
      hasLeft ? [[0, ['b']]] : [],
    );
  }
});

test.run();
