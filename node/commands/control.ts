/** @file `lorikeet pause`, `resume` and `leave`: what a peer at work is asked to do, over its control socket. */
import { askPeer } from '../control/client.ts';
import { UserError } from '../errors.ts';
import type { Status } from './desk.ts';
import { type Flags, stateFolder } from './flags.ts';

/** Throws a UserError where no peer is at work there. */
export async function control(request: 'pause' | 'resume' | 'leave', flags: Flags): Promise<void> {
  const folder = stateFolder(flags.state);
  const told = (await askPeer(folder, request)) as Status | null;
  if (!told)
    throw new UserError('unreachable', `${folder}: no peer is at work there; "lorikeet status" says what is kept`);
  if (flags.json) return console.log(JSON.stringify({ state: folder, ...told }));
  console.log(`${told.view.id}: ${said(request, told)}`);
}

function said(request: 'pause' | 'resume' | 'leave', { stage, view }: Status): string {
  const isOver = stage !== 'taking part' || view.phase === 'finished';
  switch (request) {
    case 'pause':
      return isOver
        ? 'its run is over; nothing is left to pause'
        : 'paused: what it is at ends, then it takes no part in new rounds, stays connected and answers; "lorikeet resume" goes on';
    case 'resume':
      return 'goes on';
    case 'leave':
      return `leaves at round ${view.round} of ${view.rounds}; its state and its adapter are kept`;
  }
}
