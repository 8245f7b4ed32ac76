/** @file An invite handed over in a file that both can reach: for containers and jobs, where nobody pastes anything. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeFileAtomic } from './atomic.ts';
import { codeOf, messageOf, UserError } from './errors.ts';
import { type Invite, parseInvite } from './invite.ts';

const LOOK_MS = 500;

/** Writes it whole, for its owner alone: whoever reads it can take part. Throws a UserError where it cannot be written. */
export async function leaveInvite(path: string, invite: string): Promise<void> {
  await writeFileAtomic(path, `${invite}\n`, 0o600).catch((error) => {
    throw new UserError('storage', `--invite-file ${path}: cannot be written (${messageOf(error)}); choose another`);
  });
}

/** Reads it as soon as it is there; 0 seconds: waits for ever. Throws a UserError where it does not come, or is no invite. */
export async function waitForInvite(path: string, seconds: number): Promise<Invite> {
  const end = seconds === 0 ? Number.POSITIVE_INFINITY : performance.now() + 1000 * seconds;
  for (;;) {
    try {
      return parseInvite(readFileSync(path, 'utf8'));
    } catch (error) {
      if (error instanceof UserError) throw error;
      if (codeOf(error) !== 'ENOENT')
        throw new UserError('storage', `--invite-file ${path}: cannot be read (${messageOf(error)})`);
    }
    if (performance.now() >= end)
      throw new UserError(
        'unreachable',
        `--invite-file ${path}: nobody left an invite there in ${seconds} s; start "lorikeet up --invite-file" with the same file, or wait longer with --wait`,
      );
    await sleep(LOOK_MS);
  }
}
