/** @file `--detach`: the same command in a process of its own, which goes on when its terminal closes; this one waits until it is up. */
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { table } from '../display.ts';
import { EXIT } from '../errors.ts';
import { type Flags, interruptSignal } from './flags.ts';

/** What a peer tells once others can join it. */
interface Ready {
  /** Null where it is several peers of one file. */
  readonly state: string | null;
  readonly invite: string;
}

/** Whether this command is to go on in another process, and is not that one itself. */
export function isToDetach(flags: Flags): boolean {
  return flags.detach === true && process.send === undefined;
}

/** Tells the process that has begun this one, where there is one, that it need not wait any longer. Whether there was one. */
export function tellReady(ready: Ready): boolean {
  if (!process.connected || !process.send) return false;
  process.send(ready, () => process.disconnect());
  return true;
}

/**
 * Begins this command once more, away from the terminal, and prints invite, state and process once it is up. What it says until
 * then is said here; where it ends before, so does this, with the same exit code.
 */
export async function detach(flags: Flags): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'lorikeet-'));
  const said = join(folder, 'said');
  const out = openSync(said, 'w', 0o600);
  const interrupt = interruptSignal(() => child.kill('SIGTERM'));
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: ['ignore', 'ignore', out, 'ipc'],
    detached: true,
  });
  try {
    const ended = new Promise<number>((resolve) => {
      child.on('error', () => resolve(EXIT.bug)).on('close', (code) => resolve(code ?? EXIT.interrupted));
    });
    const ready = await Promise.race([
      new Promise<Ready>((resolve) => child.once('message', (told) => resolve(told as Ready))),
      ended,
    ]);
    process.stderr.write(readFileSync(said));
    if (typeof ready === 'number') {
      process.exitCode = ready;
      return;
    }
    child.unref();
    const { state, invite } = ready;
    if (flags.json) return console.log(JSON.stringify({ pid: child.pid, state, invite }));
    const rows = [['process', String(child.pid)], ...(state === null ? [] : [['state', state]]), ['invite', invite]];
    console.log(table(rows, 'left').join('\n'));
    if (state !== null)
      console.error(`in the background: "lorikeet logs -f --state ${state}" tells what it does, "leave" ends it`);
  } finally {
    interrupt.dispose();
    closeSync(out);
    rmSync(folder, { recursive: true, force: true });
  }
}
