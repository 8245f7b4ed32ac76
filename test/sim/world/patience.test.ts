/** @file Nobody waits for the silent, the slow and the trickling: rounds take as long as without them, in virtual time. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeFrame } from '../../../protocol/frame.ts';
import { quickHash } from '../../../sim/world/digest.ts';
import { createWorld, type WorldOptions } from '../../../sim/world/world.ts';
import { settingsWith } from '../../support.ts';

const RUN_ID = '00112233445566778899aabbccddeeff';
const SIZE = 8;
const DEADLINE_MS = 60_000;
const PEERS = 8;
const LAST = PEERS - 1;

/** How long the rounds of the first `honest` peers took (virtual ms), sorted, and how far apart those ended. */
function play(honest: number, more: Partial<WorldOptions> = {}) {
  const ends: number[][] = Array.from({ length: PEERS }, () => []);
  const peers = more.peers ?? PEERS;
  const world = createWorld({
    runId: RUN_ID,
    seed: 'patience',
    settings: settingsWith({ codec: 'f32', rounds: 24, minPeers: peers, roundDeadlineMs: DEADLINE_MS }),
    peers,
    start: (i) => new Float32Array(SIZE).fill(i),
    trainMs: () => [900, 1100],
    onMetric: (peer, metric, now) => {
      if (metric.type === 'mixed') ends[peer]!.push(now);
    },
    ...more,
  });
  world.run(3_600_000);
  const lengths = ends.slice(0, honest).flatMap((times) => times.slice(1).map((at, i) => at - times[i]!));
  lengths.sort((a, b) => a - b);
  const numbers = world.seats.slice(0, honest).map(({ peer }) => peer.adapter[0]!);
  return {
    medianMs: lengths[lengths.length >> 1]!,
    worstMs: lengths.at(-1)!,
    apart: Math.max(...numbers) - Math.min(...numbers),
  };
}

function kindOf(bytes: Uint8Array): string {
  const decoded = decodeFrame(bytes, { runId: RUN_ID, count: SIZE, codec: 'f32' }, quickHash);
  return decoded.ok ? decoded.frame.message.type : '?';
}

/** The last so many peers say that they are there, and nothing else. */
const silent =
  (count: number): NonNullable<WorldOptions['tamper']> =>
  (from, _to, bytes) =>
    from < PEERS - count || kindOf(bytes) === 'announce' ? [bytes] : [];

const usual = play(LAST, { peers: LAST });

const HINDRANCES: Readonly<Record<string, { readonly count: number; readonly world: Partial<WorldOptions> }>> = {
  'one that is silent': { count: 1, world: { tamper: silent(1) } },
  'two that are silent': { count: 2, world: { tamper: silent(2) } },
  'one that takes ten times as long': {
    count: 1,
    world: { trainMs: (peer) => (peer === LAST ? [9_000, 11_000] : [900, 1100]) },
  },
  'one whose adapters are so long on their way that none arrives': {
    count: 1,
    world: { tamper: (from, _to, bytes) => (from === LAST && kindOf(bytes) === 'data' ? [] : [bytes]) },
  },
};

for (const [name, { count, world }] of Object.entries(HINDRANCES)) {
  test(`${name}: the rounds of the others take at most 1.3 times as long, and they still come together`, () => {
    const { medianMs, worstMs, apart } = play(PEERS - count, world);
    assert.ok(medianMs <= 1.3 * usual.medianMs, `${medianMs} ms, ${usual.medianMs} without`);
    assert.ok(worstMs < DEADLINE_MS / 6, `one took ${worstMs} ms`);
    assert.ok(apart < 0.01 * PEERS, `${apart} apart`);
  });
}

test('peers of which the slowest takes twice as long as the quickest wait for each other', () => {
  let [late, neighbours] = [0, 0];
  play(PEERS, {
    trainMs: (peer) => [1000 + 140 * peer, 1050 + 140 * peer],
    onMetric: (_peer, metric) => {
      if (metric.type !== 'mixed') return;
      late += metric.late;
      neighbours += metric.neighbours;
    },
  });
  assert.ok(neighbours > 500 && late < 0.03 * neighbours, `${late} of ${neighbours} came late`); // in the first rounds
});

test.run();
