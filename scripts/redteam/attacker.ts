/** @file The process that attacks, as who judges has it. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Done, Target } from './attack.ts';
import type { Order, Report } from './hostile.ts';
import type { Place } from './places.ts';

export interface Attacker {
  readonly gently: boolean;
  /** Begins an attack; resolves at its first blow. */
  start(name: string, target: Target): Promise<void>;
  /** Ends it; resolves to what was done. */
  stop(): Promise<Done>;
  kill(): void;
}

/** How long it may take to begin or to end (ms). */
const PATIENCE_MS = 120_000;

/** Starts the process; it does one attack at a time, and `gently` where times are measured. */
export async function createAttacker({ by }: Place, gently: boolean): Promise<Attacker> {
  const [command, ...words] = [...by, process.execPath, fileURLToPath(new URL('./hostile.js', import.meta.url))];
  if (gently) words.push('gently');
  const child = spawn(command!, words, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const heard = (type: Report['type']): Promise<Report> =>
    new Promise((resolve, reject) => {
      const end = (act: () => void): void => {
        clearTimeout(timer);
        child.off('message', hear);
        child.off('exit', gone);
        act();
      };
      const hear = (report: Report): void => {
        if (report.type === type) end(() => resolve(report));
        else if (report.type === 'failed') end(() => reject(new Error(`the attacker failed: ${report.problem}`)));
      };
      const gone = (): void => end(() => reject(new Error('the attacker has ended')));
      const timer = setTimeout(() => end(() => reject(new Error(`the attacker is not ${type}`))), PATIENCE_MS);
      child.on('message', hear);
      child.on('exit', gone);
    });
  const order = (given: Order): void => {
    if (child.connected) child.send(given);
  };
  await heard('ready');
  return {
    gently,
    start: async (name, target) => {
      const began = heard('began');
      order({ type: 'start', name, target });
      await began;
    },
    stop: async () => {
      const done = heard('done');
      order({ type: 'stop' });
      return ((await done) as Extract<Report, { type: 'done' }>).done;
    },
    kill: () => child.kill('SIGKILL'),
  };
}
