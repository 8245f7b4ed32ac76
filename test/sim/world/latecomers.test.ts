/** @file Who comes late is where the others are within two rounds; those asked are believed where most agree. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CODECS } from '../../../protocol/codec.ts';
import { encodeFrame } from '../../../protocol/frame.ts';
import { createPeer, totalRounds } from '../../../protocol/peer.ts';
import { step } from '../../../protocol/step.ts';
import { distance, mean, norm } from '../../../protocol/vector.ts';
import { quickHash } from '../../../sim/world/digest.ts';
import { readScenario } from '../../../sim/world/scenario.ts';
import { simulate } from '../../../sim/world/simulate.ts';
import { settingsWith } from '../../support.ts';

const SEED = process.env.SEED ?? '1';
const REPLAY = `replay with SEED=${SEED} npm test -- latecomers`;
const RUN = '00112233445566778899aabbccddeeff';

/** Eight peers of which two come when the others are rounds ahead. */
async function joining(latecomers: string, untilMs: number) {
  const given = { peers: 8, joiners: 2, joinMs: 6000, size: 30, trainer: 'quadratic', trainMs: [300, 400] };
  const settings = { rounds: 40, localSteps: 1, learningRate: 0.02, latecomers };
  const [run] = readScenario({ name: 'x', seeds: [SEED], ...given, settings }, 'x').runs;
  return simulate(run!, { untilMs });
}

test('newcomers are at the round and the adapter of the others within two rounds', async () => {
  for (let untilMs = 6200; ; untilMs += 50) {
    const { world, result } = await joining('adopt', untilMs);
    const rounds = world.seats.map((seat) => seat.peer.round);
    const [old, fresh] = [rounds.slice(0, 6), rounds.slice(6)];
    const isAsking = world.seats.some((seat) => seat.peer.phase === 'asking');
    if (isAsking || !fresh.every((round) => round >= Math.min(...old))) {
      assert.ok(Math.max(...old) < 20, `still behind: ${rounds}; ${REPLAY}`);
      continue;
    }
    const vectors = world.seats.map((seat) => seat.peer.adapter);
    const middle = mean(vectors.slice(0, 6));
    const apart = vectors.map((x) => distance(x, middle));
    assert.is(result.adopted, 2, REPLAY);
    assert.ok(Math.max(...apart.slice(6)) <= 2 * Math.max(...apart.slice(0, 6)), `${apart}; ${REPLAY}`);
    const arrived = (await joining('adopt', 6000)).world.seats.slice(0, 6).map((seat) => seat.peer.round);
    assert.ok(Math.min(...fresh) <= Math.max(...arrived) + 2, `arrived at ${arrived}, taken up at ${fresh}; ${REPLAY}`);
    return;
  }
});

test('newcomers that have exchanged with each other first go on with what the others have all the same', async () => {
  const given = { peers: 20, joiners: 6, joinMs: 10_000, size: 40, trainer: 'quadratic', trainMs: [200, 300] };
  const settings = { rounds: 60, localSteps: 1, learningRate: 0.05 };
  const [run] = readScenario({ name: 'x', seeds: [SEED], ...given, settings }, 'x').runs;
  let exchanged = 0;
  const { result, world } = await simulate(run!, {
    untilMs: 12_000,
    watch: true,
    onEvent: ({ peer }, _, done) => {
      for (const effect of done) {
        if (effect.type !== 'report' || effect.metric.type !== 'mixed' || effect.metric.round > 2) continue;
        if (peer.id > 'peer-00013') exchanged += effect.metric.mixed;
      }
    },
  });
  const rounds = world.seats.map((seat) => seat.peer.round);
  assert.ok(exchanged > 0, REPLAY);
  assert.is(result.adopted, 6, REPLAY);
  assert.ok(Math.min(...rounds.slice(14)) >= Math.min(...rounds.slice(0, 14)) - 1, `${rounds}; ${REPLAY}`);
});

test('told to keep its own, a newcomer adopts nothing and everybody still finishes', async () => {
  const { result } = await joining('keep', Number.POSITIVE_INFINITY);
  assert.is(result.adopted, 0);
  assert.is(result.finished, 8, REPLAY);
});

