/** @file `lorikeet sim`: runs a file of worlds in virtual time, goes on where it stopped, and tells what became of them. */
import { join } from 'node:path';
import type { Simulated } from '../../sim/world/records.ts';
import type { ScenarioRun } from '../../sim/world/run.ts';
import { prepareFolder } from '../adapter.ts';
import { writeFileAtomic } from '../atomic.ts';
import { createDisplay } from '../display.ts';
import { EXIT, UserError } from '../errors.ts';
import { packageVersion } from '../package.ts';
import { writeReportFile } from '../ui/report-file.ts';
import { interruptSignal } from './flags.ts';
import { showState } from './replay.ts';
import { readSpecFile, type SpecFlags, shardOf } from './specfile.ts';

/** Up to so many peers the invariants are looked at after every event. */
const WATCHED_PEERS = 128;

export async function sim(path: string, flags: SpecFlags): Promise<void> {
  const { readScenario } = await import('../../sim/world/scenario.ts');
  const { given, source, command } = readSpecFile('sim', path, flags);
  const spec = readScenario(given, source);
  for (const note of spec.notes) console.error(note);
  if (flags.until !== undefined) {
    await showState(spec.runs[0]!, flags);
    return;
  }
  const { simulate } = await import('../../sim/world/simulate.ts');
  const { appendRecord, fileOf, keyOf, readSimulations } = await import('../../sim/world/records.ts');
  const folder = String(flags.out);
  const version = packageVersion();
  const known = readSimulations(folder, spec.name, version);
  const runs = flags.report ? [] : shardOf(spec.runs, flags.shard);
  const open = runs.filter((run) => !known.has(keyOf(run, version)));
  const display = createDisplay();
  const tidy = await prepareFolder(folder);
  const interrupt = interruptSignal(() =>
    display.note('stopping: finished runs are kept (Ctrl-C again to stop at once)'),
  );
  const progress = (done: number): void => {
    if (runs.length > 0) display.progress(spec.name, runs.length - open.length + done, runs.length);
  };
  try {
    if (open.some(({ scenario }) => scenario.trainer === 'lora'))
      await (await import('../../sim/world/lora.ts')).checkLearning(open);
    for (const [i, run] of open.entries()) {
      progress(i);
      const { result } = await simulate(run, {
        watch: run.scenario.peers <= WATCHED_PEERS,
        signal: interrupt.signal,
        onProgress: (share) => progress(i + share),
      });
      const record = { key: keyOf(run, version), version, ...run, result };
      appendRecord(folder, spec.name, flags.shard === undefined ? undefined : String(flags.shard), record);
      known.set(record.key, record);
    }
    progress(open.length);
    display.close();
    // All shards' runs that are there.
    const all = spec.runs.flatMap((run): Simulated[] => {
      const record = known.get(keyOf(run, version));
      return record ? [{ run, result: record.result }] : [];
    });
    if (flags.report && all.length === 0)
      throw new UserError('usage', `${folder}: holds no run of ${path}; run it without --report`);
    await writeReport({ folder, spec, all, command, isJson: Boolean(flags.json) });
    tellProblems(all, (run) => {
      const key = keyOf(run, version);
      return { file: fileOf(folder, spec.name, key), key };
    });
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    display.close();
    display.note(`stopped; the same command goes on from ${folder}`);
    process.exitCode = EXIT.interrupted;
  } finally {
    tidy();
    interrupt.dispose();
  }
}

async function writeReport(options: {
  folder: string;
  spec: { readonly name: string; readonly about: string; readonly runs: readonly ScenarioRun[] };
  all: readonly Simulated[];
  command: string;
  isJson: boolean;
}): Promise<void> {
  const { simulationMarkdown, simulationReport } = await import('../../sim/report/scenario.ts');
  const { attackPicture, attackTable } = await import('../../sim/report/attacks.ts');
  const { keyOf } = await import('../../sim/world/records.ts');
  const { folder, spec, all, command, isJson } = options;
  const version = packageVersion();
  const pathOf = (kind: string): string => join(folder, `${spec.name}.${kind}`);
  const report = simulationMarkdown(spec, all, command);
  await writeFileAtomic(pathOf('md'), report);
  const { name, about, runs } = spec;
  const manifest = { version, command, name, about, runs: runs.map((run) => keyOf(run, version)) };
  await writeFileAtomic(pathOf('json'), `${JSON.stringify(manifest, null, 2)}\n`);
  const html = pathOf('html');
  const isWritten = await writeReportFile(html, [simulationReport(spec, all, command)], console.error);
  const crossed = attackTable(all);
  if (crossed) await writeFileAtomic(pathOf('svg'), attackPicture(crossed));
  if (isJson) console.log(JSON.stringify(all.map(({ run, result }) => ({ ...run, result }))));
  else console.log(`${report}${isWritten ? `\nthe same with curves: ${html}` : ''}`);
}

/** Says what did not hold, with the command that shows it again. */
function tellProblems(all: readonly Simulated[], fileOf: (run: ScenarioRun) => { file: string; key: string }): void {
  for (const { run, result } of all) {
    if (result.problem === null) continue;
    const { file, key } = fileOf(run);
    const again = `lorikeet sim replay ${file} --run ${key} --until ${Math.max(1, result.problemAtMs ?? 1)}`;
    console.error(`seed ${run.seed}: ${result.problem}; see it again with ${again}`);
    process.exitCode = EXIT.bug;
  }
}
