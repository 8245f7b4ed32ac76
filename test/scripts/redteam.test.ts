/** @file Short attacks on a swarm of real processes: whoever floods is refused under a code, and the others go on. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { areaUnder } from '../../scripts/redteam/eavesdrop.ts';
import type { Outcome } from '../../scripts/redteam/judge.ts';
import { roundsIn, strayedIn } from '../../scripts/redteam/measure.ts';
import type { Honest } from '../../scripts/redteam/swarm.ts';
import { ATTACKS, attacksOf, GROUPS } from '../../scripts/redteam/table.ts';
import { ROOT } from '../support.ts';

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
  const names = attacksOf(Object.keys(GROUPS), true);
  const { status, stderr, outcomes } = redteam('--short', '--json');
  assert.equal(
    outcomes.filter(({ held }) => !held).map(({ name, problems }) => `${name}: ${problems.join('; ')}`),
    [],
    stderr,
  );
  assert.equal(outcomes.map(({ name }) => name).sort(), [...names].sort(), stderr);
  assert.is(status, 0, stderr);
  for (const { name, refused } of outcomes) {
    const codes = ATTACKS[name]?.bars.codes ?? [];
    assert.ok(codes.length === 0 || codes.some((code) => refused?.[code]), name);
  }
});

test('an attack that there is not is refused by name', () => {
  const { status, stderr } = redteam('noise');
  assert.is(status, 2);
  assert.match(stderr, /^redteam: got the attack "noise"; wanted one or more of silence, /);
});

const honest = (...rounds: [round: number, at: number][]): Honest =>
  ({ rounds: rounds.map(([round, at]) => ({ round, mixed: 1, at })) }) as unknown as Honest;

test('a round that does not end counts in the window in which it does not; who goes where nobody is, is seen', () => {
  const steady = honest([0, 0], [1, 100], [2, 200], [3, 300], [4, 400], [5, 500]);
  assert.equal(roundsIn([steady], 0, 500), { count: 5, p50: 100, p95: 100 });
  assert.equal(roundsIn([steady], 200, 2000), { count: 3, p50: 100, p95: 1500 });
  assert.is(strayedIn([steady], 0), 0);
  assert.is(strayedIn([steady, honest([0, 0], [5, 450])], 0), 0, 'who was left behind goes to where the others are');
  assert.is(strayedIn([steady, honest([0, 0], [7, 150])], 0), 5);
});

test('an area under the curve is one where all of the first are larger, and a half where they are alike', () => {
  assert.is(areaUnder([3, 4], [1, 2]), 1);
  assert.is(areaUnder([1, 2], [1, 2]), 0.5);
  assert.is(areaUnder([1], [2, 0.5]), 0.5);
});

test.run();
