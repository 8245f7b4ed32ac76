/** @file How an exchange ends: mixed at both ends or at neither, by agreement, whatever gets lost, repeated or late in between. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CODECS } from '../../protocol/codec.ts';
import type { Effect, Event } from '../../protocol/events.ts';
import { decodeFrame, encodeFrame, type Message } from '../../protocol/frame.ts';
import { createPeer, restorePeer, snapshotOf } from '../../protocol/peer.ts';
import { step } from '../../protocol/step.ts';
import { quickHash } from '../../sim/world/digest.ts';
import { settingsWith } from '../support.ts';

const RUN = '00112233445566778899aabbccddeeff';

/** A peer `a` with one number, at the exchange of round 0 with `b`, which has sent nothing yet. */
function bench(more: Record<string, unknown> = {}) {
  const settings = settingsWith({
    codec: 'f32',
    rounds: 9,
    minPeers: 2,
    roundDeadlineMs: 500,
    maxOpenRounds: 1,
    rule: 'mean',
    ...more,
  });
  let peer = createPeer({ id: 'a', runId: RUN, settings, adapter: Float32Array.of(0) });
  let [now, sequence] = [1000, 0];
  const effects = (event: Event): Effect[] => step(peer, event, { now, hash: quickHash });
  const hear = (message: Message, from = 'b'): string[] =>
    said(effects({ type: 'frame', from, bytes: encodeFrame({ message, sequence: sequence++ }, RUN, quickHash) }));
  const meet = (id: string): void => {
    effects({ type: 'peer', id, up: true });
    hear({ type: 'announce', round: peer.round, state: 'joined', addresses: [] }, id);
  };
  const train = (value: number): string[] =>
    said(effects({ type: 'trained', round: peer.round, adapter: Float32Array.of(value), stats: { loss: 1 } }));
  const tick = (ms: number): string[] => {
    now += ms;
    return said(effects({ type: 'timer', name: 'round' }));
  };
  effects({ type: 'start', addresses: [] });
  meet('b');
  return {
    hear,
    meet,
    train,
    tick,
    remind: () => said(effects({ type: 'timer', name: 'retry' })),
    peer: () => peer,
    /** Dies, comes back from what it saved last, and meets `b` again. */
    restart: () => {
      peer = restorePeer({ id: 'a', settings, snapshot: snapshotOf(peer) });
      effects({ type: 'start', addresses: [] });
      return said(effects({ type: 'peer', id: 'b', up: true }));
    },
  };
}

/** What is done but timers and reports; messages as `type round`. */
function said(effects: readonly Effect[]): string[] {
  return effects.flatMap((effect): string[] => {
    if (effect.type === 'save' || effect.type === 'train') return [effect.type];
    if (effect.type !== 'send') return [];
    const decoded = decodeFrame(effect.bytes, { runId: RUN, count: 1, codec: 'f32' }, quickHash);
    const message = decoded.ok ? decoded.frame.message : null;
    return message && message.type !== 'announce' ? [`${message.type} ${message.round}`] : [];
  });
}

const data = (round: number, value: number): Message => {
  return {
    type: 'data',
    round,
    degree: 1,
    radius: Number.POSITIVE_INFINITY,
    codec: 'f32',
    count: 1,
    payload: CODECS.f32.encode(Float32Array.of(value)),
  };
};

test('who wants out asks, saved first, and mixes nothing until it is answered, restarts or not', () => {
  const b = bench();
  b.train(2);
  assert.equal(b.tick(500), ['save', 'cancel 0', 'train'], 'the deadline is past and there is no room for another');
  for (const again of [0, 1]) {
    b.hear(data(0, 4));
    assert.equal([...b.peer().adapter], [2], `not mixed, life ${again}`);
    assert.equal(b.remind(), ['cancel 0']);
    if (again === 0) assert.ok(b.restart().includes('cancel 0'));
  }
});

test('where the other end has not mixed either, both forget it', () => {
  const b = bench();
  b.train(2);
  b.tick(500);
  b.hear({ type: 'nack', round: 0 });
  b.hear(data(0, 4)); // a copy that was on its way
  const opened = b.train(3);
  assert.equal(opened, ['save', 'data 1'], 'there is room again');
  assert.equal([...b.peer().adapter], [3]);
});