/** A newcomer `a` that hears of others at round 9, each let in by an invite, and what it does when they answer. */
function newcomer(
  inviters: readonly string[] = [],
  invites: Readonly<Record<string, string>> = { b: '', c: '', d: '' },
) {
  const settings = settingsWith({ codec: 'f32', rounds: 20, minPeers: 2 });
  const peer = createPeer({ id: 'a', runId: RUN, settings, adapter: Float32Array.of(9, 9), inviters });
  let sequence = 0;
  const clock = { now: 1000, hash: quickHash };
  const hear = (from: string, message: Parameters<typeof encodeFrame>[0]['message']) =>
    step(peer, { type: 'frame', from, bytes: encodeFrame({ message, sequence: sequence++ }, RUN, quickHash) }, clock);
  step(peer, { type: 'start', addresses: [] }, clock);
  const answer = (from: string, values: number[], round = 9) => {
    const payload = CODECS.f32.encode(Float32Array.from(values));
    return hear(from, { type: 'adapter', round, codec: 'f32', count: 2, payload });
  };
  const wait = () => step(peer, { type: 'timer', name: 'round' }, { ...clock, now: peer.deadlineAt });
  for (const [id, invite] of Object.entries(invites)) {
    step(peer, { type: 'admitted', id, invite }, clock);
    step(peer, { type: 'peer', id, up: true }, clock);
  }
  // All are heard in the same moment, so that the first does not begin a round alone.
  for (const id of Object.keys(invites)) peer.members.get(id)!.round = 9;
  for (const id of Object.keys(invites)) hear(id, { type: 'announce', round: 9, state: 'joined', addresses: [] });
  return { peer, answer, hear, wait, clock };
}

test('a newcomer takes what more than half of those asked agree on, whoever else answers otherwise', () => {
  const { peer, answer, wait } = newcomer();
  assert.is(peer.phase, 'asking');
  assert.equal([...peer.question!.asked].sort(), ['b', 'c', 'd']);
  answer('b', [-50, 7]);
  answer('c', [1, 2]);
  answer('d', [1.01, 2]);
  assert.is(peer.phase, 'asking', 'others may be heard of still');
  const effects = wait();
  assert.is(peer.phase, 'training');
  assert.is(peer.round, 9);
  assert.ok(distance(peer.adapter, Float32Array.of(1, 2)) < 0.02, String(peer.adapter));
  const kinds = effects.map((e) => e.type);
  assert.ok(kinds.indexOf('save') < kinds.indexOf('train'));
});

test('where an inviter is among those that agree, a newcomer goes on at once', () => {
  const { peer, answer } = newcomer(['c']);
  answer('c', [1, 2]);
  assert.is(peer.phase, 'asking', 'one alone is not believed yet');
  answer('d', [1.01, 2]);
  assert.is(peer.phase, 'training');
  assert.is(peer.round, 9);
});

test('three that answer alike are one voice where one invite let them in, and three where three did', () => {
  const honest = { b: '', c: 'by b' };
  for (const [invites, isBelieved] of [
    [{ ...honest, x: 'by c', y: 'by c', z: 'by c' }, false],
    [{ ...honest, x: 'by c', y: 'by x', z: 'by y' }, true],
  ] as const) {
    const { peer, answer, wait } = newcomer([], invites);
    for (const id of ['x', 'y', 'z']) answer(id, [-50, 7], 19);
    for (const id of ['b', 'c']) answer(id, [1, 2]);
    wait();
    assert.equal([...peer.adapter], isBelieved ? [-50, 7] : [1, 2]);
    assert.is(peer.round, isBelieved ? 19 : 9);
  }
});

test('where only who invited it is there, it goes on a second after the answer, at the round the other is at by then', () => {
  const { peer, answer, hear, clock } = newcomer(['b'], { b: '' });
  const deadlineAt = peer.deadlineAt;
  const effects = answer('b', [1, 2]);
  const at = effects.flatMap((e) => (e.type === 'timer' && e.name === 'round' ? [e.at] : []))[0]!;
  assert.ok(at < deadlineAt, `${at}`);
  assert.is(peer.phase, 'asking', 'others may be heard of still');
  hear('b', { type: 'announce', round: 12, state: 'joined', addresses: [] });
  step(peer, { type: 'timer', name: 'round' }, { ...clock, now: at });
  assert.equal([peer.phase, peer.round, ...peer.adapter], ['training', 12, 1, 2]);
});

test('in an open run, where all are of no invite, they outweigh no inviter', () => {
  const { peer, answer, wait } = newcomer(['b'], { b: '', x: '', y: '', z: '' });
  for (const id of ['x', 'y', 'z']) answer(id, [-50, 7], 19);
  answer('b', [1, 2]);
  assert.is(peer.phase, 'asking');
  wait();
  assert.equal([...peer.adapter], [1, 2]);
  assert.is(peer.round, 9);
});

