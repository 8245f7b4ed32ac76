/** @file Whom one peer waits for, event by event, and for how long. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CODECS } from '../../protocol/codec.ts';
import { withoutMostUnproven } from '../../protocol/unproven.ts';
import { bench, data, sent } from './bench.ts';

test('a dial is waited for where the two have met, not where all that is known is an address', () => {
  for (const hasMet of [true, false]) {
    const b = bench();
    b.effects({ type: 'start', addresses: [] });
    b.meet('b');
    if (hasMet) b.effects({ type: 'peer', id: 'c', up: true });
    if (hasMet) b.effects({ type: 'peer', id: 'c', up: false });
    b.frame('c', { type: 'announce', round: 0, state: 'joined', addresses: ['/ip4/10.0.0.1/tcp/1'] });
    b.train([2, 0, 0]);
    b.frame('b', data(0, [4, 0, 2], 2));
    assert.is(b.peer.round, hasMet ? 0 : 1);
  }
});

test('who misses two rounds is left out, tried again now and then without being waited for, and back once it delivers', () => {
  const b = bench({ rounds: 40, roundDeadlineMs: 500 });
  b.effects({ type: 'start', addresses: [] });
  b.meet('c');
  b.meet('d');
  const waits: number[] = [];
  for (let round = 0; round < 12; round++) {
    b.train([2, 0, 0]);
    const answer = data(round, [2, 0, 0], 2);
    b.frame('d', answer);
    b.frame('d', { type: 'ack', round });
    if (b.peer.round > round) continue;
    waits.push(round);
    b.wait(500);
    b.effects({ type: 'timer', name: 'round' });
    assert.is(b.peer.round, round + 1);
  }
  assert.equal(waits, [0]);
  b.frame('c', data(0, [2, 0, 0], 2));
  assert.is(b.peer.members.get('c')?.missed, 0);
  b.frame('c', { type: 'ack', round: 0 });
  assert.ok(sent(b.train([2, 0, 0]), b.peer).includes('data c 12'));
});

test('who was left out and is a little behind is drawn in the next round, not waited for, and counts again once it is in time', () => {
  for (const behind of [1, 20]) {
    const b = bench({ rounds: 60, roundDeadlineMs: 500 });
    b.effects({ type: 'start', addresses: [] });
    b.meet('c');
    for (let round = 0; round < 30; round++) {
      b.train([2, 0, 0]);
      if (b.peer.round === round) b.wait(500);
      if (b.peer.round === round) b.effects({ type: 'timer', name: 'round' });
      // What it is asked about those rounds, it has called off.
      for (const { round: open } of b.peer.exchanges) b.frame('c', { type: 'nack', round: open });
    }
    assert.is(b.peer.members.get('c')!.missed >= 2, true);
    b.frame('c', data(b.peer.round - behind, [4, 0, 2]));
    const { round } = b.peer;
    const effects = b.train([2, 0, 0]);
    assert.is(sent(effects, b.peer).includes(`data c ${round}`), behind === 1, `${behind} behind`);
    assert.is(b.peer.round, round + 1, 'not waited for');
    if (behind > 1) continue;
    b.frame('c', data(round, [4, 0, 2]));
    assert.is(b.peer.members.get('c')!.missed, 0);
  }
});

test('who has come late and gone on with an adapter waits for no silent one until the deadline', () => {
  const b = bench({ rounds: 90, minPeers: 2, schedule: 'full', roundDeadlineMs: 60_000 });
  b.effects({ type: 'start', addresses: [] });
  for (const id of ['b', 'c', 'x']) b.effects({ type: 'peer', id, up: true });
  for (const id of ['b', 'c', 'x']) b.peer.members.get(id)!.round = 9;
  for (const id of ['b', 'c', 'x']) b.frame(id, { type: 'announce', round: 9, state: 'joined', addresses: [] });
  for (const id of ['b', 'c'])
    b.frame(id, { type: 'adapter', round: 9, codec: 'f32', count: 3, payload: CODECS.f32.encode(b.peer.adapter) });
  b.wait(b.peer.deadlineAt);
  b.effects({ type: 'timer', name: 'round' });
  assert.is(b.peer.phase, 'training');
  b.wait(3000);
  b.train([2, 0, 0]);
  for (const id of ['b', 'c']) b.frame(id, { type: 'nack', round: b.peer.round }); // they are past it
  assert.is(b.peer.deadlineAt - b.peer.waitingSince, 3000, 'as long again as the training took');
});

/** A peer with three that it has exchanged with, and then so many that have only connected. */
function beset(names: number) {
  const b = bench({ rounds: 90, schedule: 'full', roundDeadlineMs: 60_000 });
  b.effects({ type: 'start', addresses: [] });
  const known = ['b', 'c', 'd'];
  for (const id of known) b.meet(id);
  const answer = (ids: readonly string[]): void => {
    const { round } = b.peer;
    b.train([2, 0, 0]);
    for (const id of ids) {
      b.frame(id, data(round, [2, 0, 0], 3));
      b.frame(id, { type: 'ack', round });
    }
  };
  for (let round = 0; round < 8; round++) answer(known);
  for (let i = 0; i < names; i++) b.meet(`x${i}`, b.peer.round);
  /** How long the round takes beyond the answers of those that are known (ms). */
  const waited = (): number => {
    const { round } = b.peer;
    answer(known);
    if (b.peer.round > round) return 0;
    const wait = b.peer.deadlineAt - b.peer.waitingSince;
    b.wait(wait);
    b.effects({ type: 'timer', name: 'round' });
    assert.is(b.peer.round, round + 1);
    return wait;
  };
  return { ...b, waited };
}

