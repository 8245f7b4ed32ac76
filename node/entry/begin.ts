/** @file Which run somebody means who starts one: a new one, the one its state holds, or one that goes on from an adapter. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { RunSettings } from '../../protocol/config.ts';
import { CLASSIFY_SETTINGS } from '../../protocol/settings.ts';
import { type ReadAdapter, readAdapter } from '../adapter.ts';
import { UserError } from '../errors.ts';
import { peekStart, peekStore, readRun, type Saved } from '../store.ts';
import { checkSettings, hashOfAdapter, openRun, type Run, runIdOf, startFrom } from '../train/run.ts';

/** A run, and what it takes over. */
export interface Beginning {
  readonly run: Run;
  /** Whether the state folder holds it already. */
  readonly isBack: boolean;
  /** The run, over now, whose state becomes this one's; null: none. */
  readonly follows: string | null;
  /** Training rounds of the runs before it, where rounds were raised. */
  readonly earlierRounds: number;
}

/** What an adapter's run settles about another that starts from it; all else is as anew. */
const TASK = [
  'base',
  'baseHash',
  'objective',
  'prompt',
  'patterns',
  'labels',
  'labelPrior',
  'maxTokens',
  'rank',
  'alpha',
  'targets',
];
const SHAPE = ['rank', 'alpha', 'targets'] as const;

type Given = Readonly<Record<string, unknown>>;
/** What is asked for, and the check of settings as a whole. */
interface Asked {
  readonly wanted: Given;
  /** The folder of the adapter to start from; null: a fresh one. */
  readonly from: string | null;
  readonly note: (line: string) => void;
  /** Id of the first peer of a run that begins; '': an open one. */
  readonly founder: string;
  readonly check: (all: Given) => RunSettings;
}

type State = { readonly saved: Saved; readonly folder: string };

/** A state folder, which may not exist yet. */
export interface StateFolder {
  readonly folder: string;
  /** What it says of its run, where it does. */
  readonly saved: Saved | null;
  /** Whether that run is over. */
  readonly isOver: boolean;
}

/** Looks at a state folder. Throws a UserError where it cannot be read. */
export function stateIn(folder: string): StateFolder {
  const saved = readRun(join(folder, 'run.json'));
  const isOver = saved !== null && peekStore(folder).snapshot(runIdOf(saved.settings))?.phase === 'finished';
  return { folder, saved, isOver };
}

/** What somebody begins or goes on with. Throws a UserError where what is asked for and the state do not go together. */
export async function beginRun({ saved, isOver, folder }: StateFolder, asked: Asked): Promise<Beginning> {
  const { wanted, founder, check } = asked;
  // The same data and flags another time are another run.
  const nonce = randomBytes(8).toString('hex');
  const from = asked.from === null ? null : await readStart(asked.from, wanted, asked.note);
  const follows = saved ? runIdOf(saved.settings) : null;
  if (saved && !isOver) return goOn({ saved, folder }, asked, from?.vector ?? null);
  if (from) {
    const own = from.run.settings as unknown as Given;
    // What was asked of it says nothing to a run that learns something else.
    const isAlike = wanted.objective === undefined || wanted.objective === own.objective;
    const names = isAlike ? TASK : TASK.filter((name) => !CLASSIFY_SETTINGS.some((one) => one === name));
    const task = Object.fromEntries(names.map((name) => [name, own[name]]));
    return {
      run: await anew(check, { ...task, nonce, founder, ...wanted }, from.vector),
      isBack: false,
      follows,
      earlierRounds: 0,
    };
  }
  if (!saved)
    return { run: await anew(check, { nonce, founder, ...wanted }, null), isBack: false, follows, earlierRounds: 0 };
  const done = saved.earlierRounds + saved.settings.rounds;
  if (wanted.rounds !== undefined && Number(wanted.rounds) > done) {
    const settings = { ...saved.settings, nonce, founder, ...wanted, rounds: Number(wanted.rounds) - done };
    return {
      run: await anew(check, settings, await resultOf({ saved, folder })),
      isBack: false,
      follows,
      earlierRounds: done,
    };
  }
  return goOn({ saved, folder }, asked, null);
}

/** The run of a state, opened, with the adapter it starts from where that is not a fresh one. */
export async function openSaved({ saved, folder }: State, given: Given = {}): Promise<Run> {
  const run = await openRun(checkSettings({ ...saved.settings, ...given }, folder));
  if (run.settings.startHash === '') return run;
  const start = peekStart(folder);
  if (!start)
    throw new UserError(
      'storage',
      `${join(folder, 'start.bin')}: missing; restore it, or join the run with another --state`,
    );
  return startFrom(run, start);
}

/** A run that there was not before. */
async function anew(check: Asked['check'], given: Given, start: Float32Array | null): Promise<Run> {
  const run = await openRun(check({ ...given, startHash: start ? hashOfAdapter(start) : '' }));
  return start ? startFrom(run, start) : run;
}

/** A state folder belongs to one run: settings that alter what is computed cannot change under it. */
async function goOn(
  { saved, folder }: State,
  { wanted, founder, check }: Asked,
  start: Float32Array | null,
): Promise<Beginning> {
  const { earlierRounds, settings } = saved;
  const rounds = wanted.rounds === undefined ? settings.rounds : Number(wanted.rounds) - earlierRounds;
  // A run that was closed is not opened to all afterwards.
  const own = founder === '' ? { founder } : {};
  const asked = { ...settings, ...wanted, ...own, rounds, ...(start ? { startHash: hashOfAdapter(start) } : {}) };
  if (runIdOf(check(asked)) !== runIdOf(settings))
    throw new UserError(
      'incompatible',
      `${folder}: holds run ${runIdOf(settings)}, whose settings are others; leave the flags out to go on, or choose another --state`,
    );
  const run = await openSaved({ saved, folder }, { ...wanted, rounds });
  return { run, isBack: true, follows: saved.follows, earlierRounds };
}

/** The adapter a finished state ended with. */
async function resultOf(state: State): Promise<Float32Array> {
  const run = await openSaved(state);
  const found = peekStore(state.folder).snapshot(run.runId);
  if (!found)
    throw new UserError(
      'storage',
      `${state.folder}: its snapshot has gone; restore it, or start from an adapter with --from`,
    );
  return run.wire.unpack(found.adapter);
}

/** Reads the adapter of `--from`. Throws a UserError where a flag asks for another shape than it has. */
async function readStart(folder: string, wanted: Given, note: Asked['note']): Promise<ReadAdapter> {
  const others = Object.entries(wanted).filter(([name]) => !SHAPE.some((shape) => shape === name));
  const adapter = await readAdapter(folder, Object.fromEntries(others));
  adapter.notes.forEach(note);
  const { settings, lora } = adapter.run;
  if (lora.modules)
    throw new UserError(
      'usage',
      `--from ${folder}: its ranks or alphas differ between layers (rank_pattern, alpha_pattern), and a swarm has one for all; wanted an adapter without patterns`,
    );
  const asked = checkSettings({ ...settings, ...wanted }, 'up');
  for (const name of SHAPE)
    if (name in wanted && asked[name] !== settings[name])
      throw new UserError(
        'usage',
        `--from ${folder}: its ${name} is ${settings[name]}; got --${name} ${asked[name]}, which can be left out`,
      );
  return adapter;
}
