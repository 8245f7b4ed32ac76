/** @file One peer, event by event: order of effects, idempotence, refusals, catching up. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Effect } from '../../protocol/events.ts';
import { decodeFrame, encodeFrame } from '../../protocol/frame.ts';
import { catchUp } from '../../protocol/membership.ts';
import { edgeWeight, mix } from '../../protocol/mixing.ts';
import { restorePeer, snapshotOf } from '../../protocol/peer.ts';
import { step } from '../../protocol/step.ts';
import { quickHash } from '../../sim/world/digest.ts';
import { settingsWith, sourceOf } from '../support.ts';
import { bench as benchOf, data, RUN, sent } from './bench.ts';

const SHORT = { rounds: 5, closingRounds: 1, minPeers: 2 };
const settings = settingsWith({ codec: 'f32', ...SHORT });

const bench = (more: Record<string, unknown> = {}, adapter?: Float32Array) => benchOf({ ...SHORT, ...more }, adapter);

const types = (effects: readonly Effect[]): string[] => effects.map((e) => e.type).filter((type) => type !== 'report');

test('a round runs: gather, train, save before send, mix, save before ack', () => {
  const b = bench();
  assert.equal(types(b.effects({ type: 'start', addresses: [] })), ['save', 'publish', 'timer', 'timer']);
  assert.is(b.peer.phase, 'gathering');
  assert.equal(types(b.meet('b')), ['save', 'train', 'publish']);
  const trained = b.train([2, 0, 0]);
  assert.equal(types(trained), ['save', 'timer', 'send']);
  assert.equal(sent(trained, b.peer), ['data b 0']);
  const mixed = b.frame('b', data(0, [4, 0, 2]));
  assert.equal(types(mixed), ['save', 'send', 'train']);
  assert.equal(sent(mixed, b.peer), ['ack b 0']);
  assert.equal(Array.from(b.peer.adapter), [3, 0, 1]); // weight 1 / (1 + 1)
  assert.is(b.peer.round, 1);
});

test('delivering a frame ten times leaves the same as once', () => {
  const [once, often] = [bench(), bench()];
  for (const [b, times] of [
    [once, 1],
    [often, 10],
  ] as const) {
    b.effects({ type: 'start', addresses: [] });
    b.meet('b');
    for (let i = 0; i < times; i++) b.frame('b', data(0, [4, 0, 2])); // early: still training
    b.train([2, 0, 0]);
    for (let i = 0; i < times; i++) b.frame('b', data(0, [4, 0, 2])); // late: mixed already
    for (let i = 0; i < times; i++) b.frame('b', { type: 'ack', round: 0 });
  }
  assert.equal(snapshotOf(often.peer), snapshotOf(once.peer));
});

test('an early adapter waits for its round', () => {
  const b = bench();
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  b.frame('b', data(0, [4, 0, 0]));
  assert.is(b.peer.phase, 'training');
  b.train([2, 0, 0]);
  assert.is(b.peer.round, 1);
  assert.equal(Array.from(b.peer.adapter), [3, 0, 0]);
});

test('a silent neighbour holds a round up to its deadline; its adapter is mixed in when it comes', () => {
  const b = bench({ roundDeadlineMs: 500 });
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  b.train([2, 0, 0]);
  b.wait(499);
  b.effects({ type: 'timer', name: 'round' });
  assert.is(b.peer.phase, 'exchanging');
  b.wait(1);
  b.effects({ type: 'timer', name: 'round' });
  assert.is(b.peer.round, 1);
  assert.equal(Array.from(b.peer.adapter), [2, 0, 0]);
  b.frame('b', data(0, [4, 0, 0]));
  const next = b.train([3, 0, 0]);
  assert.equal(Array.from(b.peer.adapter), [4, 0, 0]); // 3 + (4 - 2) / 2: against what was sent in round 0
  assert.equal(sent(next, b.peer), ['ack b 0'], 'and nothing of round 1 before it answers');
  assert.is(b.peer.phase, 'opening');
  assert.equal(sent(b.frame('b', { type: 'ack', round: 0 }), b.peer), ['data b 1']);
});

test('a neighbour whose connection breaks is not waited for', () => {
  const b = bench();
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  b.train([2, 0, 0]);
  b.effects({ type: 'peer', id: 'b', up: false });
  assert.is(b.peer.round, 1);
});

test('reminders ask for what is missing, and are answered from what is there', () => {
  const b = bench();
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  b.train([2, 0, 0]);
  assert.equal(sent(b.effects({ type: 'timer', name: 'retry' }), b.peer), ['have b 0', 'want b 0']);
  assert.equal(sent(b.frame('b', { type: 'want', round: 0 }), b.peer), [], 'sent a moment ago');
  b.wait(2 * settings.retryMs);
  assert.equal(sent(b.frame('b', { type: 'want', round: 0 }), b.peer), ['data b 0']);
  assert.equal(sent(b.frame('b', { type: 'want', round: 0 }), b.peer), [], 'a flood of wants is answered once');
  assert.equal(sent(b.frame('b', { type: 'have', round: 0 }), b.peer), ['want b 0']);
  const again = b.frame('b', { type: 'have', round: 0 });
  assert.equal(sent(again, b.peer), [], 'the very same a moment later');
  assert.equal(again.filter(({ type }) => type === 'refuse').length, 1);
  assert.is(b.peer.refused.repeated, 1);
  b.frame('b', data(0, [4, 0, 2]));
  assert.equal(sent(b.frame('b', { type: 'have', round: 0 }), b.peer), ['ack b 0']);
  assert.equal(sent(b.frame('b', { type: 'have', round: 3 }), b.peer), ['want b 3']);
});

test('who was not drawn, or comes with a round long past, is told so and counted', () => {
  const b = bench();
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  b.train([2, 0, 0]);
  assert.equal(sent(b.frame('stranger', data(0, [9, 9, 9])), b.peer), ['nack stranger 0']);
  assert.is(b.peer.refused['stale-round'], 1);
  assert.equal(Array.from(b.peer.adapter), [2, 0, 0]);
});

test('garbage, another run, another shape, huge and non-finite adapters are refused, counted, and cost the connection', () => {
  const b = bench({ maxNorm: 100 });
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  const before = snapshotOf(b.peer);
  b.frame('b', data(0, [1e6, 0, 0]));
  b.frame('b', data(0, [1, 2, 3, 4]));
  b.frame('b', data(0, [Number.NaN, 2, 3]));
  b.frame('b', data(0, [1, 2, 3]), 'f'.repeat(32));
  b.frame('b', { type: 'have', round: 1_000_000 });
  b.effects({ type: 'oversized', from: 'b' });
  for (const length of [0, 3, 60]) b.effects({ type: 'frame', from: 'b', bytes: new Uint8Array(length) });
  assert.equal(b.peer.refused, {
    'huge-norm': 1,
    'wrong-shape': 1,
    'not-finite': 1,
    'wrong-run': 1,
    'beyond-the-run': 1,
    oversized: 1,
    malformed: 3,
  });
  assert.equal(snapshotOf(b.peer), before);
  assert.is(b.peer.inbox.size, 0);
  const dropped = Array.from({ length: 10 }, () => b.effects({ type: 'oversized', from: 'b' })).flat();
  assert.equal(
    dropped.filter((e) => e.type === 'drop'),
    [{ type: 'drop', id: 'b' }],
  );
});

test('adapters wait only for the next few rounds', () => {
  const b = bench();
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  for (let round = 0; round < 6; round++) b.frame('b', data(round, [1, 1, 1]));
  assert.is(b.peer.inbox.size, settings.maxOpenRounds);
  assert.is(b.peer.refused['far-ahead'], 2);
});

test('training that ends in numbers that are not finite keeps the adapter from before', () => {
  const b = bench({}, Float32Array.of(1, 1, 1));
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  const effects = b.train([Number.NaN, 0, 0]);
  assert.ok(effects.some((e) => e.type === 'report' && e.metric.type === 'diverged'));
  assert.equal(Array.from(b.peer.adapter), [1, 1, 1]);
});

test('an adapter too large is mixed by neither end', () => {
  const b = bench({ maxNorm: 100 });
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  b.train([2, 0, 0]);
  const refused = b.frame('b', data(0, [500, 0, 0]));
  assert.ok(sent(refused, b.peer).includes('nack b 0'));
  assert.is(b.peer.round, 1, 'and is not waited for');
  const own = b.train([500, 0, 0]);
  assert.equal(sent(own, b.peer), [], 'nor sent');
  assert.equal(sent(b.frame('b', data(1, [1, 0, 0])), b.peer), ['nack b 1']);
  assert.equal(Array.from(b.peer.adapter), [500, 0, 0]);
});

test('an announcement of our own that comes round is ignored', () => {
  const b = bench();
  b.effects({ type: 'start', addresses: [] });
  b.frame('a', { type: 'announce', round: 3, state: 'joined', addresses: [] });
  assert.is(b.peer.members.size, 0);
  assert.is(b.peer.phase, 'gathering');
});

test('hearsay is bounded, not passed on, and does not slow announcements', () => {
  const b = bench();
  b.effects({ type: 'start', addresses: ['x'] });
  b.meet('b');
  for (let i = 0; i < 100; i++) {
    b.frame('b', {
      type: 'peers',
      round: 0,
      peers: Array.from({ length: 16 }, (_, k) => ({ id: `fake-${i}-${k}`, addresses: ['y'] })),
    });
  }
  assert.ok(b.peer.members.size <= 65);
  assert.equal(snapshotOf(b.peer).acquaintances, []);
  const [timer] = b.effects({ type: 'timer', name: 'announce' }).filter((e) => e.type === 'timer');
  assert.is((timer as { at: number }).at, 1000 + settings.announceMs);
});

test('a deadline timer that fires early is set again', () => {
  const b = bench({ roundDeadlineMs: 500 });
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  b.train([2, 0, 0]);
  b.wait(499);
  const again = b.effects({ type: 'timer', name: 'round' }).filter((e) => e.type === 'timer');
  assert.equal(again, [{ type: 'timer', name: 'round', at: 1500 }]);
});

test('whoever cannot be dialled is not taken for alive', () => {
  const b = bench({ memberTimeoutMs: 1000, announceMs: 100 });
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  b.effects({ type: 'peer', id: 'b', up: false });
  const heard = b.peer.members.get('b')!.heardAt;
  b.wait(2000);
  b.effects({ type: 'peer', id: 'b', up: false });
  assert.is(b.peer.members.get('b')!.heardAt, heard);
  b.wait(100_000);
  b.effects({ type: 'timer', name: 'announce' });
  assert.is(b.peer.members.size, 1, 'a clock that jumps makes nobody forgotten');
  for (let i = 0; i < 30; i++) b.effects({ type: 'timer', name: 'announce' });
  assert.is(b.peer.members.size, 0, 'thirty announcements without an answer do');
});

test('a newcomer to a run under way does not wait for a quorum that is gone', () => {
  const b = bench({ minPeers: 5 });
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  assert.is(b.peer.phase, 'gathering');
  b.meet('c', 3);
  assert.is(b.peer.phase, 'training');
});

/** The two ends of a round with `b`, which then leaves. */
function deserted(more: Record<string, unknown> = {}) {
  const b = bench({ aloneAfterMs: 9000, ...more });
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  b.train([2, 0, 0]);
  b.frame('b', { type: 'announce', round: 0, state: 'left', addresses: [] });
  return b;
}

