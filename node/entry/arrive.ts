/** @file The run of an invite: asked for, checked against it, and opened; or as the state holds it already. */
import { existsSync } from 'node:fs';
import { CODECS, decode } from '../../protocol/codec.ts';
import type { RunSettings } from '../../protocol/config.ts';
import { SETTINGS } from '../../protocol/settings.ts';
import { isExpired } from '../admission/ticket.ts';
import { openBase } from '../checkpoint/base.ts';
import { listCached } from '../checkpoint/cache.ts';
import { cacheFolder } from '../checkpoint/environment.ts';
import { readModelName } from '../checkpoint/names.ts';
import { BUNDLED } from '../checkpoint/places.ts';
import { UserError } from '../errors.ts';
import { askingBy, type Invite } from '../invite.ts';
import type { fetchRun, fetchStart } from '../network/visits.ts';
import { checkSettings, isOfRun, openRun, type Run, runIdOf, startFrom } from '../train/run.ts';
import { type Beginning, openSaved, type StateFolder } from './begin.ts';

/** How whoever invited is asked. */
export interface Visits {
  readonly fetchRun: typeof fetchRun;
  readonly fetchStart: typeof fetchStart;
}

/** What the run of an invite is opened with. */
export interface Arrival {
  /** Settings of this peer's own. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly visits: Visits;
  /** Sees to it that a base is on this machine. */
  readonly provide: (base: string, how: { readonly isNamed: boolean }) => Promise<void>;
  readonly note: (line: string) => void;
  /** Bytes of the adapter that the run starts from. */
  readonly onProgress: (done: number, total: number) => void;
}

/** The run of an invite: as the state holds it, else as the inviter describes it. A state whose run is over may go on as another. */
export async function joinRun(
  invite: Invite,
  { saved, folder, isOver }: StateFolder,
  arrival: Arrival,
): Promise<Beginning> {
  const { given, note } = arrival;
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
  const fetched = checkSettings({ ...(await fetchSettings(invite, arrival)), ...given }, 'join');
  const base = await findBase(fetched, given.base !== undefined, arrival);
  const bare = await openRun({ ...fetched, base });
  if (bare.runId !== invite.runId)
    throw new UserError(
      'incompatible',
      `invite: is for run ${invite.runId}, the peer describes run ${bare.runId}; ask for a fresh invite or choose another --state`,
    );
  if (held) note(`${folder}: run ${held} is over; its place is taken by run ${bare.runId}`);
  const run = bare.start ? bare : startFrom(bare, await fetchAdapter(invite, bare, arrival));
  return { run, isBack: false, follows: held, earlierRounds: 0 };
}

/**
 * Sees to it that the base can be opened, and gives its name here. What another machine calls a path is none here: the base is
 * known by its hash.
 */
async function findBase({ base, baseHash }: RunSettings, isNamed: boolean, { provide }: Arrival): Promise<string> {
  const isName = base === BUNDLED || (!existsSync(base) && readModelName(base) !== null);
  if (isNamed || isName) {
    await provide(base, { isNamed });
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
async function fetchAdapter(invite: Invite, { initial }: Run, { visits, onProgress }: Arrival): Promise<Float32Array> {
  const count = initial.length;
  const bytes = await visits.fetchStart({ ...askingBy(invite), bytes: CODECS.f32.size(count), onProgress });
  const vector = decode('f32', bytes, count);
  if (vector) return vector;
  throw new UserError('incompatible', 'invite: the peer gave an adapter that is none; ask for a fresh invite');
}

/** Asks so that an invite that leads nowhere leaves nothing behind. */
async function fetchSettings(invite: Invite, { visits }: Arrival): Promise<Record<string, unknown>> {
  const described = await visits.fetchRun(askingBy(invite));
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