test('where the other end has mixed, this one has to, against what it sent', () => {
  const b = bench();
  b.train(2);
  b.tick(500);
  assert.equal(b.hear({ type: 'ack', round: 0 }), ['want 0']);
  b.hear(data(0, 4));
  assert.equal(b.train(3), ['save', 'ack 0', 'data 1']);
  assert.equal([...b.peer().adapter], [4]); // 3 + (4 - 2) / 2
});

test('asked out, a peer that has not mixed agrees, saved first; one that has says so', () => {
  const [open, mixed] = [bench(), bench()];
  open.train(2);
  assert.equal(open.hear({ type: 'cancel', round: 0 }), ['save', 'nack 0', 'train']);
  assert.equal(open.hear(data(0, 4)), ['nack 0']);
  assert.equal([...open.peer().adapter], [2]);
  mixed.train(2);
  mixed.hear(data(0, 4));
  assert.equal(mixed.hear({ type: 'cancel', round: 0 }), ['ack 0']);
  assert.equal([...mixed.peer().adapter], [3]);
});

test('both ends may ask out at once', () => {
  const b = bench();
  b.train(2);
  b.tick(500);
  assert.equal(b.hear({ type: 'cancel', round: 0 }), ['save', 'nack 0']);
  assert.equal(b.hear({ type: 'nack', round: 0 }), []);
  assert.equal(
    b.peer().exchanges.flatMap(({ edges }) => Object.keys(edges)),
    [],
  );
});

test('an exchange of a round to come can be called off, also over a restart', () => {
  for (const isRestarted of [false, true]) {
    const b = bench({ maxOpenRounds: 4 });
    b.hear(data(0, 8));
    assert.equal(b.hear({ type: 'cancel', round: 0 }), ['save', 'nack 0']);
    if (isRestarted) {
      b.restart();
      b.meet('b');
    }
    assert.equal(b.hear(data(0, 8)), ['nack 0'], 'a copy of what came before');
    b.train(2);
    assert.equal([...b.peer().adapter], [2]);
    assert.is(b.peer().round, 1, 'nobody is left to wait for');
  }
});

test('with a neighbour that owes an answer no other exchange is opened; what it says of a newer one is the answer', () => {
  const b = bench({ maxOpenRounds: 4 });
  b.train(2);
  b.hear(data(0, 4));
  assert.is(b.peer().round, 1);
  assert.equal(b.train(3), [], 'an acknowledgement away');
  assert.is(b.peer().phase, 'opening');
  assert.equal(
    b.hear(data(1, 5)),
    ['save', 'data 1', 'ack 1', 'train'],
    'it would not be at round 1 with round 0 open',
  );
  assert.equal([...b.peer().adapter], [4]);
});

test('with others it goes on after the deadline', () => {
  const b = bench({ maxOpenRounds: 4 });
  b.meet('c');
  b.train(2);
  b.hear(data(0, 4), 'c');
  assert.is(b.peer().phase, 'exchanging');
  b.tick(500);
  b.hear({ type: 'ack', round: 0 }, 'c');
  b.train(5);
  assert.equal(
    b.peer().exchanges.map(({ round, edges }) => [round, Object.keys(edges)]),
    [
      [0, ['b']],
      [1, ['c']],
    ],
  );
});

test('where too many are undecided, a round passes without an exchange and says so', () => {
  const b = bench();
  b.train(2);
  b.tick(500);
  b.train(3);
  assert.is(b.peer().phase, 'opening', 'an answer may come');
  b.tick(500);
  assert.is(b.peer().round, 2);
  assert.equal(
    b.peer().exchanges.map(({ round }) => round),
    [0],
  );
});

test('a liar that says it has not mixed, after it has, leaves its own adapter at its weight and no more', () => {
  const b = bench({ maxNorm: 10 });
  b.train(2);
  b.hear(data(0, 10));
  b.hear({ type: 'nack', round: 0 });
  assert.equal([...b.peer().adapter], [6]); // 2 + (10 - 2) / 2
  assert.equal(
    b.peer().exchanges.flatMap(({ edges }) => Object.keys(edges)),
    [],
  );
  b.hear(data(1, 11));
  assert.is(b.peer().refused['huge-norm'], 1);
});

test.run();
