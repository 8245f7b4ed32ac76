/** @file How benches measure: jobs in turn in one run, medians. */
import { cpus } from 'node:os';

export interface BenchOptions {
  readonly peers: number;
  /** Times each thing is measured. */
  readonly rounds: number;
  /** The only one of several shapes. */
  readonly shape?: string;
  /** A file of texts whose lengths are measured with. */
  readonly data?: string;
  /** The model to measure, in place of one of random weights. */
  readonly base?: string;
}

/** Runs the jobs in turn, `rounds` times after two that do not count; gives each job's times in ms. */
export async function interleave(jobs: readonly (() => Promise<unknown>)[], rounds: number): Promise<number[][]> {
  const times: number[][] = jobs.map(() => []);
  for (let round = -2; round < rounds; round++) {
    for (const [i, job] of jobs.entries()) {
      const began = performance.now();
      await job();
      if (round >= 0) times[i]!.push(performance.now() - began);
    }
  }
  return times;
}

export function median(xs: readonly number[]): number {
  return [...xs].sort((a, b) => a - b)[Math.floor(xs.length / 2)]!;
}

export function round(x: number): number {
  return Number(x.toFixed(3));
}

/** What a figure was measured on. */
export function machine(): Record<string, unknown> {
  return { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version };
}