test('a peer that is left alone pauses, says until when, and goes on once somebody is back', () => {
  const b = deserted();
  assert.is(b.peer.round, 1);
  assert.is(b.peer.phase, 'gathering');
  const waits = b.effects({ type: 'timer', name: 'round' }).find((e) => e.type === 'report');
  assert.equal(waits, { type: 'report', metric: { type: 'gathering', members: 1, wanted: 2, until: 10_000 } });
  assert.equal(types(b.meet('b', 1)), ['save', 'train', 'publish']);
});

test('nobody comes: after a while it goes on alone, and does not pause again until it has had company', () => {
  const b = deserted();
  b.wait(9000);
  b.effects({ type: 'timer', name: 'round' });
  for (const round of [1, 2]) {
    assert.is(b.peer.round, round);
    assert.is(b.peer.phase, 'training');
    b.train([3, 0, 0]);
  }
  b.meet('b', 3);
  b.frame('b', { type: 'nack', round: 0 }); // what was open when it left
  b.train([3, 0, 0]);
  b.frame('b', { type: 'announce', round: 3, state: 'left', addresses: [] });
  assert.is(b.peer.phase, 'gathering');
});

test('a peer that hears nobody for rounds on end takes itself for cut off, and waits to hear somebody', () => {
  const b = bench({ aloneAfterMs: 60_000, rounds: 50, roundDeadlineMs: 500 });
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  b.train([2, 0, 0]);
  b.frame('b', data(0, [4, 0, 2]));
  b.frame('b', { type: 'ack', round: 0 });
  assert.is(b.peer.round, 1);
  // From now on nothing comes, though the connection looks open.
  for (let rounds = 0; b.peer.phase !== 'gathering'; rounds++) {
    assert.ok(rounds < 6, 'it does not run on');
    b.train([3, 0, 0]);
    b.wait(500);
    b.effects({ type: 'timer', name: 'round' });
  }
  const { round } = b.peer;
  b.wait(1000);
  b.effects({ type: 'timer', name: 'announce' });
  assert.is(b.peer.phase, 'gathering', 'that the connection is there still is no word of anybody');
  b.frame('b', { type: 'announce', round: round + 20, state: 'joined', addresses: [] });
  assert.is.not(b.peer.phase, 'gathering');
  assert.ok(b.peer.round > round, 'it goes towards where the other is');
});

