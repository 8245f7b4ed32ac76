/** @file What somebody unknown can do: little, however many names it has. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Effect, Event } from '../../protocol/events.ts';
import { encodeFrame, type Message } from '../../protocol/frame.ts';
import { announcementPause, liveMembers } from '../../protocol/membership.ts';
import { createPeer, restorePeer, snapshotOf } from '../../protocol/peer.ts';
import { step } from '../../protocol/step.ts';
import { quickHash } from '../../sim/world/digest.ts';
import { settingsWith } from '../support.ts';

const RUN = '00112233445566778899aabbccddeeff';
const ANNOUNCE_MS = 1000;
const TIMEOUT_MS = 5000;

/** A peer `a` that hears of others, by themselves or over somebody's connection. */
function bench(more: Record<string, unknown> = {}) {
  const given = { codec: 'f32', rounds: 90, minPeers: 2, announceMs: ANNOUNCE_MS, memberTimeoutMs: TIMEOUT_MS };
  const settings = settingsWith({ ...given, ...more });
  const peer = createPeer({ id: 'a', runId: RUN, settings, adapter: Float32Array.of(0, 0) });
  const now = 1000;
  let sequence = 0;
  let dialled: string[] = [];
  const at = (event: Event): Effect[] => {
    const effects = step(peer, event, { now, hash: quickHash });
    dialled.push(...effects.flatMap((effect) => (effect.type === 'dial' ? [effect.id] : [])));
    return effects;
  };
  const tick = (name: 'announce' | 'retry'): Effect[] => at({ type: 'timer', name });
  const announce = (from: string, via: string, round = 0, state: 'joined' | 'finished' = 'joined'): Effect[] => {
    const message: Message = { type: 'announce', round, state, addresses: ['x'] };
    return at({ type: 'frame', from, via, bytes: encodeFrame({ message, sequence: sequence++ }, RUN, quickHash) });
  };
  const tell = (from: string, id: string, address: string): Effect[] => {
    const message: Message = { type: 'peers', round: 0, peers: [{ id, addresses: [address] }] };
    return at({
      type: 'frame',
      from,
      via: from,
      bytes: encodeFrame({ message, sequence: sequence++ }, RUN, quickHash),
    });
  };
  const meet = (id: string): void => {
    at({ type: 'peer', id, up: true });
    announce(id, id);
  };
  /** What has become of all dials since: they failed, were put off, or reached whom they meant. */
  const answerDials = (how: 'failed' | 'put off' | 'reached'): string[] => {
    const ids = dialled;
    dialled = [];
    const untried = how === 'put off' ? ({ untried: true } as const) : {};
    for (const id of ids) at({ type: 'peer', id, up: how === 'reached', ...untried });
    return ids;
  };
  const live = (): string[] =>
    liveMembers(peer.members, now, { timeoutMs: settings.memberTimeoutMs, pauseMs: settings.announceMs });
  at({ type: 'start', addresses: [] });
  return { peer, at, tick, tell, announce, meet, answerDials, live, now };
}

test('a member keeps the invite it was let in by, whether it is known already or not', () => {
  const { peer, at } = bench();
  at({ type: 'peer', id: 'b', up: true });
  assert.is(peer.members.get('b')!.invite, '');
  for (const id of ['a', 'b', 'c']) at({ type: 'admitted', id, invite: `of ${id}` });
  assert.equal(
    [...peer.members.values()].map(({ id, invite }) => [id, invite]),
    [
      ['b', 'of b'],
      ['c', 'of c'],
    ],
  );
});

test('of members never met so many are remembered as are told over one connection, and the rest is refused without a strike', () => {
  const { peer, announce, meet } = bench();
  meet('b');
  for (let i = 0; i < 500; i++) announce(`x${i}`, 'b');
  assert.is(peer.members.size, 1 + 64 + 1, 'b, and 64 and one more since one has been met');
  assert.is(peer.refused['too-many-members'], 500 - 65);
  assert.equal(peer.strikes, {});
  announce('c', 'd');
  assert.ok(peer.members.has('c'), 'told over another connection');
  announce('y', 'y');
  assert.ok(peer.members.has('y'), 'told by itself');
});

test('who was dialled in vain and never met is not drawn, counted or passed on, and is once it connects itself', () => {
  const { peer, at, tick, announce, meet, answerDials, live } = bench();
  meet('b');
  for (let i = 0; i < 40; i++) announce(`x${i}`, 'b');
  assert.is(live().length, 41);
  assert.is(announcementPause(peer.members, ANNOUNCE_MS), (41 / 8) * ANNOUNCE_MS);
  const tried: string[] = [];
  let ticks = 0;
  while (live().length > 1) {
    tick('retry');
    tried.push(...answerDials('failed'));
    ticks += 1;
    assert.ok(ticks <= 6, `${live().length} live after ${ticks} reminders`);
  }
  assert.is(tried.length, 40, 'each once');
  assert.is(announcementPause(peer.members, ANNOUNCE_MS), ANNOUNCE_MS);
  announce('x7', 'b');
  assert.equal(live(), ['b'], 'saying so again changes nothing');
  at({ type: 'peer', id: 'x7', up: true });
  assert.equal(live(), ['b', 'x7']);
});

