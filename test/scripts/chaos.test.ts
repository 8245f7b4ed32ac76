/** @file Real processes killed at every point of a round; and a disk that forgets is noticed. */
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { POINT_NAMES } from '../../scripts/chaos/points.ts';
import { runChaos, runSwarms } from '../../scripts/chaos/swarm.ts';
import { temporaryFolder } from '../support.ts';

const SEED = process.env.SEED ?? '1';
const REPLAY = `replay with SEED=${SEED} npm test -- chaos`;

test('killed -9 at each of twelve points of a round, a peer comes back to what it saved, and nothing is mixed in twice', async () => {
  const root = temporaryFolder();
  const folder = (swarm: number): string => join(root, String(swarm));
  const { kills, problems } = await runSwarms({ folder, seed: SEED, points: POINT_NAMES, rounds: 80 });
  assert.equal(problems, [], REPLAY);
  assert.equal(
    kills.map((kill) => kill.point),
    POINT_NAMES,
    REPLAY,
  );
});

test('a peer whose disk goes back to an older snapshot is noticed', async () => {
  const copies: string[] = [];
  const { problems } = await runChaos({
    folder: temporaryFolder(),
    seed: SEED,
    points: ['it trains', 'it trains', 'it trains', 'it trains', 'it trains'],
    rounds: 40,
    whileDown: (folder) => {
      const [file, copy] = [join(folder, 'snapshot.bin'), join(folder, 'older.bin')];
      if (existsSync(copy)) {
        copies.push(folder);
        copyFileSync(copy, file);
      }
      copyFileSync(file, copy);
    },
  });
  assert.ok(copies.length > 0, `nobody fell twice; ${REPLAY}`);
  assert.ok(
    problems.some((problem) => /sums to/.test(problem)),
    `${JSON.stringify(problems)}; ${REPLAY}`,
  );
});

test.run();
