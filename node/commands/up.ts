/** @file `lorikeet up`: starts a run, measures its label prior, prints the invite; started again, goes on. */
import { randomBytes } from 'node:crypto';
import { UserError } from '../errors.ts';
import { checkSettings, openRun, type Run, runIdOf } from '../train/run.ts';
import type { Flags } from './flags.ts';
import { preparePeer, readTexts, runPeer } from './peer.ts';

export async function up(flags: Flags, given: Readonly<Record<string, unknown>>): Promise<void> {
  const prepared = preparePeer(flags);
  const { saved, folder } = prepared;
  const wanted = { ...(await readConfig(flags.config)), ...given };
  if (saved) refuseChange(saved.settings, wanted, folder);
  // The same data and flags another time are another run.
  const fresh = { nonce: randomBytes(8).toString('hex'), ...wanted };
  const bare = await openRun(checkSettings(saved ? { ...saved.settings, ...wanted } : fresh, 'up'));
  await runPeer(flags, prepared, { bare, texts: readTexts(flags, prepared, bare), bootstrap: [] });
}

async function readConfig(path: string | boolean | undefined): Promise<Record<string, unknown>> {
  if (typeof path !== 'string') return {};
  const { readYaml } = await import('../yaml.ts');
  const { checkSource } = await import('../source.ts');
  const { SETTINGS_FILE } = await import('../settings.ts');
  const { given, source } = readYaml(path, 'YAML of settings, with lines such as "rounds: 12"');
  checkSource(SETTINGS_FILE, given, source);
  return given;
}

/** A state folder belongs to one run: settings that alter what is computed cannot change under it. */
function refuseChange(saved: Run['settings'], wanted: Record<string, unknown>, folder: string): void {
  if (runIdOf(checkSettings({ ...saved, ...wanted }, 'up')) === runIdOf(saved)) return;
  throw new UserError(
    'incompatible',
    `${folder}: holds run ${runIdOf(saved)}, whose settings are others; leave the flags out to go on, or choose another --state`,
  );
}
