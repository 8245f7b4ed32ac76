/** @file The same peers in virtual time: the mean stays, rounds never stall, a seed repeats; and the checks can fail. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createPrng } from '../../../protocol/prng.ts';
import { disagreement, distance, mean } from '../../../protocol/vector.ts';
import { createHeap } from '../../../sim/world/heap.ts';
import { createWorld, type World, type WorldOptions } from '../../../sim/world/world.ts';
import { settingsWith } from '../../support.ts';

const SEED = process.env.SEED ?? '1';
const REPLAY = `replay with SEED=${SEED} npm test -- world`;
const RUN = '00112233445566778899aabbccddeeff';
const QUICK = {
  rounds: 10,
  closingRounds: 2,
  roundDeadlineMs: 3000,
  retryMs: 300,
  announceMs: 1000,
  maxOpenRounds: 16,
  aloneAfterMs: 0,
};

function worldOf(
  n: number,
  more: Partial<WorldOptions> & { settings?: never; given?: Record<string, unknown> } = {},
): { world: World; adapters: Float32Array[] } {
  const prng = createPrng(SEED).fork(`adapters/${n}`);
  const adapters = Array.from({ length: n }, () => Float32Array.from({ length: 50 }, prng.normal));
  const { given, ...options } = more;
  return {
    adapters,
    world: createWorld({
      runId: RUN,
      seed: SEED,
      peers: n,
      start: (i) => adapters[i]!,
      settings: settingsWith({ ...QUICK, codec: 'f32', minPeers: n, ...given }),
      ...options,
    }),
  };
}

const vectors = (world: World): Float32Array[] => world.seats.map((seat) => seat.peer.adapter);

/** How far the mean has moved, in units of the first disagreement. */
function drift(world: World, adapters: readonly Float32Array[]): number {
  const start = mean(adapters);
  const spread = Math.sqrt(adapters.reduce((sum, x) => sum + distance(x, start) ** 2, 0) / adapters.length);
  return distance(mean(vectors(world)), start) / spread;
}

/** Lets lost messages be repeated until every exchange is complete. */
function heal(world: World): void {
  world.setNetwork({ loss: 0, duplication: 0 });
  world.run(world.now() + 120_000);
}

for (const { n, loss, codec } of [
  { n: 2, loss: 0, codec: 'f32' },
  { n: 6, loss: 0, codec: 'int8' },
  { n: 16, loss: 0.2, codec: 'f32' },
  { n: 16, loss: 0.3, codec: 'f16' },
]) {
  test(`${n} peers, ${100 * loss} % lost and as many repeated, ${codec}: the mean stays put and all come together`, () => {
    const { world, adapters } = worldOf(n, { network: { loss, duplication: loss }, given: { codec } });
    world.run(300_000);
    heal(world);
    assert.ok(
      world.seats.every((seat) => seat.finished),
      REPLAY,
    );
    assert.ok(drift(world, adapters) < 1e-6, `drift ${drift(world, adapters)}; ${REPLAY}`);
    assert.ok(
      disagreement(vectors(world)) < 0.02 * disagreement(adapters),
      `${disagreement(vectors(world))}; ${REPLAY}`,
    );
  });
}

test('averaging products under loss: the mean of what the adapters stand for stays, and all come to it', () => {
  const factors = [{ rank: 8, inputs: 12, outputs: 10, a: 0, b: 96 }];
  const prng = createPrng(SEED).fork('products');
  // Rank 1 each, so that the mean of eight fits into the rank of the run.
  const adapters = Array.from({ length: 8 }, () => {
    const x = new Float32Array(176);
    for (let j = 0; j < 12; j++) x[j] = prng.normal();
    for (let i = 0; i < 10; i++) x[96 + 8 * i] = prng.normal();
    return x;
  });
  const dense = (x: Float32Array): Float32Array =>
    Float32Array.from({ length: 120 }, (_, k) => {
      const [i, j] = [Math.floor(k / 12), k % 12];
      return [0, 1, 2, 3, 4, 5, 6, 7].reduce((sum, r) => sum + x[96 + 8 * i + r]! * x[12 * r + j]!, 0);
    });
  const { world } = worldOf(8, {
    start: (i) => adapters[i]!,
    factors,
    network: { loss: 0.2, duplication: 0.2 },
    given: { averaging: 'product', rank: 8 },
  });
  world.run(300_000);
  heal(world);
  const [before, after] = [adapters.map(dense), vectors(world).map(dense)];
  const moved = distance(mean(after), mean(before)) / disagreement(before);
  assert.ok(moved < 1e-4, `moved ${moved}; ${REPLAY}`);
  assert.ok(disagreement(after) < 0.02 * disagreement(before), `${disagreement(after)}; ${REPLAY}`);
});

