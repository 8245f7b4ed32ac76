/** @file `npm run -s bench -- NAME`: measures and prints one JSON object. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { UserError } from '../node/errors.ts';
import { benchAveraging } from './benches/averaging.ts';
import { benchExperiment, benchScoring } from './benches/learning.ts';
import { benchSimulation } from './benches/simulation.ts';
import { benchStep } from './benches/step.ts';
import { benchSwarm } from './benches/swarm.ts';

interface Flags {
  readonly peers?: string;
}

/** Each is given an empty folder, gone afterwards. */
const BENCHES: Readonly<Record<string, (workspace: string, flags: Flags) => Promise<unknown>>> = {
  step: benchStep,
  scoring: benchScoring,
  experiment: benchExperiment,
  sim: benchSimulation,
  swarm: benchSwarm,
  averaging: benchAveraging,
};

async function main(name: string | undefined, flags: Flags): Promise<void> {
  const bench = BENCHES[name ?? ''];
  if (!bench)
    throw new UserError('usage', `bench: got ${name ?? 'nothing'}; wanted one of ${Object.keys(BENCHES).join(', ')}`);
  const workspace = mkdtempSync(join(tmpdir(), 'lorikeet-bench-'));
  process.env.LORIKEET_CACHE = workspace;
  try {
    console.log(JSON.stringify(await bench(workspace, flags), null, 2));
  } finally {
    rmSync(workspace, { recursive: true });
  }
}

const { positionals, values } = parseArgs({ allowPositionals: true, options: { peers: { type: 'string' } } });

main(positionals[0], values).catch((error) => {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = error instanceof UserError ? 2 : 1;
});
