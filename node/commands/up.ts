/** @file `lorikeet up`: starts a run, measures its label prior, prints the invite; started again, goes on. */
import { parseSettings } from '../../protocol/config.ts';
import { generateKey, ownIdOf } from '../admission/identity.ts';
import { UserError } from '../errors.ts';
import { counted } from '../figures.ts';
import { peekKey } from '../store.ts';
import type { Run } from '../train/run.ts';
import type { YamlFile } from '../yaml.ts';
import { type Beginning, beginRun } from './begin.ts';
import type { Flags } from './flags.ts';
import { preparePeer, readPeerTexts } from './prepare.ts';
import { provideBase } from './provide.ts';

/** What an open run is. */
const OPEN =
  'open run: whoever can connect takes part, under as many names as it likes, so a stranger may outnumber you; leave --open out to let in only who holds an invite';

export async function up(options: Flags, given: Readonly<Record<string, unknown>>): Promise<void> {
  const flags: Flags = { host: '127.0.0.1', ...options };
  const config = await readConfig(flags.config);
  const prepared = preparePeer(flags, given.objective ?? config?.given.objective);
  const check = (all: Readonly<Record<string, unknown>>): Run['settings'] => checkWith(all, given, config);
  const named = given.base ?? config?.given.base ?? prepared.saved?.settings.base;
  if (named !== undefined) await provideBase(String(named), { isNamed: true, flags, display: prepared.display });
  const key = peekKey(prepared.folder, prepared.display.note) ?? (await generateKey());
  const founder = flags.open ? '' : ownIdOf(key, prepared.folder);
  const beginning = await beginRun(flags, prepared, { wanted: { ...config?.given, ...given }, founder, check });
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

/** The file of settings, checked by line; null where there is none. */
async function readConfig(path: string | boolean | undefined): Promise<YamlFile | null> {
  if (typeof path !== 'string') return null;
  const { readYaml } = await import('../yaml.ts');
  const { checkSource } = await import('../source.ts');
  const { SETTINGS_FILE } = await import('../settings.ts');
  const config = readYaml(path, 'YAML of settings, with lines such as "rounds: 12"');
  checkSource(SETTINGS_FILE, config.given, config.source);
  return config;
}

/** Checks settings as a whole; what the file says and no flag changes is refused by its line. */
function checkWith(
  all: Readonly<Record<string, unknown>>,
  flags: Readonly<Record<string, unknown>>,
  config: YamlFile | null,
): Run['settings'] {
  const parsed = parseSettings(all);
  if (parsed.ok) return parsed.settings;
  const name = parsed.problem.split(':')[0]!;
  const isOfFile = config !== null && Object.hasOwn(config.given, name) && flags[name] === undefined;
  throw new UserError('usage', `${isOfFile ? config.source.placeOf([name]).text : 'up'}: ${parsed.problem}`);
}