test('peers killed and restarted from their last snapshot lose nothing and repeat nothing', () => {
  const { world, adapters } = worldOf(8, { network: { loss: 0.2, duplication: 0.2 } });
  const chance = createPrng(SEED).fork('kills');
  for (let kill = 0; kill < 12; kill++) {
    const victim = chance.below(8);
    world.run(world.now() + chance.below(600));
    if (world.seats[victim]!.finished) continue;
    const { round } = world.seats[victim]!.peer;
    world.kill(victim);
    world.run(world.now() + chance.below(300));
    world.restart(victim);
    assert.ok(
      world.seats[victim]!.peer.round >= round - 1,
      `round ${round} became ${world.seats[victim]!.peer.round}; ${REPLAY}`,
    );
  }
  world.run(300_000);
  heal(world);
  assert.ok(drift(world, adapters) < 1e-6, `drift ${drift(world, adapters)}; ${REPLAY}`);
});

test('a peer that was away for many rounds comes back without holding anybody up', () => {
  const refused: Record<string, number> = {};
  const { world, adapters } = worldOf(4, { given: { rounds: 30, maxOpenRounds: 4, roundDeadlineMs: 60_000 } });
  world.run(3000);
  world.kill(1);
  world.run(world.now() + 6000);
  const [before, others] = [world.seats[1]!.peer.round, Math.min(...[0, 2, 3].map((i) => world.seats[i]!.peer.round))];
  assert.ok(others > before + 5, `away from ${before} to ${others}`);
  world.restart(1);
  world.run(600_000);
  for (const { peer } of world.seats)
    for (const [code, count] of Object.entries(peer.refused)) refused[code] = (refused[code] ?? 0) + count;
  assert.ok(world.seats.every((seat) => seat.finished));
  assert.ok(world.now() < 40_000, `${world.now()} ms; refused ${JSON.stringify(refused)}`);
  assert.is(refused['inbox-full'] ?? 0, 0);
  assert.ok(disagreement(vectors(world)) < 0.05 * disagreement(adapters));
});

test('a peer killed when it had finished settles what was open before it leaves', () => {
  for (let trial = 0; trial < 5; trial++) {
    const { world, adapters } = worldOf(5, {
      seed: `${SEED}/${trial}`,
      network: { loss: 0.3 },
      given: { rejoinMs: 5000 },
    });
    while (!world.seats.some((seat) => seat.peer.phase === 'finished')) world.run(world.now() + 20);
    const victim = world.seats.findIndex((seat) => seat.peer.phase === 'finished');
    world.kill(victim);
    world.run(world.now() + 500);
    world.restart(victim);
    world.run(300_000);
    heal(world);
    assert.ok(drift(world, adapters) < 1e-6, `drift ${drift(world, adapters)}; ${REPLAY}`);
  }
});

test('a peer that is gone for good holds nobody up', () => {
  const { world } = worldOf(6);
  world.run(1500);
  world.kill(2);
  world.run(600_000);
  assert.ok(
    world.seats.every((seat, i) => i === 2 || seat.finished),
    REPLAY,
  );
  assert.ok(world.now() < 60_000, `${world.now()} ms`);
});

test('the same seed gives the same trace, another seed another', () => {
  const trace = (seed: string): string => {
    const { world } = worldOf(5, { seed, network: { loss: 0.1, duplication: 0.1 } });
    world.run(300_000);
    return world.trace();
  };
  assert.is(trace('x'), trace('x'));
  assert.is.not(trace('x'), trace('y'));
});

test('training in between, all end where the mean of what they learned is', () => {
  const pull = (peer: number, round: number, x: Float32Array): Float32Array =>
    x.map((v) => v + (peer === 0 ? 1 : 0) + round / 100);
  const { world, adapters } = worldOf(4, { train: pull, network: { loss: 0.2 } });
  world.run(300_000);
  heal(world);
  const learned = 10 / 4 + 45 / 100;
  const wanted = mean(adapters).map((v) => v + learned);
  assert.ok(distance(mean(vectors(world)), wanted) < 1e-4, REPLAY);
});

test('a protocol that forgets what was lost is seen to drift', () => {
  const { world, adapters } = worldOf(16, {
    network: { loss: 0.3 },
    given: { maxOpenRounds: 1, roundDeadlineMs: 100, retryMs: 3_000_000 },
  });
  world.run(300_000);
  assert.ok(drift(world, adapters) > 1e-4, `drift only ${drift(world, adapters)}`);
});

test('the heap gives back events by time, equal times in order', () => {
  const heap = createHeap<number>();
  const prng = createPrng(SEED);
  const times = Array.from({ length: 500 }, () => prng.below(50));
  for (const [i, at] of times.entries()) heap.push(at, i);
  const order = Array.from({ length: 500 }, () => ({ at: heap.next()!, item: heap.pop()! }));
  const wanted = times.map((at, item) => ({ at, item })).sort((a, b) => a.at - b.at || a.item - b.item);
  assert.equal(order, wanted);
  assert.is(heap.pop(), null);
});

test.run();
