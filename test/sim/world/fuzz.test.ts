/** @file Two hundred worlds, each with faults of its own. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { drawRun, fuzzOnce } from '../../../sim/world/fuzz.ts';

test('two hundred worlds: the mean stays, and once healed everybody finishes', async () => {
  const problems: string[] = [];
  for (let seed = 1; seed <= 200; seed++) {
    const problem = await fuzzOnce(String(seed));
    if (problem) problems.push(`seed ${seed}: ${problem}; replay with npm run fuzz -- --seeds ${seed}`);
  }
  assert.equal(problems, []);
});

test('the worlds differ in what goes wrong', () => {
  const runs = Array.from({ length: 200 }, (_, i) => drawRun(String(i + 1)));
  const share = (has: (run: (typeof runs)[number]) => boolean): number => runs.filter(has).length / runs.length;
  for (const [name, has] of Object.entries({
    loss: (r: (typeof runs)[number]) => r.scenario.loss > 0.1,
    crashes: (r: (typeof runs)[number]) => r.scenario.crashes > 0,
    partition: (r: (typeof runs)[number]) => r.scenario.partition !== null,
    'full disks': (r: (typeof runs)[number]) => r.scenario.fullDisks > 0,
    'clock jumps': (r: (typeof runs)[number]) => r.scenario.clockJumps > 0,
    joiners: (r: (typeof runs)[number]) => r.scenario.joiners > 0,
    nat: (r: (typeof runs)[number]) => r.scenario.natShare > 0,
  }))
    assert.ok(share(has) > 0.1 && share(has) < 0.9, `${name}: ${share(has)}`);
  assert.ok(new Set(runs.map((r) => r.settings.schedule)).size >= 8);
  assert.equal(drawRun('7'), drawRun('7'));
});

test.run();
