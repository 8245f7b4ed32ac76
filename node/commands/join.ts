/** @file `lorikeet join`: fetches the run from whoever invited, checks it against the invite, and takes part. */
import { UserError } from '../errors.ts';
import { fetchRun, generateKey } from '../host.ts';
import { type Invite, parseInvite } from '../invite.ts';
import type { Store } from '../store.ts';
import { checkSettings, openRun } from '../train/run.ts';
import type { Flags } from './flags.ts';
import { readTexts, runPeer, startTrainer, withState } from './peer.ts';

export async function join(text: string, flags: Flags, given: Readonly<Record<string, unknown>>): Promise<void> {
  const invite = parseInvite(text);
  await withState(flags, async (prepared) => {
    const known = prepared.store.readRun();
    const settings = known?.settings ?? (await fetchSettings(invite, prepared.store));
    const run = await openRun(checkSettings({ ...settings, ...given }, 'join'));
    if (run.runId !== invite.runId) {
      const where = known ? `${prepared.store.folder} holds run ${run.runId}` : `the peer describes run ${run.runId}`;
      throw new UserError(
        'incompatible',
        `invite: is for run ${invite.runId}, ${where}; ask for a fresh invite or choose another --state`,
      );
    }
    const texts = readTexts(flags, prepared, run);
    const trainer = await startTrainer(flags, run);
    try {
      if (trainer.notice) prepared.display.note(trainer.notice);
      await runPeer(flags, prepared, {
        run,
        trainer,
        texts,
        saved: { settings: run.settings, port: known?.port ?? 0, bootstrap: invite.addresses },
      });
    } finally {
      await trainer.stop();
    }
  });
}

async function fetchSettings(invite: Invite, store: Store): Promise<Record<string, unknown>> {
  const key = await store.key(() => generateKey());
  const described = await fetchRun({ key, addresses: invite.addresses, runId: invite.runId });
  try {
    return JSON.parse(described) as Record<string, unknown>;
  } catch {
    throw new UserError(
      'incompatible',
      'invite: the peer describes its run in another way; use the same version of lorikeet',
    );
  }
}
