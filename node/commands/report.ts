/** @file `lorikeet report`: what simulations and experiments have left in a folder, as one HTML file with curves to zoom into. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { PlannedRun } from '../../sim/learning/plan.ts';
import type { ExperimentSpec } from '../../sim/learning/spec.ts';
import type { Simulated } from '../../sim/world/records.ts';
import { messageOf, UserError } from '../errors.ts';
import { packageVersion } from '../package.ts';
import type { Report } from '../page/report.ts';
import { writeReportFile } from '../ui/report-file.ts';
import type { Flags } from './flags.ts';

/** What `experiment` and `sim` write beside their records. */
export interface Manifest {
  readonly command: string;
  /** Of an experiment; a simulation has none. */
  readonly spec?: ExperimentSpec;
  readonly about?: string;
  readonly runs: readonly unknown[];
}

export async function report(path: string, flags: Flags): Promise<void> {
  const { folder, names } = findNames(path);
  const reports: Report[] = [];
  for (const name of names) reports.push(await reportOf(folder, name));
  const file = String(flags.out ?? join(folder, names.length === 1 ? `${names[0]}.html` : 'report.html'));
  const isWritten = await writeReportFile(file, reports, (line) => {
    throw new UserError('storage', line);
  });
  if (!isWritten) return;
  console.log(flags.json ? JSON.stringify({ file: resolve(file), reports: names }) : file);
  if (flags.open) await openInBrowser(resolve(file));
}

/** The runs that a path means, by their names. Throws a UserError where it means none. */
function findNames(path: string): { folder: string; names: string[] } {
  const fail = (got: string): never => {
    throw new UserError(
      'usage',
      `${path}: ${got}; wanted a folder that "lorikeet sim" or "lorikeet experiment" has written to, or one of its files NAME.json or NAME.jsonl`,
    );
  };
  if (!existsSync(path)) return fail('no such file or folder');
  if (!statSync(path).isDirectory()) {
    const [, name] = /^(.+?)(?:\.\d+of\d+)?\.(?:jsonl|json)$/.exec(basename(path)) ?? [];
    if (!name) return fail('neither .json nor .jsonl');
    return name === 'runs' ? findNames(dirname(path)) : { folder: dirname(path), names: [name] };
  }
  const files = readdirSync(path);
  const named = files.flatMap((file) => /^(.+?)(?:\.\d+of\d+)?\.jsonl$/.exec(file)?.[1] ?? []);
  const experiments = files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length));
  const names = [...new Set([...experiments.filter((name) => isManifest(path, name)), ...named])];
  const known = names.filter((name) => name !== 'runs').sort();
  return known.length > 0 ? { folder: path, names: known } : fail('holds no runs');
}

function isManifest(folder: string, name: string): boolean {
  return readManifest(folder, name) !== null;
}

/** Null where the file is none. */
function readManifest(folder: string, name: string): Manifest | null {
  try {
    const read = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as Partial<Manifest> | null;
    return typeof read?.command === 'string' && Array.isArray(read.runs) ? (read as Manifest) : null;
  } catch {
    return null;
  }
}

async function reportOf(folder: string, name: string): Promise<Report> {
  const manifest = readManifest(folder, name);
  return manifest?.spec ? experimentOf(folder, manifest, manifest.spec) : simulationOf(folder, name, manifest);
}

async function experimentOf(folder: string, { command, runs }: Manifest, spec: ExperimentSpec): Promise<Report> {
  const { readRecords, recordsOf } = await import('../../sim/learning/records.ts');
  const { experimentReport } = await import('../../sim/report/experiment.ts');
  const records = recordsOf(runs as PlannedRun[], readRecords(folder));
  if (records.length === 0)
    throw new UserError('usage', `${join(folder, spec.name)}.json: none of its runs is in ${folder}`);
  return experimentReport(spec, records, command);
}

async function simulationOf(folder: string, name: string, manifest: Manifest | null): Promise<Report> {
  const { readSimulations } = await import('../../sim/world/records.ts');
  const { simulationReport } = await import('../../sim/report/scenario.ts');
  const known = readSimulations(folder, name, packageVersion());
  const keys = (manifest?.runs as string[] | undefined) ?? [...known.keys()];
  const all = keys.flatMap((key): Simulated[] => {
    const record = known.get(key);
    return record ? [{ run: record, result: record.result }] : [];
  });
  if (all.length === 0) throw new UserError('usage', `${join(folder, name)}.jsonl: holds no whole run`);
  const about = manifest?.about ?? '';
  return simulationReport({ name, about, runs: keys }, all, manifest?.command ?? `lorikeet sim ${name}.yaml`);
}

/** By whatever the system opens files with. Throws a UserError where there is nothing. */
function openInBrowser(file: string): Promise<void> {
  const [command, ...words] =
    process.platform === 'darwin' ? ['open'] : process.platform === 'win32' ? ['cmd', '/c', 'start', ''] : ['xdg-open'];
  return new Promise((done, fail) => {
    const child = spawn(command!, [...words, file], { detached: true, stdio: 'ignore' });
    child.once('spawn', () => {
      child.unref();
      done();
    });
    child.once('error', (error) =>
      fail(new UserError('usage', `--open: ${command}: ${messageOf(error)}; open ${file} yourself`)),
    );
  });
}
