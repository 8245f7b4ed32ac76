/** @file What `up` and `join` read and check before anything is started or written; nothing heavy is loaded for it. */
import { isIP } from 'node:net';
import { addressAt } from '../addresses.ts';
import { createDisplay, type Display } from '../display.ts';
import { type StateFolder, stateIn } from '../entry/begin.ts';
import { checkTexts } from '../entry/texts.ts';
import { UserError } from '../errors.ts';
import { counted } from '../figures.ts';
import { MAX_NAME, plainText } from '../network/names.ts';
import { type DataFile, openData } from '../texts/data.ts';
import { heldOut } from '../train/held-out.ts';
import type { Texts } from '../train/objective.ts';
import type { Run } from '../train/run.ts';
import { readTexts } from '../train/texts.ts';
import { pagePlace } from '../ui/start.ts';
import { dataOptions } from './dataflags.ts';
import { deviceFlags, type Flags, integerFlag } from './flags.ts';

/** What a peer's command line says, read and checked before anything is started or written. */
export interface Prepared extends StateFolder {
  readonly data: DataFile;
  /** What the texts were read for; null where nothing says yet. */
  readonly objective: string | null;
  readonly path: string;
  readonly display: Display;
}

/** A peer's own texts, and those it is scored on. */
export interface PeerTexts {
  readonly own: Texts;
  readonly test: Texts | null;
  /** Of its own, those that it does not train on, to tell whether joining helps; null: none, or others are there to test on. */
  readonly held: Texts | null;
}

/**
 * Reads data and flags; `asked` is the objective that the command line names, `otherwise` the one of a new run. Throws a UserError on the first that is wrong, or
 * where the state is of other texts.
 */
export function preparePeer(flags: Flags, asked?: unknown, otherwise: unknown = null): Prepared {
  const path = String(flags.data);
  deviceFlags(flags);
  if (flags.follow && !flags.json) throw new UserError('usage', '--follow: wanted with --json, whose events it prints');
  listenAddress(flags, 0);
  nicknameOf(flags);
  pagePlace(flags.ui);
  heldOutFlag(flags);
  if (flags.wait !== undefined) integerFlag(flags, 'wait', 0, 1_000_000);
  const folder = flags.state === undefined ? `${path}.lorikeet` : String(flags.state);
  const display = createDisplay();
  const state = stateIn(folder);
  const { saved } = state;
  const wanted = asked ?? saved?.settings.objective ?? otherwise;
  const objective = wanted === null ? null : String(wanted);
  const data = openData(path, { ...dataOptions(flags), objective });
  const prepared = { ...state, data, objective, path, display };
  const note = flags.continue ? display.note : null;
  if (saved) checkTexts(folder, { rows: data.rows, name: path, note });
  return prepared;
}

/** The texts of `--data` and `--test` as the run reads them. Throws a UserError that names file and line. */
export function readPeerTexts(flags: Flags, { data, objective, path, display }: Prepared, run: Run): PeerTexts {
  const options = { ...dataOptions(flags), objective: run.objective };
  const own = readTexts(run, objective === run.objective ? data : openData(path, options), options);
  if (flags.test === undefined) return { test: null, ...holdOut(flags, path, own, display) };
  const testPath = String(flags.test);
  const test = readTexts(run, openData(testPath, options), options);
  if (test.scored === 0)
    throw new UserError('usage', `${testPath}: no row has a label; wanted labelled texts to test on`);
  const known = new Set(own.texts);
  const shared = test.texts.filter((text) => known.has(text)).length;
  if (test.leftOut) display.note(test.leftOut);
  if (shared > 0)
    display.note(
      `${testPath}: ${shared} of ${test.texts.length} texts to test on stand in ${path} too, and are no test`,
    );
  return { own, test, held: null };
}

/** How many texts are to be held out; null: nobody says. Throws a UserError on what is no number. */
function heldOutFlag({ heldOut: given }: Flags): number | null {
  return given === undefined ? null : integerFlag({ 'held-out': given }, 'held-out', 0, 1_000_000);
}

/** Some of a peer's own texts, set apart where there are enough or it is asked for. Throws a UserError where too few would be left. */
function holdOut(flags: Flags, path: string, all: Texts, display: Display): Pick<PeerTexts, 'own' | 'held'> {
  const count = heldOutFlag(flags);
  if (count !== null && count > 0 && count >= all.scored)
    throw new UserError(
      'usage',
      `--held-out: got ${count}; wanted fewer than the ${counted(all.scored, 'text')} of ${path} that can be scored`,
    );
  const { own, held } = all.holdOut((texts) => heldOut(texts, count));
  if (held.scored === 0) return { own: all, held: null };
  display.note(
    `${path}: ${counted(held.scored, 'text')} of ${all.scored} held out, to tell whether joining helps, and not trained on; --held-out 0 trains on all`,
  );
  return { own, held };
}

/** What others see this peer called; '': nothing. Throws a UserError on what is too long or cannot be shown in a line. */
export function nicknameOf({ name = '' }: Flags): string {
  if (typeof name === 'string' && name === plainText(name, MAX_NAME)) return name;
  throw new UserError(
    'usage',
    `--name: got ${JSON.stringify(name)}; wanted up to ${MAX_NAME} characters that can be shown in a line`,
  );
}

/** Where to listen. Throws a UserError on what is no address of a machine. */
export function listenAddress(flags: Flags, savedPort: number): string {
  const host = String(flags.host);
  if (isIP(host) === 0)
    throw new UserError(
      'usage',
      `--host: got ${JSON.stringify(host)}; wanted an IP address of this machine, such as 127.0.0.1 or 0.0.0.0`,
    );
  const port = integerFlag(flags, 'port', 0, 65535) || savedPort;
  return addressAt(host, port);
}
