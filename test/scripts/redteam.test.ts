/** @file Short attacks on a swarm of real processes: whoever floods is refused under a code, and the others go on. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Outcome } from '../../scripts/redteam/judge.ts';
import { roundsIn, skippedIn } from '../../scripts/redteam/measure.ts';
import type { Honest } from '../../scripts/redteam/swarm.ts';
import { ATTACKS } from '../../scripts/redteam/table.ts';
import { ROOT } from '../support.ts';

/** What does not hold yet: whoever holds an invite can make up members, and say for them where the run is. */
const OPEN = ['far-round', 'alike'];

function redteam(...args: string[]) {
  const script = join(ROOT, 'dist', 'scripts', 'redteam.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  return {
    status,
    stderr,
    outcomes: stdout.split('\n').flatMap((line): Outcome[] => (line ? [JSON.parse(line)] : [])),
  };
}

test('whoever is silent, slow, floods or is made up is refused where there is a code for it, and the honest go on', () => {
  const names = Object.keys(ATTACKS).filter((name) => !OPEN.includes(name));
  const { status, stderr, outcomes } = redteam('--short', '--json', ...names);
  assert.equal(
    outcomes.filter(({ held }) => !held).map(({ name, problems }) => `${name}: ${problems.join('; ')}`),
    [],
    stderr,
  );
  assert.equal(
    outcomes.map(({ name }) => name),
    names,
    stderr,
  );
  assert.is(status, 0, stderr);
  for (const { name, refused } of outcomes) {
    const codes = ATTACKS[name]!.bars.codes ?? [];
    assert.ok(name === 'pings' || codes.length === 0 || codes.some((code) => refused?.[code]), name);
  }
});

test('an attack that there is not is refused by name', () => {
  const { status, stderr } = redteam('silence');
  assert.is(status, 2);
  assert.match(stderr, /^redteam: got the attack "silence"; wanted silent, /);
});

const honest = (rounds: readonly [round: number, at: number][]): Honest =>
  ({ rounds: rounds.map(([round, at]) => ({ round, at })) }) as unknown as Honest;

test('a round that does not end counts in the window in which it does not, and one that is left out is seen', () => {
  const steady = honest([0, 1, 2, 3, 4, 5].map((round) => [round, 100 * round]));
  assert.equal(roundsIn([steady], 0, 500), { count: 5, p50: 100, p95: 100 });
  assert.equal(roundsIn([steady], 200, 2000), { count: 3, p50: 100, p95: 1500 });
  assert.is(skippedIn([steady], 0), 0);
  assert.is(
    skippedIn(
      [
        steady,
        honest([
          [0, 0],
          [7, 100],
        ]),
      ],
      0,
    ),
    6,
  );
});

test.run();
