/** @file `npm run -s bench -- NAME`: measures and prints one JSON object. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../node/errors.ts';
import { type Arguments, readArguments, refuse, type Usage, wholeNumber } from './arguments.ts';

interface Given {
  readonly peers: number;
  readonly base: string | null;
}

type Bench = (workspace: string, given: Given) => Promise<unknown>;

/** Each is loaded when asked for, and given an empty folder, gone afterwards. */
const BENCHES: Readonly<Record<string, () => Promise<Bench>>> = {
  step: async () => (await import('./benches/step.ts')).benchStep,
  memory: async () => (await import('./benches/memory.ts')).benchMemory,
  scoring: async () => (await import('./benches/learning.ts')).benchScoring,
  experiment: async () => (await import('./benches/learning.ts')).benchExperiment,
  sim: async () => (await import('./benches/simulation.ts')).benchSimulation,
  swarm: async () => {
    const { benchSwarm } = await import('./benches/swarm.ts');
    return (workspace, { peers }) => benchSwarm(workspace, peers);
  },
  generate: async () => {
    const { benchGenerate } = await import('./benches/generate.ts');
    return (workspace, { base }) => benchGenerate(workspace, base);
  },
  averaging: async () => (await import('./benches/averaging.ts')).benchAveraging,
};

const USAGE: Usage = {
  name: 'bench',
  about: `Measures and prints one JSON object. NAME: ${Object.keys(BENCHES).join(', ')}.`,
  positionals: 'NAME',
  options: {
    peers: { value: 'N', about: 'of swarm: how many peers (10)' },
    base: { value: 'MODEL', about: 'of generate: which model (one of random weights)' },
  },
  examples: ['step', 'swarm --peers 32', 'generate --base model.gguf'],
};

async function main(given: Arguments): Promise<void> {
  const [name = 'nothing', ...more] = given.positionals;
  const load = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
  if (!load || more.length > 0)
    throw new UserError('usage', `got ${[name, ...more].join(' ')}; wanted one of ${Object.keys(BENCHES).join(', ')}`);
  if (given.values.peers !== undefined && name !== 'swarm')
    throw new UserError('usage', `--peers belongs to swarm, not to ${name}`);
  if (given.values.base !== undefined && name !== 'generate')
    throw new UserError('usage', `--base belongs to generate, not to ${name}`);
  const base = given.values.base === undefined ? null : String(given.values.base);
  const peers = wholeNumber(given, 'peers', 10, 2, 1000);
  const workspace = mkdtempSync(join(tmpdir(), 'lorikeet-bench-'));
  process.env.LORIKEET_CACHE = workspace;
  try {
    const bench = await load();
    console.log(JSON.stringify(await bench(workspace, { peers, base }), null, 2));
  } finally {
    rmSync(workspace, { recursive: true });
  }
}

main(readArguments(USAGE)).catch((error) => refuse(USAGE.name, error));
