/** @file Tries each back end by a tiny step in a process of its own, and compares its gradient with the CPU's. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Device } from '../engine/device.ts';
import { missingFor } from '../engine/session.ts';
import type { Compute } from '../model/program.ts';
import type { Step } from './step.ts';

type Named = Exclude<Device, 'auto'>;

/** What a device did with the tiny step. */
export interface Try {
  readonly device: Named;
  readonly state:
    | 'works'
    /** It ran, and what it gave is not what the CPU gave. */
    | 'wrong'
    | 'fails'
    /** It was not tried. */
    | 'missing';
  /** Why it is not to be used; null where it works. */
  readonly problem: string | null;
  readonly firstMs: number | null;
  readonly ms: number | null;
  /** Of the gradient against the CPU's, relative; null for the CPU itself. */
  readonly error: number | null;
  readonly nodes: number | null;
  readonly fallen: Readonly<Record<string, number>>;
  readonly peakBytes: number | null;
  /** Whether adapter and moments stay on the device between steps, and the bytes copied for each. */
  readonly keepsState: boolean | null;
  readonly copiedBytes: number | null;
  /** The step in float16 (`--compute f16`); null where it was not tried: on the CPU, which it makes no faster. */
  readonly half: Half | null;
}

/** The step in float16. */
export interface Half {
  /** Why it is not to be asked for; null: it works. */
  readonly problem: string | null;
  readonly ms: number | null;
  readonly error: number | null;
}

/** A gradient further off than this trains something else. */
export const MOST_ERROR = 1e-3;
/** Of float16, which holds 11 bits. */
const MOST_HALF_ERROR = 0.05;
/** For one device: those that compile what they run may need a minute for it. */
const DEADLINE_MS = 180_000;
const MAX_OUTPUT = 256 * 1024 * 1024;
const MAX_PROBLEM = 200;

export interface TryOptions {
  readonly onDone?: (done: Try) => void;
  /** The program that takes the step; it is given base, device, width and a folder. */
  readonly program?: string;
}

/** Tries the devices one after the other, the CPU first. */
export async function tryDevices(base: string, devices: readonly Named[], options: TryOptions = {}): Promise<Try[]> {
  const { onDone = () => {}, program = fileURLToPath(new URL('./step.js', import.meta.url)) } = options;
  const tries: Try[] = [];
  let reference: Step | null = null;
  for (const device of [...devices].sort((a, b) => Number(b === 'cpu') - Number(a === 'cpu'))) {
    const missing = missingFor(device, true);
    const answer = missing ? null : await stepApart(program, base, device, 'f32');
    if (device === 'cpu' && answer && 'loss' in answer) reference = answer;
    const whole = missing ? untried(device, 'missing', missing) : judge(device, answer!, reference);
    const isHalved = device !== 'cpu' && whole.state === 'works';
    const half = isHalved ? judgeHalf(await stepApart(program, base, device, 'f16'), reference) : null;
    const done = { ...whole, half };
    tries.push(done);
    onDone(done);
  }
  return tries;
}

function untried(device: Named, state: 'missing' | 'fails', problem: string): Try {
  return {
    device,
    state,
    problem: problem.slice(0, MAX_PROBLEM),
    firstMs: null,
    ms: null,
    error: null,
    nodes: null,
    fallen: {},
    peakBytes: null,
    keepsState: null,
    copiedBytes: null,
    half: null,
  };
}

function judge(device: Named, answer: Step | { problem: string }, reference: Step | null): Try {
  if ('problem' in answer) return untried(device, 'fails', answer.problem);
  const { firstMs, ms, nodes, fallen, peakBytes, keepsState, copiedBytes } = answer;
  const error = device === 'cpu' || !reference ? null : distance(gradientOf(answer), gradientOf(reference));
  const problem = problemOf(answer, error, MOST_ERROR);
  const measured = { firstMs, ms, error, nodes, fallen, peakBytes, keepsState, copiedBytes };
  return { device, state: problem === null ? 'works' : 'wrong', problem, ...measured, half: null };
}

function judgeHalf(answer: Step | { problem: string }, reference: Step | null): Half {
  if ('problem' in answer) return { problem: answer.problem.slice(0, MAX_PROBLEM), ms: null, error: null };
  const error = reference && distance(gradientOf(answer), gradientOf(reference));
  return { problem: problemOf(answer, error, MOST_HALF_ERROR), ms: answer.ms, error };
}

function problemOf(answer: Step, error: number | null, most: number): string | null {
  if (!Number.isFinite(answer.loss) || !gradientOf(answer).every(Number.isFinite))
    return 'its loss or its gradient is not finite';
  if (error === null || error <= most) return null;
  return `its gradient is ${error.toExponential(1)} off the CPU's; at most ${most} would do`;
}

function gradientOf({ gradient }: Step): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(gradient, 'base64')).buffer);
}

/** ||a - b|| / ||b|| */
function distance(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let [off, norm] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    off += (a[i]! - b[i]!) ** 2;
    norm += b[i]! ** 2;
  }
  return Math.sqrt(off / norm);
}

/** Runs the step in a child process. What the child says beside its answer is kept for where it ends without one. */
async function stepApart(
  program: string,
  base: string,
  device: Named,
  compute: Compute,
): Promise<Step | { problem: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'lorikeet-doctor-'));
  try {
    const { code, signal, out, said, isLate } = await runApart([program, base, device, compute, folder]);
    const answer = answerIn(out);
    if (answer) return answer;
    if (isLate) return { problem: `gave nothing within ${DEADLINE_MS / 1000} s` };
    const how = signal ? `was ended by ${signal}` : `ended with code ${code}`;
    return { problem: `its process ${how}${said ? `: ${said}` : ''}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  /** The first line on stderr that looks like an error. */
  readonly said: string;
  readonly isLate: boolean;
}

function runApart(args: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true });
    let [out, said, isLate] = ['', '', false];
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, DEADLINE_MS);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (out.length + text.length <= MAX_OUTPUT) out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (said.length < 64 * MAX_PROBLEM) said += text;
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const lines = said.split('\n').filter((line) => line.trim() !== '');
      const line = lines.find((each) => /error|fail|terminate|abort/i.test(each)) ?? lines[0] ?? '';
      resolve({ code, signal, out, said: line.trim().slice(0, MAX_PROBLEM), isLate });
    });
  });
}

function answerIn(out: string): Step | { problem: string } | null {
  try {
    return JSON.parse(out) as Step | { problem: string };
  } catch {
    return null;
  }
}
