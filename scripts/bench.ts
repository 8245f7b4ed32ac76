/** @file `npm run -s bench -- NAME`: measures and prints one JSON object. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../node/errors.ts';
import { benchExperiment, benchScoring } from './benches/learning.ts';
import { benchSimulation } from './benches/simulation.ts';
import { benchStep } from './benches/step.ts';
import { benchSwarm } from './benches/swarm.ts';

/** Each is given an empty folder, gone afterwards. */
const BENCHES: Readonly<Record<string, (workspace: string) => Promise<unknown>>> = {
  step: benchStep,
  scoring: benchScoring,
  experiment: benchExperiment,
  sim: benchSimulation,
  swarm: benchSwarm,
};

async function main(name: string | undefined): Promise<void> {
  const bench = BENCHES[name ?? ''];
  if (!bench)
    throw new UserError('usage', `bench: got ${name ?? 'nothing'}; wanted one of ${Object.keys(BENCHES).join(', ')}`);
  const workspace = mkdtempSync(join(tmpdir(), 'lorikeet-bench-'));
  process.env.LORIKEET_CACHE = workspace;
  try {
    console.log(JSON.stringify(await bench(workspace), null, 2));
  } finally {
    rmSync(workspace, { recursive: true });
  }
}

main(process.argv[2]).catch((error) => {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = error instanceof UserError ? 2 : 1;
});
