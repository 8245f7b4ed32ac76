/** @file The chronicle of a peer: who was met in which round and how, what was refused and sent, all of it within bounds. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createChronicle } from '../../node/chronicle/chronicle.ts';
import type { Patch, Subject } from '../../node/chronicle/record.ts';
import { sha256 } from '../../node/train/run.ts';
import { encodeFrame, type Message } from '../../protocol/frame.ts';

const RUN = '00112233445566778899aabbccddeeff';
const frame = (message: Message): Uint8Array => encodeFrame({ message, sequence: 1 }, RUN, sha256);
const data = (round: number): Uint8Array =>
  frame({ type: 'data', round, degree: 1, radius: 1, codec: 'f32', count: 1, payload: new Uint8Array(4) });

function begin() {
  let clock = 0;
  const subject = { id: 'me', runId: RUN, rounds: 4 } as Subject;
  const head = {
    ...{ phase: 'training' as const, round: 0, members: 2, wanted: 2, awaited: [], untilMs: null, isPausing: false },
    ...{ labelled: 1, unlabelled: 0, sentBytes: 0, receivedBytes: 0, diverged: 0, adoptedFrom: null, undecided: [] },
  } as const;
  const sight = {
    subject,
    head: () => head,
    members: () => [],
    isBanned: (id: string) => id === 'bad',
    nameOf: () => '',
  };
  const { scribe, ...chronicle } = createChronicle(sight, () => ++clock);
  return { scribe, chronicle };
}

const mixed = (round: number, met: readonly { id: string; round: number }[]) =>
  ({
    ...{ type: 'mixed' as const, round, adapter: new Float32Array(), neighbours: 1, mixed: 1, late: 0 },
    with: met.map((one) => ({ ...one, distance: 0.5, isClipped: true })),
    ...{ crossTerm: null, distance: 0.5 },
  }) as const;

test('a round says with whom, when each adapter left and came, how large, how far, and whether it was clipped', () => {
  const { scribe, chronicle } = begin();
  scribe.training(0);
  scribe.received('you', data(0)); // before this peer has opened the round
  scribe.metric({ type: 'trained', round: 0, loss: 0.7 });
  scribe.sent('you', data(0));
  scribe.metric(mixed(0, [{ id: 'you', round: 0 }]));
  const [round] = JSON.parse(JSON.stringify(chronicle.whole())).rounds;
  assert.equal([round.loss, round.distance, round.edges.length], [0.7, 0.5, 1]);
  const { receivedAt, sentAt, sentBytes, receivedBytes, outcome, isClipped } = round.edges[0];
  assert.ok(round.beganAt < receivedAt && receivedAt < round.trainedAt && round.trainedAt < sentAt);
  assert.ok(sentAt < round.mixedAt);
  assert.equal([sentBytes, receivedBytes, outcome, isClipped], [data(0).length, data(0).length, 'mixed', true]);
});

test('what comes after its round, or to nothing, is told apart', () => {
  const { scribe, chronicle } = begin();
  for (const round of [0, 1, 2]) scribe.sent('you', data(round));
  scribe.metric(mixed(1, [{ id: 'you', round: 0 }]));
  scribe.metric({ type: 'cancelled', round: 1, with: 'you' });
  scribe.metric({ type: 'abandoned', round: 2, with: 'you' });
  const { rounds, peers } = chronicle.whole();
  assert.equal(
    rounds.map(({ edges }) => edges[0]!.outcome),
    ['late', 'cancelled', 'abandoned'],
  );
  const { mixed: count, late, clipped, given } = peers[0]!;
  assert.equal([count, late, clipped, given], [1, 1, 1, 2]);
});

test('refusals are counted by code and by id, and what was sent by whom it went to', () => {
  const { scribe, chronicle } = begin();
  for (const code of ['bad-hash', 'bad-hash', 'too-fast'] as const) scribe.refused('bad', code);
  scribe.sent('you', frame({ type: 'ack', round: 1 }));
  scribe.sent('', frame({ type: 'announce', round: 1, state: 'joined', addresses: [] }));
  scribe.received('you', Uint8Array.of(1, 2, 3));
  const { head, peers, published } = chronicle.whole();
  assert.equal(head.refused, { 'bad-hash': 2, 'too-fast': 1 });
  const [bad, you] = ['bad', 'you'].map((id) => peers.find((peer) => peer.id === id)!);
  assert.equal([bad!.refused, bad!.isBanned, you!.isBanned], [head.refused, true, false]);
  assert.is(you!.sent.ack!.count, 1);
  assert.equal(you!.received, { unknown: { count: 1, bytes: 3 } });
  assert.is(published.announce!.count, 1);
});

test('nothing that strangers send makes it grow without end', () => {
  const { scribe, chronicle } = begin();
  for (let i = 0; i < 2000; i++) {
    scribe.refused(`stranger ${i}`, 'not-admitted');
    scribe.received('you', data(i));
  }
  for (let i = 0; i < 5000; i++) scribe.training(i);
  for (let i = 0; i < 500; i++) chronicle.note(`line ${i}`);
  const { rounds, peers, notices, head } = chronicle.whole();
  assert.equal([rounds.length, peers.length, notices.length], [4096, 512, 200]);
  assert.equal([rounds[0]!.round, notices[0]!.text, head.refused['not-admitted']], [904, 'line 300', 2000]);
});

test('who subscribes hears what has changed, together, and nothing once it has ended that', async () => {
  const { scribe, chronicle } = begin();
  scribe.training(0);
  const heard: Patch[] = [];
  chronicle.subscribe(() => {
    throw new Error('whoever looks on is at fault');
  });
  const first = new Promise<void>((resolve) => {
    const end = chronicle.subscribe((patch) => {
      heard.push(patch);
      end();
      resolve();
    });
  });
  scribe.training(1);
  scribe.metric({ type: 'trained', round: 1, loss: 0.5 });
  chronicle.note('a line');
  const alive = setTimeout(() => {}, 60_000); // its timers keep no process up
  await first;
  clearTimeout(alive);
  scribe.training(2);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.is(heard.length, 1);
  const [{ rounds, notices, head }] = heard as [Patch];
  assert.equal(
    [rounds!.map(({ round }) => round), rounds![0]!.loss, notices!.length, head.phase],
    [[1], 0.5, 1, 'training'],
  );
});

test.run();
