/** @file The process of attackers: does one attack of the table after the other, each until it is told to stop, and says what it has done. */
import { setMaxListeners } from 'node:events';
import { setPriority } from 'node:os';
import type { Done, Target } from './attack.ts';
import { ATTACKS } from './table.ts';

export type Order =
  | { readonly type: 'start'; readonly name: string; readonly target: Target }
  | { readonly type: 'stop' };

export type Report =
  | { readonly type: 'ready' | 'began' }
  | { readonly type: 'done'; readonly done: Done }
  | { readonly type: 'failed'; readonly problem: string };

if (process.send) {
  let stopping = new AbortController();
  const tell = (report: Report): void => {
    if (process.connected) process.send!(report);
  };
  // Who attacks brings a machine of its own, and here takes what the honest leave.
  if (process.argv[2] === 'gently') setPriority(19);
  process.on('disconnect', () => process.exit());
  // Connections that the other side cuts are what this process is about.
  process.on('uncaughtException', () => {});
  process.on('unhandledRejection', () => {});
  process.on('message', (order: Order) => {
    if (order.type === 'stop') return stopping.abort();
    stopping = new AbortController();
    setMaxListeners(0, stopping.signal);
    ATTACKS[order.name]!.run(order.target, stopping.signal, () => tell({ type: 'began' })).then(
      (done) => tell({ type: 'done', done }),
      (error: Error) => tell({ type: 'failed', problem: error.message }),
    );
  });
  tell({ type: 'ready' });
}