test('who has never delivered is waited for as long as is usual, and with the more grace the more of them deliver', () => {
  for (const [faith, share] of [
    [1, 1],
    [0.75, 0.5],
    [0.5, 0],
  ] as const) {
    const { peer, waited, frame } = beset(1);
    for (const id of ['b', 'c', 'd']) peer.members.get(id)!.habit = { mean: 100, deviation: 20 };
    Object.assign(peer, { faith, trainingMs: 1000 });
    const usual = 168; // after answers in no time that round: a mean of 87.5, a deviation of 40
    const took = waited();
    assert.is(took, usual + share * 500, 'of at most as long as it trains: a thousand, and then nothing');
    assert.is(peer.faith, 0.75 * faith);
    frame('x0', data(peer.round - 1, [2, 0, 0], 4));
    assert.is(peer.members.get('x0')!.delivers, true);
    assert.is(peer.faith, faith + (1 - faith) / 8, 'it was only late');
  }
});

test('who sends an adapter for no round of ours and is silent then gains hardly anything by it', () => {
  const b = beset(0);
  const waits: number[] = [];
  for (let i = 0; i < 12; i++) {
    b.meet(`x${i}`, b.peer.round);
    b.frame(`x${i}`, data(b.peer.round - 1, [2, 0, 0], 4));
    assert.is(b.peer.members.get(`x${i}`)!.delivers, true);
    waits.push(b.waited());
  }
  assert.ok(
    waits.slice(4).every((wait) => wait === 0),
    String(waits),
  );
});

test('after many that were waited for in vain the next are not, until some deliver; a few of them are drawn, in turn', () => {
  const b = beset(12);
  b.waited();
  assert.ok(b.peer.faith < 0.1, String(b.peer.faith));
  assert.is(b.waited(), 0);
  for (let i = 0; i < 12; i++) b.meet(`y${i}`, b.peer.round);
  const all = [...b.peer.members.keys(), 'a'].sort();
  const drawn = new Set<string>();
  for (let round = 0; round < 200; round++) {
    const some = withoutMostUnproven(b.peer, all, round);
    assert.is(some.length, 1 + 3 + 1);
    for (const id of some) drawn.add(id);
  }
  assert.is(drawn.size, all.length, 'in turn');
  // It comes by itself, for a round in which it was not drawn: it is at work.
  b.frame('y3', data(b.peer.round - 1, [2, 0, 0], 4));
  assert.ok(withoutMostUnproven(b.peer, all, 7).includes('y3'));
});

test.run();