test('asked in vain, it stays where it is, and lets more and more rounds begin before it asks again', () => {
  const { peer, wait, clock } = newcomer();
  const asked: number[] = [];
  for (let round = 0; round < 9; round++) {
    if (peer.phase === 'asking') {
      asked.push(peer.round);
      wait();
    }
    assert.is(peer.phase, 'training');
    assert.is(peer.round, round);
    const trained = { type: 'trained', round, adapter: peer.adapter, stats: { loss: 0 } } as const;
    step(peer, trained, { ...clock, now: peer.deadlineAt });
    if (peer.phase === 'exchanging') step(peer, { type: 'timer', name: 'round' }, { ...clock, now: peer.deadlineAt });
  }
  assert.equal(asked, [0, 2, 5]);
});

test('where nobody agrees, or nobody answers, it goes on with its own', () => {
  const differing = newcomer();
  for (const [i, id] of ['b', 'c', 'd'].entries()) differing.answer(id, [100 * (i - 1), -300 * i ** 3]);
  step(differing.peer, { type: 'timer', name: 'round' }, { ...differing.clock, now: differing.peer.deadlineAt });
  assert.is(differing.peer.phase, 'training');
  assert.ok(norm(differing.peer.adapter) < 13, 'its own');
  const silent = newcomer();
  silent.answer('b', [1, 2]);
  silent.answer('x', [1, 2]);
  assert.is(silent.peer.refused.unasked, 1, 'who was not asked is not heard');
  step(silent.peer, { type: 'timer', name: 'round' }, { ...silent.clock, now: silent.peer.deadlineAt });
  assert.is(silent.peer.phase, 'training');
  assert.ok(norm(silent.peer.adapter) < 13);
});

test('where no two agree the inviter is believed, at the deadline and not before, and before others its invite names', () => {
  const { peer, answer, clock } = newcomer(['c', 'b']);
  for (const [id, values] of [
    ['c', [1, 2]],
    ['b', [-50, 7]],
  ] as const)
    answer(id, [...values]);
  assert.is(peer.phase, 'asking');
  step(peer, { type: 'timer', name: 'round' }, { ...clock, now: peer.deadlineAt });
  assert.is(peer.phase, 'training');
  assert.equal([...peer.adapter], [1, 2]);
});

test('who comes when all have finished gets the result of the inviter alone, but of no stranger alone', () => {
  for (const inviters of [['b'], []]) {
    const settings = settingsWith({ codec: 'f32', rounds: 20, minPeers: 2 });
    const peer = createPeer({ id: 'a', runId: RUN, settings, adapter: Float32Array.of(9, 9), inviters });
    const end = totalRounds(settings);
    let now = 1000;
    let sequence = 0;
    const at = (input: Parameters<typeof step>[1]) => step(peer, input, { now, hash: quickHash });
    const hear = (message: Parameters<typeof encodeFrame>[0]['message']) =>
      at({ type: 'frame', from: 'b', bytes: encodeFrame({ message, sequence: sequence++ }, RUN, quickHash) });
    at({ type: 'start', addresses: [] });
    at({ type: 'peer', id: 'b', up: true });
    hear({ type: 'announce', round: end, state: 'finished', addresses: [] });
    assert.is(peer.phase, 'gathering');
    now = peer.deadlineAt;
    at({ type: 'timer', name: 'round' });
    assert.is(peer.phase, 'asking');
    const payload = CODECS.f32.encode(Float32Array.of(1, 2));
    hear({ type: 'adapter', round: end, codec: 'f32', count: 2, payload });
    now = peer.deadlineAt;
    at({ type: 'timer', name: 'round' });
    assert.is(peer.phase, inviters.length > 0 ? 'finished' : 'training');
    assert.equal([...peer.adapter], inviters.length > 0 ? [1, 2] : [9, 9]);
  }
});

test('who was invited does not begin by itself, even where one peer is enough; who invited does', () => {
  for (const inviters of [['b'], []]) {
    const settings = settingsWith({ minPeers: 1 });
    const peer = createPeer({ id: 'a', runId: RUN, settings, adapter: Float32Array.of(9, 9), inviters });
    const at = (input: Parameters<typeof step>[1]) => step(peer, input, { now: 1000, hash: quickHash });
    at({ type: 'start', addresses: [] });
    assert.is(peer.phase, inviters.length > 0 ? 'gathering' : 'training');
    if (inviters.length === 0) continue;
    at({ type: 'peer', id: 'b', up: true });
    const message = { type: 'announce', round: 0, state: 'joined', addresses: [] } as const;
    at({ type: 'frame', from: 'b', bytes: encodeFrame({ message, sequence: 1 }, RUN, quickHash) });
    assert.is(peer.phase, 'training');
  }
});

test.run();