test('a dial that was put off says nothing; one that has been connected is not doubted', () => {
  const { at, announce, meet, answerDials, live } = bench();
  meet('b');
  announce('c', 'b');
  assert.equal(answerDials('put off'), ['c']);
  assert.equal(live(), ['b', 'c']);
  at({ type: 'peer', id: 'b', up: false });
  at({ type: 'peer', id: 'b', up: false });
  assert.equal(live(), ['b', 'c']);
});

test('of those that were connected, one dialled in vain since is given the plain time-out, and not that of many', () => {
  const { peer, at, meet } = bench();
  for (let i = 0; i < 40; i++) meet(`m${i}`);
  for (let i = 0; i < 40; i++) at({ type: 'peer', id: `m${i}`, up: false });
  peer.members.get('m7')!.failedAt = 1000;
  const after = (ms: number): string[] =>
    liveMembers(peer.members, 1000 + ms, { timeoutMs: TIMEOUT_MS, pauseMs: ANNOUNCE_MS });
  assert.is(after(TIMEOUT_MS).length, 40);
  assert.is(after(TIMEOUT_MS + 1).length, 39);
  assert.not.ok(after(TIMEOUT_MS + 1).includes('m7'));
});

test('what others tell of where somebody is does not keep it out once it says so itself, nor while it is connected', () => {
  const { peer, at, tell, announce, meet, answerDials, live } = bench();
  meet('b');
  tell('b', 'c', '/false');
  assert.equal(answerDials('failed'), ['c']);
  assert.is(peer.members.get('c')!.failedAt, 1000);
  tell('b', 'd', '/false');
  announce('c', 'b');
  announce('d', 'b'); // while it is dialled where it is not
  assert.equal(live(), ['b', 'c', 'd']);
  assert.equal(answerDials('reached'), ['d', 'c', 'd'], 'dialled where they say');
  for (const id of ['c', 'd']) tell('b', id, '/false');
  for (const id of ['c', 'd']) assert.equal(peer.members.get(id)!.addresses, ['x']);
  at({ type: 'peer', id: 'e', up: true });
  tell('b', 'e', '/false');
  assert.equal(peer.members.get('e')!.addresses, []);
});

test('nobody is dialled without need while those that are dialled are there', () => {
  const { tick, announce, answerDials } = bench();
  for (let i = 0; i < 40; i++) announce(`x${i}`, `x${i % 3}`);
  let dials = 0;
  for (let i = 0; i < 20; i++) {
    dials += answerDials('reached').length;
    tick(i % 2 ? 'announce' : 'retry');
  }
  assert.ok(dials > 0 && dials <= 8, `${dials} dials`);
});

test('when made-up members are gone it announces itself sooner again', () => {
  const { tick, announce, meet, answerDials, now } = bench();
  meet('b');
  for (let i = 0; i < 60; i++) announce(`x${i}`, 'b');
  const nextOf = (effects: readonly Effect[]): number =>
    effects.flatMap((e) => (e.type === 'timer' && e.name === 'announce' ? [e.at] : []))[0] ?? Number.NaN;
  assert.is(nextOf(tick('announce')), now + Math.round((61 / 8) * ANNOUNCE_MS));
  let next = Number.NaN;
  for (let i = 0; i < 10; i++) {
    answerDials('failed');
    next = nextOf(tick('retry')) || next;
  }
  assert.is(next, now + ANNOUNCE_MS);
});

test('what strangers say of rounds moves nobody, and one that says that it has finished ends no waiting', () => {
  const { peer, at, announce, meet } = bench({ aloneAfterMs: 60_000 });
  meet('b');
  for (let i = 0; i < 9; i++) announce(`x${i}`, 'b', 90);
  announce('y', 'b', 90, 'finished');
  const trained = (): Effect[] => at({ type: 'trained', round: peer.round, adapter: peer.adapter, stats: { loss: 0 } });
  trained();
  at({ type: 'timer', name: 'retry' });
  at({ type: 'peer', id: 'b', up: false });
  assert.is(peer.round, 1);
  assert.not.equal(peer.phase, 'finished');
});

test('whom it has exchanged with it knows after a restart', () => {
  const { peer, meet, at } = bench();
  meet('b');
  meet('c');
  at({ type: 'trained', round: 0, adapter: Float32Array.of(1, 1), stats: { loss: 0 } });
  peer.members.get('b')!.mixed = true;
  const again = restorePeer({ id: 'a', settings: peer.settings, snapshot: snapshotOf(peer) });
  assert.equal(
    [...again.members.values()].map(({ id, mixed }) => [id, mixed]),
    [
      ['b', true],
      ['c', false],
    ],
  );
});

test.run();