test('told not to pause, or where others have finished, it goes on at once', () => {
  assert.is(deserted({ aloneAfterMs: 0 }).peer.phase, 'training');
  const b = bench({ aloneAfterMs: 9000 });
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  b.train([2, 0, 0]);
  b.frame('b', data(0, [4, 0, 2]));
  b.frame('b', { type: 'announce', round: 6, state: 'finished', addresses: [] });
  b.train([2, 0, 0]);
  assert.is(b.peer.phase, 'training');
});

test('who comes back and finds nobody pauses as well', () => {
  const b = bench({ aloneAfterMs: 9000 });
  b.effects({ type: 'start', addresses: [] });
  b.meet('b');
  b.train([2, 0, 0]);
  b.frame('b', data(0, [4, 0, 2]));
  const again = restorePeer({ id: 'a', settings: b.peer.settings, snapshot: snapshotOf(b.peer) });
  const at = (now: number) => ({ now, hash: quickHash });
  step(again, { type: 'start', addresses: [] }, at(50_000));
  step(again, { type: 'timer', name: 'round' }, at(again.deadlineAt));
  assert.is(again.phase, 'gathering');
  step(again, { type: 'timer', name: 'round' }, at(again.deadlineAt));
  assert.is(again.phase, 'training');
});

test('a sequence number goes up with every frame and every start', () => {
  const b = bench();
  const sequence = (effects: readonly Effect[]): number => {
    const published = effects.find((e) => e.type === 'publish')!;
    const decoded = decodeFrame(
      (published as { bytes: Uint8Array }).bytes,
      { runId: RUN, count: 3, codec: 'f32' },
      quickHash,
    );
    return decoded.ok ? decoded.frame.sequence : -1;
  };
  const first = sequence(b.effects({ type: 'start', addresses: [] }));
  const second = sequence(b.effects({ type: 'timer', name: 'announce' }));
  const third = sequence(b.effects({ type: 'start', addresses: [] }));
  assert.ok(first < second && second < third);
});

