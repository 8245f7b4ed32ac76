/** @file What `up` and `join` read and check before anything is started or written; nothing heavy is loaded for it. */
import { isIP } from 'node:net';
import { join } from 'node:path';
import { counted, createDisplay, type Display } from '../display.ts';
import { UserError } from '../errors.ts';
import { compareRows, digestRows, peekStore, peekTexts, readRun, type Saved } from '../store.ts';
import { type DataFile, type Example, type LabelledFile, labelData, openData, type Row } from '../train/data.ts';
import { leftOutLine } from '../train/inspect.ts';
import { type Run, runIdOf } from '../train/run.ts';
import { dataOptions } from './dataflags.ts';
import { deviceFlags, type Flags, integerFlag } from './flags.ts';

/** What a peer's command line says, read and checked before anything is started or written. */
export interface Prepared {
  readonly data: DataFile;
  readonly rows: readonly Row[];
  readonly path: string;
  /** The state folder; it may not exist yet. */
  readonly folder: string;
  /** What the state folder says of its run, where it does. */
  readonly saved: Saved | null;
  /** Whether that run is over. */
  readonly isOver: boolean;
  readonly display: Display;
}

export interface Texts {
  readonly labelled: readonly Example[];
  readonly unlabelled: readonly string[];
  readonly test: readonly Example[];
  /** The file of `--data`, its labels read. */
  readonly own: LabelledFile;
}

/** Reads data and flags. Throws a UserError on the first that is wrong, or where the state is of other texts. */
export function preparePeer(flags: Flags): Prepared {
  const path = String(flags.data);
  const data = openData(path, dataOptions(flags));
  deviceFlags(flags);
  if (flags.follow && !flags.json) throw new UserError('usage', '--follow: wanted with --json, whose events it prints');
  listenAddress(flags, 0);
  if (flags.wait !== undefined) integerFlag(flags, 'wait', 0, 1_000_000);
  const folder = flags.state === undefined ? `${path}.lorikeet` : String(flags.state);
  const display = createDisplay();
  const saved = readRun(join(folder, 'run.json'));
  const isOver = saved !== null && peekStore(folder).snapshot(runIdOf(saved.settings))?.phase === 'finished';
  const prepared = { data, rows: data.rows, path, folder, display, saved, isOver };
  if (saved) checkTexts(flags, prepared);
  return prepared;
}

/** A state belongs to the texts it has learned from; others are taken on purpose only. */
function checkTexts(flags: Flags, { rows, path, folder, display }: Prepared): void {
  const before = peekTexts(folder);
  if (!before) return;
  const { added, removed } = compareRows(before, digestRows(rows));
  if (added + removed === 0) return;
  const shared = before.words.length - removed;
  const change = `it has learned from ${counted(before.words.length, 'row')}; ${path} still has ${shared} of them, and ${added} new`;
  if (!flags.continue)
    throw new UserError(
      'incompatible',
      `${folder}: ${change}; --continue goes on with them, another --state begins anew`,
    );
  display.note(`${folder}: ${change}; going on with them`);
}

/** The examples of `--data` and `--test`, every label checked. Throws a UserError that names file and line. */
export function readTexts(flags: Flags, prepared: Prepared, run: Run): Texts {
  const options = dataOptions(flags);
  const own = labelData(prepared.data, run.task, options);
  const { labelled, unlabelled } = own;
  if (flags.test === undefined) return { labelled, unlabelled, own, test: [] };
  const path = String(flags.test);
  const file = openData(path, options);
  const read = labelData(file, run.task, options);
  const test = read.labelled;
  if (test.length === 0) throw new UserError('usage', `${path}: no row has a label; wanted labelled texts to test on`);
  const known = new Set(own.items.map(({ text }) => text));
  const shared = test.filter(({ text }) => known.has(text)).length;
  const leftOut = leftOutLine(file, read);
  if (leftOut) prepared.display.note(leftOut);
  if (shared > 0)
    prepared.display.note(
      `${path}: ${shared} of ${test.length} texts to test on stand in ${prepared.path} too, and are no test`,
    );
  return { labelled, unlabelled, own, test };
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
  return `/${host.includes(':') ? 'ip6' : 'ip4'}/${host}/tcp/${port}`;
}
