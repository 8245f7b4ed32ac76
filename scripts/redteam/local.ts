/** @file What files, folders and an inviter can do to one that starts: real processes of the command line, each on its own. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { MAIN } from './swarm.ts';

/** An attack on a process that starts; nobody else is hurt. */
export interface Local {
  readonly about: string;
  readonly run: (folder: string, isShort: boolean) => Promise<Found>;
}

export interface Found {
  readonly text: string;
  /** What did not hold; empty: all did. */
  readonly problems: readonly string[];
}

export interface Ran {
  /** Null: it was stopped after its time. */
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  /** Resident at most (MB). */
  readonly peakMb: number;
}

const LOOK_MS = 20;
/** What takes longer is stuck (ms). */
const MOST_MS = 90_000;
const MACHINE = ['--device', 'cpu', '--threads', '1'];

/** Runs `lorikeet ARGS` in a folder to its end, until it has said something, or until the signal. */
export function lorikeet(
  folder: string,
  args: readonly string[],
  { until, signal }: { until?: RegExp; signal?: AbortSignal } = {},
): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args, ...MACHINE], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err, peakMb, isStopped] = ['', '', 0, false];
  const stop = (): void => {
    isStopped = true;
    child.kill('SIGINT');
    setTimeout(() => child.kill('SIGKILL'), 3000).unref();
  };
  const look = (): void => {
    if (until && !isStopped && until.test(out + err)) stop();
  };
  child.stdout.on('data', (chunk) => {
    out += chunk;
    look();
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
    look();
  });
  const watching = setInterval(() => {
    peakMb = Math.max(peakMb, peakOf(child.pid!));
  }, LOOK_MS);
  const timer = setTimeout(stop, MOST_MS);
  signal?.addEventListener('abort', stop, { once: true });
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearInterval(watching);
      clearTimeout(timer);
      resolve({ code: isStopped ? null : code, out, err, peakMb });
    });
  });
}

/** What is wrong with a refusal that should be one line with an exit code. */
export function refusalProblems(what: string, { code, err }: Ran, wanted: number): string[] {
  return [
    ...(code === wanted ? [] : [`${what}: exit code ${code ?? 'none in time'}, wanted ${wanted}`]),
    ...(/\n\s+at .*:\d+:\d+/.test(err) ? [`${what}: a stack was printed`] : []),
  ];
}

/** Resident memory at most so far (MB); 0 where it has gone. */
function peakOf(pid: number): number {
  try {
    return Number(/VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
