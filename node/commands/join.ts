/** @file `lorikeet join`: fetches the run from whoever invited, checks it against the invite, and takes part. */
import { existsSync } from 'node:fs';
import { CODECS, decode } from '../../protocol/codec.ts';
import type { RunSettings } from '../../protocol/config.ts';
import { SETTINGS } from '../../protocol/settings.ts';
import { hostBeside, idIn, mergeAddresses } from '../addresses.ts';
import { isExpired } from '../admission/ticket.ts';
import { openBase } from '../checkpoint/base.ts';
import { listCached } from '../checkpoint/cache.ts';
import { cacheFolder } from '../checkpoint/environment.ts';
import { readModelName } from '../checkpoint/names.ts';
import { BUNDLED } from '../checkpoint/places.ts';
import type { Display } from '../display.ts';
import { UserError } from '../errors.ts';
import { askingBy, formatInvite, type Invite, parseInvite } from '../invite.ts';
import { checkSettings, isOfRun, openRun, type Run, runIdOf, startFrom } from '../train/run.ts';
import { type Beginning, openSaved } from './begin.ts';
import { type Flags, integerFlag, WAIT_SECONDS } from './flags.ts';
import { type Prepared, preparePeer, readPeerTexts } from './prepare.ts';
import { provideBase } from './provide.ts';

export async function join(
  words: readonly string[],
  options: Flags,
  given: Readonly<Record<string, unknown>>,
): Promise<void> {
  const invite = await givenInvite(words, options);
  const flags: Flags = { host: hostBeside(invite.addresses), ...options };
  const prepared = preparePeer(flags);
  const beginning = await joinRun(invite, prepared, { flags, given });
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

/** The invite of the command line, or of the file where somebody leaves it. */
async function givenInvite(words: readonly string[], { inviteFile, wait }: Flags): Promise<Invite> {
  if (typeof inviteFile === 'string' && words.length === 0) {
    const { waitForInvite } = await import('../invite-file.ts');
    return waitForInvite(inviteFile, integerFlag({ wait: wait ?? String(WAIT_SECONDS) }, 'wait', 0, 1_000_000));
  }
  const invite = parseInvite(words.join(' '));
  refuseOdd(words, invite);
  return invite;
}

/** The run of an invite: as the state holds it, else as the inviter describes it. A state whose run is over may go on as another. */
async function joinRun(
  invite: Invite,
  { saved, folder, isOver, display }: Prepared,
  { flags, given }: { flags: Flags; given: Readonly<Record<string, unknown>> },
): Promise<Beginning> {
  const held = saved ? runIdOf(saved.settings) : null;
  if (saved && held !== invite.runId && !isOver)
    throw new UserError(
      'incompatible',
      `invite: is for run ${invite.runId}, ${folder} holds run ${held}; ask for a fresh invite or choose another --state`,
    );
  if (saved && held === invite.runId) {
    const { follows, earlierRounds } = saved;
    return { run: await openSaved({ saved, folder }, given), isBack: true, follows, earlierRounds };
  }
  if (invite.ticket && isExpired(invite.ticket.pass, Date.now()))
    throw new UserError(
      'incompatible',
      `invite: expired on ${new Date(invite.ticket.pass.expires * 1000).toISOString()}; ask a member for another: "lorikeet invite"`,
    );
  const fetched = checkSettings({ ...(await fetchSettings(invite)), ...given }, 'join');
  const base = await findBase(fetched, { isNamed: given.base !== undefined, flags, display });
  const bare = await openRun({ ...fetched, base });
  if (bare.runId !== invite.runId)
    throw new UserError(
      'incompatible',
      `invite: is for run ${invite.runId}, the peer describes run ${bare.runId}; ask for a fresh invite or choose another --state`,
    );
  if (held) display.note(`${folder}: run ${held} is over; its place is taken by run ${bare.runId}`);
  const run = bare.start ? bare : startFrom(bare, await fetchAdapter(invite, bare, display));
  return { run, isBack: false, follows: held, earlierRounds: 0 };
}

/**
 * Sees to it that the base can be opened, and gives its name here. What another machine calls a path is none here: the base is
 * known by its hash.
 */
async function findBase({ base, baseHash }: RunSettings, how: Parameters<typeof provideBase>[1]): Promise<string> {
  const isName = base === BUNDLED || (!existsSync(base) && readModelName(base) !== null);
  if (how.isNamed || isName) {
    await provideBase(base, how);
    return base;
  }
  const found = await cachedWith(baseHash);
  if (found) return found;
  throw new UserError(
    'usage',
    `base ${base}: what the run is built on where it was started, and not here; wanted --base with your copy of the same model: a folder, a GGUF file, or its name on the Hub`,
  );
}

/** A model of the cache with this hash; null: none. */
async function cachedWith(sha256: string): Promise<string | null> {
  for (const { name, commit } of listCached(cacheFolder())) {
    const base = commit && (await openBase(`${name}@${commit}`).catch(() => null)); // of another kind, or torn
    if (base && base.sha256 === sha256) return `${name}@${commit}`;
  }
  return null;
}

/** The adapter that a run starts from, from whoever invited. */
async function fetchAdapter(invite: Invite, { initial }: Run, display: Display): Promise<Float32Array> {
  const { fetchStart } = await import('../network/visits.ts');
  const count = initial.length;
  const bytes = await fetchStart({
    ...askingBy(invite),
    bytes: CODECS.f32.size(count),
    onProgress: (done, total) => display.progress('fetching the first adapter', done, total),
  });
  display.close();
  const vector = decode('f32', bytes, count);
  if (vector) return vector;
  throw new UserError('incompatible', 'invite: the peer gave an adapter that is none; ask for a fresh invite');
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

/** Asks so that an invite that leads nowhere leaves nothing behind. */
async function fetchSettings(invite: Invite): Promise<Record<string, unknown>> {
  const { fetchRun } = await import('../network/visits.ts');
  const described = await fetchRun(askingBy(invite));
  try {
    const told = JSON.parse(described) as Record<string, unknown>;
    return Object.fromEntries(Object.entries(told).filter(([name]) => !Object.hasOwn(SETTINGS, name) || isOfRun(name)));
  } catch {
    throw new UserError(
      'incompatible',
      'invite: the peer describes its run in another way; use the same version of lorikeet',
    );
  }
}
