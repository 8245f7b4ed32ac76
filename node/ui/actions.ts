/** @file What the page can ask of a peer that takes part in a run. */
import { addVerdict } from '../admission/bans.ts';
import { UserError } from '../errors.ts';
import type { Participant } from '../participant.ts';
import type { Actions } from './server.ts';

/** `folder` is its state; `invite` gives the invite as it is now. */
export function peerActions({
  participant,
  folder,
  invite,
}: {
  participant: Participant;
  folder: string;
  invite: () => string;
}): Actions {
  const judge =
    (verdict: 'ban' | 'allow') =>
    async ({ id }: Readonly<Record<string, unknown>>): Promise<void> =>
      addVerdict(folder, textOf(id, 'id'), { verdict, tell: false });
  return {
    ban: judge('ban'),
    allow: judge('allow'),
    invite: async () => {
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

function textOf(value: unknown, name: string): string {
  if (typeof value === 'string') return value;
  throw new UserError('usage', `${name}: got ${JSON.stringify(value)}; wanted text`);
}
