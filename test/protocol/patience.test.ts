/** @file Whom one peer waits for, event by event, and for how long. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CODECS } from '../../protocol/codec.ts';
import type { Effect, Event } from '../../protocol/events.ts';
import { decodeFrame, encodeFrame, type Message } from '../../protocol/frame.ts';
import { createPeer, type Peer } from '../../protocol/peer.ts';
import { step } from '../../protocol/step.ts';
import { quickHash } from '../../sim/world/digest.ts';
import { settingsWith } from '../support.ts';

const RUN = '00112233445566778899aabbccddeeff';

/** A peer `a` with a hand on its clock, and frames from others. */
function bench(more: Record<string, unknown> = {}, adapter = Float32Array.of(0, 0, 0)) {
  const peer = createPeer({ id: 'a', runId: RUN, settings: settingsWith({ codec: 'f32', ...more }), adapter });
  let now = 1000;
  let sequence = 0;
  const effects = (event: Event): Effect[] => step(peer, event, { now, hash: quickHash });
  const frame = (from: string, message: Message, runId = RUN): Effect[] =>
    effects({ type: 'frame', from, bytes: encodeFrame({ message, sequence: sequence++ }, runId, quickHash) });
  const meet = (id: string, round = 0): Effect[] => {
    effects({ type: 'peer', id, up: true });
    return frame(id, { type: 'announce', round, state: 'joined', addresses: [] });
  };
  const train = (values: number[]): Effect[] =>
    effects({ type: 'trained', round: peer.round, adapter: Float32Array.from(values), stats: { loss: 1 } });
  return { peer, effects, frame, meet, train, wait: (ms: number) => (now += ms) };
}

function data(round: number, values: readonly number[], degree = 1): Message {
  return {
    type: 'data',
    round,
    degree,
    radius: Number.POSITIVE_INFINITY,
    codec: 'f32',
    count: values.length,
    payload: CODECS.f32.encode(Float32Array.from(values)),
  };
}

/** The messages sent, as `type to round`. */
function sent(effects: readonly Effect[], peer: Peer): string[] {
  return effects.flatMap((effect) => {
    if (effect.type !== 'send') return [];
    const decoded = decodeFrame(effect.bytes, { runId: RUN, count: peer.adapter.length, codec: 'f32' }, quickHash);
    return decoded.ok ? [`${decoded.frame.message.type} ${effect.to} ${decoded.frame.message.round}`] : ['?'];
  });
}

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
