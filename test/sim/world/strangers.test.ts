/** @file Members made up by somebody outside move nobody, replace no adapter, and are soon no neighbours any more. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readScenario } from '../../../sim/world/scenario.ts';
import { simulate } from '../../../sim/world/simulate.ts';

const SEED = process.env.SEED ?? '1';
const REPLAY = `replay with SEED=${SEED} npm test -- world/strangers`;
const ROUNDS = 40;
const FROM_MS = 10_000;

/** Four honest peers and one that comes late, a second a round, in an open run unless told otherwise. */
async function attacked(strangers: Record<string, unknown>, more: Record<string, unknown> = {}) {
  const times = { fromMs: FROM_MS, untilMs: 30_000, invites: 0 };
  const world = { peers: 5, joiners: 1, joinMs: 12_000, size: 20, trainMs: [900, 1100], seeds: [SEED] };
  const settings = { rounds: ROUNDS, minPeers: 4, rejoinMs: 3000, ...(more.settings ?? {}) };
  const given = { name: 'x', ...world, ...more, settings, strangers: { ...times, ...strangers } };
  const [trained, poisoned] = [[0, 0, 0, 0, 0], new Set<string>()];
  const mixings: { peer: string; at: number; mixed: number }[] = [];
  let [furthest, firstMs] = [0, Number.POSITIVE_INFINITY];
  const { result } = await simulate(readScenario(given, 'x').runs[0]!, {
    watch: true,
    onEvent: ({ peer }, _, done, now) => {
      for (const effect of done) {
        if (effect.type !== 'report') continue;
        const { metric } = effect;
        if (metric.type === 'trained') trained[Number(peer.id.slice(-1))]! += 1;
        if (metric.type === 'mixed') mixings.push({ peer: peer.id, at: now, mixed: metric.with.length });
        if (metric.type === 'skipped') furthest = Math.max(furthest, metric.to - metric.from);
        if (metric.type !== 'adopted' || !metric.from.startsWith('stranger')) continue;
        poisoned.add(peer.id);
        firstMs = Math.min(firstMs, now);
      }
    },
  });
  assert.is(result.problem, null, REPLAY);
  assert.is(result.finished, 5, REPLAY);
  /** Honest neighbours mixed with in a round, on average over a time (virtual ms). */
  const neighbours = (fromMs: number, untilMs: number): number => {
    const some = mixings.filter(({ at }) => at >= fromMs && at < untilMs);
    return some.reduce((sum, { mixed }) => sum + mixed, 0) / some.length;
  };
  /** What rounds that ended within a time took (virtual ms), sorted. */
  const lengths = (fromMs: number, untilMs: number): number[] =>
    mixings
      .map(({ peer, at }, i) => ({ at, took: at - (mixings.findLast((m, j) => j < i && m.peer === peer)?.at ?? at) }))
      .filter(({ at, took }) => took > 0 && at >= fromMs && at < untilMs)
      .map(({ took }) => took)
      .sort((a, b) => a - b);
  return { trained, furthest, poisoned: [...poisoned].sort(), firstMs, neighbours, lengths };
}

test('nine made-up ids at the last round, told over one connection, make nobody skip', async () => {
  const { trained, furthest } = await attacked({ kind: 'far', count: 9 });
  console.log(`nine at the last round: trainings ${trained}, longest skip ${furthest}`);
  assert.equal(trained.slice(0, 4), [ROUNDS, ROUNDS, ROUNDS, ROUNDS], REPLAY);
  assert.ok(trained[4]! >= ROUNDS - 20, `${trained}; ${REPLAY}`);
});

test('three that answer alike replace no adapter of an honest peer, in an open run and where one invite let them in', async () => {
  for (const invites of [0, 1]) {
    const { trained, poisoned, firstMs } = await attacked({ kind: 'alike', count: 3, fromMs: 0, invites });
    const who = poisoned.length > 0 ? `${poisoned}, the first after ${firstMs} ms` : 'nobody';
    console.log(`three alike, ${invites} invites: believed by ${who}; trainings ${trained}`);
    assert.equal(poisoned, [], REPLAY);
    assert.equal(trained.slice(0, 4), [ROUNDS, ROUNDS, ROUNDS, ROUNDS], REPLAY);
  }
});

for (const invites of [0, 1])
  test(`name after name that takes part and sends nothing holds up few rounds, ${invites} invites`, async () => {
    const { lengths } = await attacked({ kind: 'names', count: 40, invites });
    const [before, under] = [lengths(2000, FROM_MS), lengths(FROM_MS, 30_000)];
    const of = (some: readonly number[], share: number): number => some[Math.floor(share * some.length)]!;
    console.log(`forty names: median ${of(under, 0.5)} ms (${of(before, 0.5)} before), p95 ${of(under, 0.95)} ms`);
    assert.ok(of(under, 0.5) < 1.3 * of(before, 0.5), REPLAY);
    assert.ok(of(under, 0.95) < 2 * of(before, 0.95), REPLAY);
  });

for (const { name, kind, count, soon } of [
  { name: 'five hundred told over one connection', kind: 'crowd', count: 500, soon: 0.5 },
  { name: 'a hundred and twenty-eight that were connected', kind: 'idle', count: 128, soon: 1 },
]) {
  test(`${name} leave the honest most of their neighbours, and are none any more soon after they have gone`, async () => {
    const settings = { rounds: 1200, announceMs: 5000, retryMs: 3000, memberTimeoutMs: 30_000, degree: 0 };
    const { neighbours } = await attacked({ kind, count }, { settings, untilMs: 2_000_000 });
    const found = [0, 0.5, 1, 2, 5, 15].map((minutes) => {
      const from = 30_000 + 60_000 * minutes;
      return { minutes, mixed: neighbours(from, from + 30_000) };
    });
    const meanwhile = neighbours(FROM_MS, 30_000);
    console.log(`${name}: ${meanwhile.toFixed(3)} honest neighbours a round while they are there, then`);
    console.log(found.map(({ minutes, mixed }) => `  ${mixed.toFixed(3)} from ${minutes} min on`).join('\n'));
    const after = found.filter(({ minutes }) => minutes >= soon).map(({ mixed }) => mixed);
    assert.ok(meanwhile > 2, `${meanwhile}; ${REPLAY}`);
    assert.ok(Math.min(...after) > 3.9, `${after}; ${REPLAY}`);
  });
}

test.run();
