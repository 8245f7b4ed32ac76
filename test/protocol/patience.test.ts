/** @file Whom one peer waits for, event by event, and for how long. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
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

test.run();
