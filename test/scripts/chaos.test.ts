/** @file Real processes killed at every point of a round, or standing still; and a disk that forgets is noticed. */
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { POINT_NAMES, type PointName } from '../../scripts/chaos/points.ts';
import { type Blow, runChaos, runSwarms } from '../../scripts/chaos/swarm.ts';
import { temporaryFolder } from '../support.ts';

const SEED = process.env.SEED ?? '1';
const REPLAY = `replay with SEED=${SEED} npm test -- chaos`;

/** Rounds so long that few pass while a process starts again. */
const LONG = { trainMs: 500 };

const kills = (points: readonly PointName[]): Blow[] => points.map((point) => ({ type: 'kill', point }));

test('killed -9 at each of twelve points of a round, or standing still for longer than rounds wait, a peer comes back to what it saved, and every sum is what was trained', async () => {
  const root = temporaryFolder();
  const folder = (swarm: number): string => join(root, String(swarm));
  const freezes = Array.from({ length: 2 }, () => ({ type: 'freeze', ms: 1500 }) as const);
  const blows: Blow[] = [...freezes, ...kills(POINT_NAMES)];
  const { struck, problems } = await runSwarms({ folder, seed: SEED, blows, rounds: 50, deadlineMs: 300, ...LONG });
  assert.equal(problems, [], REPLAY);
  assert.is(struck.length, blows.length, REPLAY);
});

test('a peer whose disk goes back to an older snapshot is noticed', async () => {
  const copies: string[] = [];
  const { problems } = await runChaos({
    folder: temporaryFolder(),
    seed: SEED,
    blows: kills(['it trains', 'it trains']).map((blow) => ({ ...blow, victim: 1 })),
    rounds: 25,
    ...LONG,
    whileDown: (folder) => {
      const [file, copy] = [join(folder, 'snapshot.bin'), join(folder, 'older.bin')];
      if (existsSync(copy)) {
        copies.push(folder);
        copyFileSync(copy, file);
      }
      copyFileSync(file, copy);
    },
  });
  assert.ok(copies.length > 0, `it did not fall twice; ${REPLAY}`);
  assert.ok(
    problems.some((problem) => /sums to/.test(problem)),
    `${JSON.stringify(problems)}; ${REPLAY}`,
  );
});

test.run();
