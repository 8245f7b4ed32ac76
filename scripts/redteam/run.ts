/** @file Attack after attack, against one swarm as long as it is whole, and against a new one where it is not. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { splitReviews } from '../../node/texts/reviews.ts';
import { type Attacker, createAttacker } from './attacker.ts';
import { FULL, judge, type Outcome, SHORT } from './judge.ts';
import { openPlaces } from './places.ts';
import { type Swarm, startSwarm } from './swarm.ts';
import { ATTACKS } from './table.ts';

export interface RedteamOptions {
  readonly names: readonly string[];
  readonly isShort: boolean;
  readonly signal: AbortSignal;
  readonly onBegin: (name: string) => void;
  readonly onOutcome: (outcome: Outcome) => void;
}

export const PEERS = 4;
/** So that a round is neither over at once nor all that there is to see. */
const LOCAL_STEPS = 3;

export async function runRedteam({ names, isShort, signal, onBegin, onOutcome }: RedteamOptions): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'lorikeet-redteam-'));
  const places = await openPlaces(PEERS + 2);
  const texts = splitReviews({ seed: 'redteam', peers: PEERS + 1, goldPerClass: isShort ? 1 : 8 }).shares.map(
    ({ gold }) => gold,
  );
  const steps = isShort ? 1 : LOCAL_STEPS;
  const flags = ['--rounds', '100000', '--local-steps', String(steps), '--label-prior', 'off', '--soft-labels', 'none'];
  const hostile = places.all[PEERS + 1]!;
  let [swarm, attacker, count]: [Swarm | null, Attacker | null, number] = [null, null, 0];
  try {
    for (const name of names) {
      signal.throwIfAborted();
      onBegin(name);
      count += 1;
      const folder = join(root, String(count));
      swarm ??= await startSwarm({ folder, places: places.all.slice(0, PEERS), texts, flags });
      attacker ??= await createAttacker(hostile);
      const outcome: Outcome = await judge(name, ATTACKS[name]!, {
        swarm,
        newcomer: { place: places.all[PEERS]!, texts: texts[PEERS]! },
        attacker,
        host: hostile.host,
        decoys: places.decoys,
        folder,
        pace: isShort ? SHORT : FULL,
        signal,
      }).catch((error: Error) => {
        signal.throwIfAborted();
        attacker?.kill();
        attacker = null;
        return { name, did: 'nothing', held: false, problems: [error.message] };
      });
      onOutcome(outcome);
      if (outcome.held) continue;
      await swarm.stop();
      swarm = null;
    }
  } finally {
    attacker?.kill();
    await swarm?.stop();
    places.close();
    rmSync(root, { recursive: true, force: true });
  }
}
