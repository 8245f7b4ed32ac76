/** @file A soak tells what grows from what does not, and what is there to look at is looked at. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { medianSlope, problemsOf, type Soaked } from '../../scripts/soak/judge.ts';

const SOUND: Soaked = {
  ...{ seconds: 3600, rounds: 900, ended: [] },
  blows: [{ type: 'kill', place: 3, seconds: 4, backSeconds: 6 }],
  peers: [{ place: 1, slope: 0.4, memory: 250, files: [36, 38], state: [900, 950] }],
};

test('a slope is that of most points, whatever a few do', () => {
  const line = Array.from({ length: 100 }, (_, i): [number, number] => [i, 3 * i + (i % 7 === 0 ? 500 : 0)]);
  assert.ok(Math.abs(medianSlope(line)! - 3) < 0.5);
  assert.is(medianSlope([[1, 1]]), null);
});

test('what does not hold is named', () => {
  assert.equal(problemsOf(SOUND), []);
  const [peer] = SOUND.peers;
  for (const [worse, said] of [
    [{ peers: [{ ...peer!, slope: 1.5 }] }, /1\.50 MB more every 10 min/],
    [{ peers: [{ ...peer!, files: [36, 90] as const }] }, /54 more open files/],
    [{ peers: [{ ...peer!, state: [900, 90_000] as const }] }, /state grew by 89100 kB/],
    [{ blows: [{ ...SOUND.blows[0]!, backSeconds: null }] }, /1 of 1 blows/],
    [{ rounds: 0 }, /no round/],
    [{ ended: ['peer 2 ended: exit 1'] }, /exit 1/],
  ] as const)
    assert.match(problemsOf({ ...SOUND, ...worse }).join('\n'), said);
});

test.run();
