/** @file What the page can ask of a peer that takes part in a run. */
import { addVerdict } from '../admission/bans.ts';
import type { InviteAnswer } from '../page/answers.ts';
import type { Participant } from '../participant.ts';
import type { Run } from '../train/run.ts';
import { adapterActions } from './adapter.ts';
import type { Notes } from './notes.ts';
import type { Actions } from './server.ts';
import { textActions, textOf } from './texts.ts';

/** `folder` is its state; `invite` gives the invite as it is now. */
export function peerActions({
  participant,
  folder,
  invite,
  run,
  notes,
}: {
  participant: Participant;
  folder: string;
  invite: () => string;
  run: Run;
  /** Null where nothing is classified. */
  notes: Notes | null;
}): Actions {
  const judge =
    (verdict: 'ban' | 'allow') =>
    async ({ id }: Readonly<Record<string, unknown>>): Promise<void> =>
      addVerdict(folder, textOf(id, 'id'), { verdict, tell: false });
  return {
    ...adapterActions({ participant, run, folder, texts: notes?.texts ?? null }),
    ...(notes ? textActions(notes, participant) : {}),
    ban: judge('ban'),
    allow: judge('allow'),
    invite: async (): Promise<InviteAnswer> => {
      const pass = participant.ticket?.pass;
      return {
        invite: invite(),
        uses: pass?.uses ?? null,
        taken: participant.placesTaken(),
        expires: pass?.expires ? pass.expires * 1000 : null,
      };
    },
  };
}
