/** @file `lorikeet up`: starts a run, measures its label prior, prints the invite; started again, goes on. */
import { generateKey, ownIdOf } from '../admission/identity.ts';
import { type Beginning, beginRun } from '../entry/begin.ts';
import { counted } from '../figures.ts';
import { peekKey } from '../store.ts';
import { checkSettings, isOfRun, type Run } from '../train/run.ts';
import type { Flags } from './flags.ts';
import { preparePeer, readPeerTexts } from './prepare.ts';
import { provideBase } from './provide.ts';

/** What an open run is. */
const OPEN =
  'open run: whoever can connect takes part, under as many names as it likes, so a stranger may outnumber you; leave --open out to let in only who holds an invite';

type Given = Readonly<Record<string, unknown>>;

/** `standing` names the settings that nobody has asked for here and now: a run that has begun keeps what it began with. */
export async function up(options: Flags, settings: Given, standing: readonly string[] = []): Promise<void> {
  const flags: Flags = { host: '127.0.0.1', ...options };
  const isAsked = ([name]: [string, unknown]): boolean => !standing.includes(name) || !isOfRun(name);
  const asked: Given = Object.fromEntries(Object.entries(settings).filter(isAsked));
  const prepared = preparePeer(flags, asked.objective, settings.objective);
  const given = prepared.saved ? asked : settings;
  const check = (all: Given): Run['settings'] => checkSettings(all, 'up');
  const named = given.base ?? prepared.saved?.settings.base;
  if (named !== undefined) await provideBase(String(named), { isNamed: true, flags, display: prepared.display });
  const key = peekKey(prepared.folder, prepared.display.note) ?? (await generateKey());
  const founder = flags.open ? '' : ownIdOf(key, prepared.folder);
  const from = flags.from === undefined ? null : String(flags.from);
  const beginning = await beginRun(prepared, { wanted: given, from, note: prepared.display.note, founder, check });
  const { run, isBack } = beginning;
  const { saved, folder, display } = prepared;
  if (run.settings.founder === '') display.note(OPEN);
  if (saved && !isBack) display.note(`${folder}: run ${beginning.follows} is over; ${plan(beginning)}`);
  const { runPeer } = await import('./peer.ts');
  await runPeer(flags, prepared, {
    ...beginning,
    texts: readPeerTexts(flags, prepared, run),
    key,
    ticket: null,
    bootstrap: saved && isBack ? saved.bootstrap : [],
    inviters: [],
  });
}

function plan({ run, earlierRounds }: Beginning): string {
  const { rounds } = run.settings;
  if (run.given === null) return 'another begins';
  const from = earlierRounds > 0 ? 'its adapter' : 'the adapter given';
  return `another goes on from ${from} for ${counted(rounds, earlierRounds > 0 ? 'more round' : 'round')}`;
}
