/** @file A Slurm cluster of one node, this machine, in a folder of its own, with ports of its own, for as long as it is used. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Cluster {
  /** Runs one of Slurm's commands; gives what it prints. Throws where it fails. */
  slurm(command: string, ...args: string[]): string;
  /** Hands in a job from `folder`; gives its number. */
  submit(folder: string, ...args: string[]): string;
  /** Resolves when no task of the job is left; throws where one has failed. */
  finished(job: string): Promise<void>;
  /** The state of each task that Slurm still knows of, by its number. */
  tasks(job: string): ReadonlyMap<string, string>;
  stop(): Promise<void>;
}

/** What has to be installed: Debian's slurm-wlm and munge. */
const DAEMONS = ['munged', 'slurmctld', 'slurmd'] as const;
/** More than this machine has, so that tasks overlap. */
const CPUS = 4;
const DEADLINE_MS = 30_000;

/** Which of the programs that a cluster needs are not here. */
export function missingDaemons(): readonly string[] {
  return DAEMONS.filter((name) => {
    try {
      execFileSync('which', [name], { env: withSbin(), stdio: 'ignore' });
      return false;
    } catch {
      return true;
    }
  });
}

/** Starts it in an empty folder, as root. Throws where it does not come up. */
export async function startCluster(folder: string): Promise<Cluster> {
  for (const name of ['munge', 'state', 'spool']) mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
  const munge = (file: string): string => join(folder, 'munge', file);
  writeFileSync(munge('key'), randomBytes(1024), { mode: 0o400 });
  const conf = join(folder, 'slurm.conf');
  writeFileSync(conf, configuration(folder, munge('socket'), [await freePort(), await freePort()]));
  const env = { ...withSbin(), SLURM_CONF: conf };
  const daemons: ChildProcess[] = [];
  const begin = (command: string, ...args: string[]): void => {
    daemons.push(spawn(command, args, { env, stdio: 'ignore' }));
  };
  const slurm = (command: string, ...args: string[]): string =>
    execFileSync(command, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const files = Object.entries({
    socket: 'socket',
    'key-file': 'key',
    'pid-file': 'pid',
    'log-file': 'log',
    'seed-file': 'seed',
  });
  begin('munged', '--foreground', '--force', ...files.map(([option, file]) => `--${option}=${munge(file)}`));
  await sleep(500);
  begin('slurmctld', '-D');
  begin('slurmd', '-D');
  const stop = async (): Promise<void> => {
    for (const daemon of [...daemons].reverse()) {
      const over = new Promise((resolve) => daemon.once('exit', resolve));
      if (daemon.exitCode !== null || daemon.signalCode !== null || !daemon.kill()) continue;
      await Promise.race([over, sleep(5000)]);
      daemon.kill('SIGKILL');
    }
  };
  try {
    await until(() => /idle/.test(tryTo(() => slurm('sinfo', '-h', '-o', '%T'))), 'the node is idle');
  } catch (error) {
    await stop();
    throw new Error(
      `${(error as Error).message}\n${tryTo(() => readFileSync(join(folder, 'ctld.log'), 'utf8')).slice(-2000)}`,
    );
  }
  const failed = new Map<string, string>();
  const tasks = (job: string): Map<string, string> => {
    // A job that is over is forgotten after a while.
    const lines = tryTo(() => slurm('squeue', '-h', '-r', '-t', 'all', '-j', job, '-o', '%K %T'))
      .trim()
      .split('\n');
    const found = new Map(lines.filter(Boolean).map((line) => line.split(' ') as [string, string]));
    for (const [task, state] of found) if (/FAIL|CANCEL|TIMEOUT|MEMORY/.test(state)) failed.set(task, state);
    return found;
  };
  return {
    slurm,
    submit: (cwd, ...args) => execFileSync('sbatch', ['--parsable', ...args], { env, cwd, encoding: 'utf8' }).trim(),
    tasks,
    finished: async (job) => {
      for (;;) {
        const open = [...tasks(job).values()].filter((state) => state !== 'COMPLETED');
        if (failed.size > 0)
          throw new Error(`job ${job}: tasks ${[...failed].map((pair) => pair.join(' ')).join(', ')}`);
        if (open.length === 0) return;
        await sleep(500);
      }
    },
    stop,
  };
}

function configuration(folder: string, socket: string, [controller, node]: readonly [number, number]): string {
  const name = hostname().split('.')[0];
  const settings = {
    ClusterName: 'lorikeet',
    SlurmctldHost: `${name}(127.0.0.1)`,
    SlurmctldPort: controller,
    SlurmdPort: node,
    AuthType: 'auth/munge',
    // A task that is put back waits as long as this, two minutes otherwise.
    AuthInfo: `socket=${socket},cred_expire=10`,
    SlurmUser: 'root',
    SlurmdUser: 'root',
    StateSaveLocation: join(folder, 'state'),
    SlurmdSpoolDir: join(folder, 'spool'),
    SlurmctldPidFile: join(folder, 'ctld.pid'),
    SlurmdPidFile: join(folder, 'd.pid'),
    SlurmctldLogFile: join(folder, 'ctld.log'),
    SlurmdLogFile: join(folder, 'd.log'),
    ProctrackType: 'proctrack/pgid',
    TaskPlugin: 'task/none',
    JobAcctGatherType: 'jobacct_gather/none',
    SelectType: 'select/cons_tres',
    SelectTypeParameters: 'CR_CPU',
    MpiDefault: 'none',
    ReturnToService: 2,
    SlurmdParameters: 'config_overrides',
    SchedulerParameters: 'sched_interval=1,sched_min_interval=0,bf_interval=1',
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
  return [
    ...lines,
    `NodeName=${name} NodeAddr=127.0.0.1 CPUs=${CPUS} RealMemory=${CPUS * 4096} State=UNKNOWN`,
    `PartitionName=all Nodes=${name} Default=YES MaxTime=INFINITE State=UP`,
    '',
  ].join('\n');
}

function withSbin(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`waited ${DEADLINE_MS / 1000} s in vain until ${what}`);
    await sleep(200);
  }
}

function tryTo(act: () => string): string {
  try {
    return act();
  } catch {
    return '';
  }
}