test('an old announcement changes nothing', () => {
  const b = bench();
  b.effects({ type: 'start', addresses: [] });
  const bytes = encodeFrame(
    { message: { type: 'announce', round: 0, state: 'left', addresses: [] }, sequence: 1 },
    RUN,
    quickHash,
  );
  b.effects({
    type: 'frame',
    from: 'b',
    bytes: encodeFrame(
      { message: { type: 'announce', round: 0, state: 'joined', addresses: [] }, sequence: 2 },
      RUN,
      quickHash,
    ),
  });
  b.effects({ type: 'frame', from: 'b', bytes });
  assert.is(b.peer.members.get('b')!.state, 'joined');
  assert.is(b.peer.refused['stale-sequence'], 1);
});

test('a peer far behind goes where the others are, one a little behind does not', () => {
  assert.is(catchUp(3, [9, 9, 2], 12), 9);
  assert.is(catchUp(3, [4, 4, 4], 12), 3);
  assert.is(catchUp(3, [9, 3, 3], 12), 3);
  assert.is(catchUp(3, [], 12), 3);
  assert.is(catchUp(3, [40, 40], 99), 11, 'on their word alone no further than this');
  assert.is(catchUp(3, [40, 40], 9), 9, 'nor beyond the last round of training');
  assert.is(catchUp(14, [40, 40], 12), 14);
});

test('mixing moves two ends by exact opposites', () => {
  const [x, y] = [Float32Array.of(1, 5, -2), Float32Array.of(3, -1, 4)];
  const weight = edgeWeight(2, 4);
  assert.is(weight, 1 / 5);
  const [mixedX, mixedY] = [
    mix(x, [{ weight, theirs: sourceOf(y), mine: sourceOf(x) }]),
    mix(y, [{ weight, theirs: sourceOf(x), mine: sourceOf(y) }]),
  ];
  for (let i = 0; i < 3; i++) assert.ok(Math.abs(mixedX[i]! + mixedY[i]! - x[i]! - y[i]!) < 1e-6);
});

test.run();
