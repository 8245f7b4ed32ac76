/** @file `lorikeet join`: fetches the run from whoever invited, checks it against the invite, and takes part. */
import { hostBeside, mergeAddresses } from '../addresses.ts';
import { UserError } from '../errors.ts';
import { fetchRun, generateKey } from '../host.ts';
import { type Invite, parseInvite } from '../invite.ts';
import { checkSettings, openRun } from '../train/run.ts';
import type { Flags } from './flags.ts';
import { preparePeer, readTexts, runPeer } from './peer.ts';

export async function join(text: string, options: Flags, given: Readonly<Record<string, unknown>>): Promise<void> {
  const invite = parseInvite(text);
  const flags: Flags = { host: hostBeside(invite.addresses), ...options };
  const prepared = preparePeer(flags);
  const { saved, folder } = prepared;
  const settings = saved?.settings ?? (await fetchSettings(invite));
  const run = await openRun(checkSettings({ ...settings, ...given }, 'join'));
  if (run.runId !== invite.runId) {
    const where = saved ? `${folder} holds run ${run.runId}` : `the peer describes run ${run.runId}`;
    throw new UserError(
      'incompatible',
      `invite: is for run ${invite.runId}, ${where}; ask for a fresh invite or choose another --state`,
    );
  }
  const bootstrap = mergeAddresses(invite.addresses, saved?.bootstrap ?? []);
  await runPeer(flags, prepared, { bare: run, texts: readTexts(flags, prepared, run), bootstrap });
}

/** Asks with a key of the moment, so that an invite that leads nowhere leaves nothing behind. */
async function fetchSettings(invite: Invite): Promise<Record<string, unknown>> {
  const key = await generateKey();
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
