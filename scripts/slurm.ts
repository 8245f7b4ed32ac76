/**
 * @file `npm run slurm`: sets up a Slurm cluster of one node and sees that what sim/cluster says of it is so: a sweep and an
 * experiment in arrays, of which one task is killed and requeued, give the report of one machine byte for byte, and a swarm of
 * real peers finds together. Needs Debian's slurm-wlm and munge, and root.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { UserError } from '../node/errors.ts';
import { packageRoot } from '../node/package.ts';
import { readArguments, refuse, type Usage } from './arguments.ts';
import { type Cluster, missingDaemons, startCluster } from './slurm/cluster.ts';

const USAGE: Usage = {
  name: 'slurm',
  about: 'Runs sweeps, an experiment and a swarm on a Slurm cluster of one node, which it sets up and takes away.',
  options: {},
  examples: [''],
};
const MAIN = fileURLToPath(new URL('../node/main.js', import.meta.url));
const SHARDS = 4;

const SWEEP = `name: sweep
about: What a cluster is tried on.
size: 20
trainMs: [50, 60]
latencyMs: [5, 10]
seeds: [1, 2, 3, 4]
settings: { rounds: 200 }
points:
  - { peers: 16, schedule: ring, redraw: off }
  - { peers: 32, schedule: torus, redraw: off }
  - { peers: 32, schedule: random-regular }
`;

const EXPERIMENT = `name: tried
data: files
files: [1.tsv, 2.tsv]
developmentFile: 3.tsv
testFile: 4.tsv
seeds: [1, 2]
settings: { rounds: 2, localSteps: 2 }
methods: [zero-shot, alone, lp-fl-gold]
`;

async function main(): Promise<void> {
  readArguments(USAGE);
  const missing = missingDaemons();
  if (missing.length > 0 || process.getuid?.() !== 0)
    throw new UserError('usage', `needs root and ${missing.join(', ') || 'nothing else'} (Debian: slurm-wlm, munge)`);
  const folder = mkdtempSync(join(tmpdir(), 'lorikeet-slurm-'));
  process.env.LORIKEET = `${process.execPath} ${MAIN}`;
  const cluster = await startCluster(join(folder, 'cluster'));
  try {
    console.log(`Slurm ${cluster.slurm('sinfo', '--version').trim().split(' ')[1]}, one node`);
    await tryArray(cluster, folder, { command: 'sim', name: 'sweep', text: SWEEP });
    await tryArray(cluster, folder, { command: 'experiment', name: 'tried', text: EXPERIMENT });
    await trySwarm(cluster, join(folder, 'swarm'));
  } finally {
    await cluster.stop();
  }
  rmSync(folder, { recursive: true });
}

/** An array whose second task is killed and put back, beside the same on one machine. */
async function tryArray(
  cluster: Cluster,
  root: string,
  { command, name, text }: { command: 'sim' | 'experiment'; name: string; text: string },
): Promise<void> {
  const folder = join(root, name);
  writeTexts(folder);
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, text);
  lorikeet(folder, command, file, '--out', 'whole');
  const script = join(packageRoot(), 'sim/cluster/slurm.sh');
  const options = [`--array=1-${SHARDS}`, `--export=ALL,LORIKEET_COMMAND=${command}`];
  const job = cluster.submit(folder, ...options, script, file, 'out');
  await untilRunning(cluster, job, '2');
  cluster.slurm('scontrol', 'requeue', `${job}_2`);
  await cluster.finished(job);
  const shards = readdirSync(join(folder, 'out')).filter((shard) => shard.startsWith('shard-'));
  const parts = shards.length > 0 ? shards.map((shard) => join('out', shard)) : ['out'];
  lorikeet(folder, 'merge', ...parts, '--out', 'merged');
  lorikeet(folder, command, file, '--report', '--out', 'merged');
  for (const kind of ['md', 'html', 'json']) {
    const [whole, merged] = ['whole', 'merged'].map((of) => join(folder, of, `${name}.${kind}`));
    if (!existsSync(whole!)) continue;
    if (!readFileSync(whole!).equals(readFileSync(merged!)))
      throw new Error(`${merged}: is not ${whole}, byte for byte; both are left there`);
    console.log(`${command}: ${SHARDS} tasks, one killed and requeued: ${name}.${kind} is that of one machine`);
  }
}

/** Real peers that find each other by an invite in a shared folder, one of which is killed and put back. */
async function trySwarm(cluster: Cluster, folder: string): Promise<void> {
  writeTexts(join(folder, 'data'));
  const script = join(packageRoot(), 'sim/cluster/swarm.sh');
  const flags = ['--rounds', '30', '--local-steps', '2', '--device', 'cpu', '--anyway'];
  const job = cluster.submit(folder, `--array=1-${SHARDS}`, script, 'data', 'shared', ...flags);
  await untilRunning(cluster, job, '3');
  while (!existsSync(join(folder, 'shared/peer-3/snapshot.bin'))) await sleep(100);
  cluster.slurm('scontrol', 'requeue', `${job}_3`);
  await cluster.finished(job);
  for (let task = 1; task <= SHARDS; task++) {
    const log = readFileSync(join(folder, `lorikeet-swarm-${job}-${task}.log`), 'utf8');
    const result = JSON.parse(
      log
        .trim()
        .split('\n')
        .findLast((line) => line.startsWith('{'))!,
    );
    const mixed = Object.keys(result.mixedWith ?? {}).length;
    if (mixed !== SHARDS - 1)
      throw new Error(`swarm: peer ${task} mixed with ${mixed} others, wanted ${SHARDS - 1}: ${log.slice(-1000)}`);
  }
  console.log(`swarm: ${SHARDS} peers as tasks, one killed and requeued: each has mixed with all others`);
}

/** A file of labelled texts for each task. */
function writeTexts(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (let task = 1; task <= SHARDS; task++) {
    const rows = ['film', 'meal', 'hotel', 'song'].flatMap((thing) => [
      `1\ta great ${thing} ${task}`,
      `0\ta bad ${thing} ${task}`,
    ]);
    writeFileSync(join(folder, `${task}.tsv`), `label\ttext\n${rows.join('\n')}\n`);
  }
}

async function untilRunning(cluster: Cluster, job: string, task: string): Promise<void> {
  while (cluster.tasks(job).get(task) !== 'RUNNING') await sleep(100);
}

function lorikeet(cwd: string, ...args: string[]): void {
  execFileSync(process.execPath, [MAIN, ...args], { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
}

main().catch((error) => refuse(USAGE.name, error));
