/** @file Reads the flags commands share, and turns Ctrl-C into an AbortSignal. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PRECISIONS, type Precision } from '../checkpoint/base.ts';
import { DEVICES, type Device } from '../engine/device.ts';
import { UserError } from '../errors.ts';
import { COMPUTES, type Compute } from '../model/program.ts';
import { onPipeClosed } from '../pipes.ts';

export type Flags = Readonly<Record<string, string | boolean | undefined>>;

/** How long a joiner, or one that comes back, waits for others unless told otherwise (s); who starts a run waits for ever. */
export const WAIT_SECONDS = 300;

/** An integer flag. Throws a UserError outside its bounds. */
export function integerFlag(flags: Flags, name: string, min: number, max: number): number {
  const value = Number(flags[name]);
  if (flags[name] === '' || !Number.isInteger(value) || value < min || value > max) {
    throw new UserError(
      'usage',
      `--${name}: got ${JSON.stringify(flags[name])}; wanted an integer from ${min} to ${max}`,
    );
  }
  return value;
}

/** What a machine computes with, and how. Throws a UserError on a name that is not known. */
export function deviceFlags(flags: Flags): {
  device: Device;
  threads: number;
  basePrecision: Precision;
  compute: Compute;
} {
  const device = DEVICES.find((name) => name === flags.device);
  if (!device)
    throw new UserError('usage', `--device: got ${JSON.stringify(flags.device)}; wanted ${DEVICES.join(' | ')}`);
  const basePrecision = PRECISIONS.find((one) => one === (flags.basePrecision ?? 'f32'));
  if (!basePrecision)
    throw new UserError(
      'usage',
      `--base-precision: got ${JSON.stringify(flags.basePrecision)}; wanted ${PRECISIONS.join(' | ')}`,
    );
  const compute = COMPUTES.find((one) => one === (flags.compute ?? 'f32'));
  if (!compute)
    throw new UserError('usage', `--compute: got ${JSON.stringify(flags.compute)}; wanted ${COMPUTES.join(' | ')}`);
  return { device, threads: integerFlag(flags, 'threads', 0, 1024), basePrecision, compute };
}

/** The state folder that a command means: the one named, or the only one here. */
export function stateFolder(named: Flags[string]): string {
  if (named !== undefined) return String(named);
  const folders = readdirSync('.').filter((name) => name.endsWith('.lorikeet') && existsSync(join(name, 'run.json')));
  if (folders.length === 1) return folders[0]!;
  throw new UserError(
    'usage',
    `--state: ${folders.length === 0 ? 'no *.lorikeet folder here' : `${folders.length} of them here (${folders.join(', ')})`}; name the one that is meant`,
  );
}

/** What asks a process to end. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Aborts on the first Ctrl-C, SIGTERM or SIGHUP (a terminal that closes), and where nobody reads the output any more; a second
 * Ctrl-C or SIGTERM ends the process at once.
 */
export function interruptSignal(onInterrupt: () => void): { signal: AbortSignal; dispose: () => void } {
  const controller = new AbortController();
  const handle = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted && signal === 'SIGHUP') return; // a shell that ends may send it twice
    if (controller.signal.aborted) {
      // The system ends the process, since onnxruntime aborts loudly when it is torn down in the middle of a step.
      process.off(signal, handle);
      process.kill(process.pid, signal);
      return;
    }
    onInterrupt();
    controller.abort();
  };
  for (const name of SIGNALS) process.on(name, handle);
  // What nobody foresaw, wherever it was thrown, ends what is at work as a whole: `throwIfCrashed` tells it from a wish to stop.
  const crash = (error: Error): void => {
    if (!controller.signal.aborted) controller.abort(error);
  };
  process.on('uncaughtException', crash);
  const forget = onPipeClosed(() => controller.abort());
  return {
    signal: controller.signal,
    dispose: () => {
      for (const name of SIGNALS) process.off(name, handle);
      process.off('uncaughtException', crash);
      forget();
    },
  };
}

/** Throws the error that nobody foresaw, where that is why a signal was aborted. */
export function throwIfCrashed(signal: AbortSignal): void {
  const reason: unknown = signal.reason;
  if (reason instanceof Error && reason.name !== 'AbortError') throw reason;
}
