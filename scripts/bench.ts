/** @file `npm run -s bench -- NAME`: measures and prints one JSON object. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../node/errors.ts';
import { type Arguments, readArguments, refuse, type Usage, wholeNumber } from './arguments.ts';
import type { BenchOptions } from './benches/measure.ts';

type Bench = (workspace: string, options: BenchOptions) => Promise<unknown>;

/** Each is loaded when asked for, and given an empty folder, gone afterwards. */
const BENCHES: Readonly<Record<string, () => Promise<Bench>>> = {
  step: async () => (await import('./benches/step.ts')).benchStep,
  memory: async () => (await import('./benches/memory.ts')).benchMemory,
  train: async () => (await import('./benches/train.ts')).benchTrain,
  load: async () => (await import('./benches/load.ts')).benchLoad,
  scoring: async () => (await import('./benches/learning.ts')).benchScoring,
  experiment: async () => (await import('./benches/learning.ts')).benchExperiment,
  sim: async () => (await import('./benches/simulation.ts')).benchSimulation,
  swarm: async () => (await import('./benches/swarm.ts')).benchSwarm,
  generate: async () => (await import('./benches/generate.ts')).benchGenerate,
  averaging: async () => (await import('./benches/averaging.ts')).benchAveraging,
};

const USAGE: Usage = {
  name: 'bench',
  about: `Measures and prints one JSON object. NAME is one of\n${Object.keys(BENCHES).join(', ')}.`,
  positionals: 'NAME',
  options: {
    peers: { value: 'N', about: 'of swarm: how many peers (10)' },
    rounds: { value: 'N', about: 'of step, train and load: times each is measured (15)' },
    shape: { value: 'NAME', about: 'of step: small, minilm or base; of memory: a model (all)' },
    data: { value: 'FILE', about: 'of train: texts whose lengths it takes (the reviews of the demo)' },
    base: { value: 'MODEL', about: 'of generate: which model (one of random weights)' },
  },
  examples: ['step --shape small', 'swarm --peers 32', 'generate --base model.gguf'],
};

/** Which benches an option is for. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  peers: ['swarm'],
  rounds: ['step', 'train', 'load'],
  shape: ['step', 'memory'],
  data: ['train'],
  base: ['generate'],
};

async function main(given: Arguments): Promise<void> {
  const [name = 'nothing', ...more] = given.positionals;
  const load = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
  if (!load || more.length > 0)
    throw new UserError('usage', `got ${[name, ...more].join(' ')}; wanted one of ${Object.keys(BENCHES).join(', ')}`);
  for (const [option, benches] of Object.entries(OWNERS))
    if (given.values[option] !== undefined && !benches.includes(name))
      throw new UserError('usage', `--${option} belongs to ${benches.join(', ')}, not to ${name}`);
  const { shape, base, data } = given.values;
  const options: BenchOptions = {
    peers: wholeNumber(given, 'peers', 10, 2, 1000),
    rounds: wholeNumber(given, 'rounds', 15, 1, 1000),
    ...(typeof shape === 'string' ? { shape } : {}),
    ...(typeof base === 'string' ? { base } : {}),
    ...(typeof data === 'string' ? { data } : {}),
  };
  const workspace = mkdtempSync(join(tmpdir(), 'lorikeet-bench-'));
  process.env.LORIKEET_CACHE = workspace;
  try {
    const bench = await load();
    console.log(JSON.stringify(await bench(workspace, options), null, 2));
  } finally {
    rmSync(workspace, { recursive: true });
  }
}

main(readArguments(USAGE)).catch((error) => refuse(USAGE.name, error));
