/** @file `lorikeet up`: starts a run, measures its label prior, prints the invite; started again, goes on. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { messageOf, UserError } from '../errors.ts';
import { calibrateRun, checkSettings, openRun, type Run, runIdOf } from '../train/run.ts';
import type { Flags } from './flags.ts';
import { readTexts, runPeer, startTrainer, withState } from './peer.ts';

/** Texts the prior is measured on. */
const PRIOR_TEXTS = 200;

export async function up(flags: Flags, given: Readonly<Record<string, unknown>>): Promise<void> {
  await withState(flags, async (prepared) => {
    const saved = prepared.store.readRun();
    const wanted = { ...readConfig(flags.config), ...given };
    if (saved) refuseChange(saved.settings, wanted, prepared.store.folder);
    const bare = await openRun(checkSettings(saved ? { ...saved.settings, ...wanted } : wanted, 'up'));
    const texts = readTexts(flags, prepared, bare);
    const trainer = await startTrainer(flags, bare);
    try {
      if (trainer.notice) prepared.display.note(trainer.notice);
      const run =
        bare.settings.labelPrior === ''
          ? await calibrateRun(
              bare,
              trainer,
              prepared.rows.slice(0, PRIOR_TEXTS).map((row) => row.text),
            )
          : bare;
      await runPeer(flags, prepared, {
        run,
        trainer,
        texts,
        saved: { settings: run.settings, port: saved?.port ?? 0, bootstrap: [] },
      });
    } finally {
      await trainer.stop();
    }
  });
}

function readConfig(path: string | boolean | undefined): Record<string, unknown> {
  if (typeof path !== 'string') return {};
  try {
    const value: unknown = parse(readFileSync(path, 'utf8'));
    if (value && typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw new UserError(
      'usage',
      `${path}: cannot be read (${messageOf(error).split('\n')[0]}); wanted YAML of settings`,
    );
  }
  throw new UserError('usage', `${path}: holds no settings; wanted lines such as "rounds: 12"`);
}

/** A state folder belongs to one run: settings that alter what is computed cannot change under it. */
function refuseChange(saved: Run['settings'], wanted: Record<string, unknown>, folder: string): void {
  if (runIdOf(checkSettings({ ...saved, ...wanted }, 'up')) === runIdOf(saved)) return;
  throw new UserError(
    'incompatible',
    `${folder}: holds run ${runIdOf(saved)}, whose settings are others; leave the flags out to go on, or choose another --state`,
  );
}
