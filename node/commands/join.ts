/** @file `lorikeet join`: fetches the run from whoever invited, checks it against the invite, and takes part. */
import { hostBeside, idIn, mergeAddresses } from '../addresses.ts';
import { joinRun } from '../entry/arrive.ts';
import { UserError } from '../errors.ts';
import { durationText } from '../figures.ts';
import { formatInvite, type Invite, parseInvite } from '../invite.ts';
import { calledText } from '../network/ways.ts';
import { reminding } from '../reminder.ts';
import { type Flags, integerFlag, WAIT_SECONDS } from './flags.ts';
import { preparePeer, readPeerTexts } from './prepare.ts';
import { provideBase } from './provide.ts';

export async function join(
  words: readonly string[],
  options: Flags,
  given: Readonly<Record<string, unknown>>,
): Promise<void> {
  const invite = await givenInvite(words, options);
  const flags: Flags = { host: hostBeside(invite.addresses), ...options };
  const prepared = preparePeer(flags);
  const { display } = prepared;
  const visits = await import('../network/visits.ts');
  const beginning = await joinRun(invite, prepared, {
    given,
    visits: {
      ...visits,
      fetchRun: (asking) =>
        reminding(
          display.note,
          () => `asking ${invitersText(invite)} what the run is`,
          () => visits.fetchRun(asking),
          2000,
        ),
    },
    provide: (base, how) => provideBase(base, { ...how, flags, display }),
    note: display.note,
    onProgress: (done, total) => display.progress('fetching the first adapter', done, total),
  });
  display.close();
  const { run } = beginning;
  const { runPeer } = await import('./peer.ts');
  await runPeer(flags, prepared, {
    ...beginning,
    texts: readPeerTexts(flags, prepared, run),
    key: null,
    ticket: invite.ticket,
    bootstrap: mergeAddresses(invite.addresses, beginning.isBack ? prepared.saved!.bootstrap : []),
    // Whoever else it names has only been seen to answer.
    inviters: invite.addresses.slice(0, 1).flatMap((address) => idIn(address) ?? []),
  });
}

function invitersText({ addresses }: Invite): string {
  const ids = [...new Set(addresses.flatMap((address) => idIn(address) ?? []))];
  return ids.map((id) => calledText(id, {})).join(' and ') || 'whoever invited';
}

/** The invite of the command line, of the file where somebody leaves it, or to a run that is seen on this network. */
async function givenInvite(words: readonly string[], flags: Flags): Promise<Invite> {
  const { inviteFile, wait } = flags;
  if (typeof inviteFile === 'string' && words.length === 0) {
    const { waitForInvite } = await import('../invite-file.ts');
    const seconds = integerFlag({ wait: wait ?? String(WAIT_SECONDS) }, 'wait', 0, 1_000_000);
    return reminding(
      console.error,
      (waitedMs) =>
        `waiting for an invite in ${inviteFile}${seconds === 0 ? '' : `, gives up in ${durationText(seconds - waitedMs / 1000)}`}`,
      () => waitForInvite(inviteFile, seconds),
    );
  }
  if (words.length === 0) {
    const { chooseOnLan } = await import('./lan.ts');
    return chooseOnLan(flags);
  }
  const invite = parseInvite(words.join(' '));
  refuseOdd(words, invite);
  return invite;
}

/** A line that was pasted without quotes comes in words: its own are fine, a file that was named beside it is not. */
function refuseOdd(words: readonly string[], invite: Invite): void {
  const first = words.findIndex((word) => /lorikeet\d+:|\/(ip|dns)[46]?\//i.test(word));
  const last = words.findLastIndex((word) => word.includes('#'));
  const own = formatInvite(invite).split('#')[1]!.length;
  const isInside = (i: number): boolean => words.slice(last, i).join('').split('#').pop()!.length < own;
  const odd = words.find((word, i) => {
    if (i < first) return !/^\W*(npx|node|lorikeet|join|\S*main\.js)?$/.test(word);
    return i > last && !/^[0-9a-f]+\W*$/i.test(word) && !(invite.ticket && isInside(i));
  });
  if (odd !== undefined)
    throw new UserError(
      'usage',
      `join: got ${JSON.stringify(odd)} beside the invite; wanted one invite, then options such as --data FILE`,
    );
}
