/** @file `bench -- sim`: how many peers and rounds a second the simulator does, and in how much memory. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { readScenario } from '../../sim/world/scenario.ts';
import { simulate } from '../../sim/world/simulate.ts';
import { machine, round } from './measure.ts';

const quiet = { roster: true, trainMs: [50, 100], latencyMs: [5, 20] };
const spambase = {
  ...quiet,
  trainer: 'logistic',
  size: 58,
  settings: { schedule: 'random-pairs', rounds: 100, localSteps: 1, learningRate: 0.1 },
};

/** Scenarios by name; each runs in a process of its own, so that memory is its own too. */
const CASES: Readonly<Record<string, Record<string, unknown>>> = {
  'protocol, 10,000 peers, ring': {
    ...quiet,
    peers: 10_000,
    size: 100,
    settings: { rounds: 10, schedule: 'ring', retryMs: 1000 },
  },
  'protocol, 10,000 peers, fresh 4-regular': {
    ...quiet,
    peers: 10_000,
    size: 100,
    settings: { rounds: 10, degree: 4, retryMs: 1000 },
  },
  // 4,601 points of 57 features and a bias, as in spambase, dealt to the peers; one neighbour a round, at random.
  'logistic regression, 100 peers': {
    ...spambase,
    peers: 100,
    samples: 46,
    settings: { ...spambase.settings, rounds: 1000 },
  },
  'logistic regression, 1,000 peers': { ...spambase, peers: 1000, samples: 5 },
  'adapters of 700,000 numbers, 1,000 peers': {
    ...quiet,
    peers: 1000,
    size: 700_000,
    settings: { rounds: 2, degree: 4, codec: 'int8', retryMs: 60_000, roundDeadlineMs: 60_000 },
  },
  // What is held after a hundred rounds and after a thousand.
  '100 rounds, 100 peers': { ...quiet, peers: 100, size: 100, settings: { rounds: 100, degree: 4, retryMs: 1000 } },
  '1,000 rounds, 100 peers': { ...quiet, peers: 100, size: 100, settings: { rounds: 1000, degree: 4, retryMs: 1000 } },
};

/** Large pages for large vectors: a sixth off the time of adapters of megabytes, on Linux. */
const GLIBC_TUNABLES = 'glibc.malloc.hugetlb=1';

export async function benchSimulation(): Promise<unknown> {
  const cases: Record<string, unknown> = {};
  for (const name of Object.keys(CASES)) {
    const child = fork(fileURLToPath(import.meta.url), [name], {
      execArgv: ['--expose-gc', '--max-old-space-size=16000'],
      env: { ...process.env, GLIBC_TUNABLES },
    });
    const [[result], [code]] = await Promise.all([once(child, 'message'), once(child, 'exit')]);
    if (code !== 0) throw new Error(`${name}: exit ${code}`);
    cases[name] = result;
  }
  return { machine: machine(), environment: { GLIBC_TUNABLES }, cases };
}

/** One case. */
async function runCase(name: string): Promise<void> {
  const given = CASES[name]!;
  const [run] = readScenario({ name: 'bench', seeds: [1], ...given }, name).runs;
  const before = process.memoryUsage().rss;
  const { world, result } = await simulate(run!, { measure: false });
  const { peers } = run!.scenario;
  const { rounds } = run!.settings;
  global.gc?.();
  const held = process.memoryUsage();
  process.send!({
    peers,
    rounds,
    finished: result.finished,
    seconds: round(result.seconds),
    peerRoundsASecond: Math.round((peers * rounds) / result.seconds),
    secondsARound: round(result.seconds / rounds),
    frames: world.traffic().frames,
    peakMbAPeer: round((process.resourceUsage().maxRSS * 1024 - before) / peers / 2 ** 20),
    heldMb: round((held.heapUsed + held.external) / 2 ** 20),
    trace: result.trace,
  });
}

if (process.send && process.argv[1] === fileURLToPath(import.meta.url)) await runCase(process.argv[2]!);
