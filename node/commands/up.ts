/** @file `lorikeet up`: starts a run, measures its label prior, prints the invite; started again, goes on. */
import { randomBytes } from 'node:crypto';
import { parseSettings } from '../../protocol/config.ts';
import { UserError } from '../errors.ts';
import { openRun, type Run, runIdOf } from '../train/run.ts';
import type { YamlFile } from '../yaml.ts';
import type { Flags } from './flags.ts';
import { preparePeer, readTexts, runPeer } from './peer.ts';

export async function up(options: Flags, given: Readonly<Record<string, unknown>>): Promise<void> {
  const flags: Flags = { host: '127.0.0.1', ...options };
  const prepared = preparePeer(flags);
  const { saved, folder } = prepared;
  const config = await readConfig(flags.config);
  const wanted = { ...config?.given, ...given };
  const check = (all: Readonly<Record<string, unknown>>): Run['settings'] => checkWith(all, given, config);
  if (saved) refuseChange(saved.settings, check({ ...saved.settings, ...wanted }), folder);
  // The same data and flags another time are another run.
  const fresh = { nonce: randomBytes(8).toString('hex'), ...wanted };
  const bare = await openRun(check(saved ? { ...saved.settings, ...wanted } : fresh));
  await runPeer(flags, prepared, { bare, texts: readTexts(flags, prepared, bare), bootstrap: saved?.bootstrap ?? [] });
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

/** A state folder belongs to one run: settings that alter what is computed cannot change under it. */
function refuseChange(saved: Run['settings'], wanted: Run['settings'], folder: string): void {
  if (runIdOf(wanted) === runIdOf(saved)) return;
  throw new UserError(
    'incompatible',
    `${folder}: holds run ${runIdOf(saved)}, whose settings are others; leave the flags out to go on, or choose another --state`,
  );
}
