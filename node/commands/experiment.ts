/** @file `lorikeet experiment`: runs a file of methods x seeds x points, goes on where it stopped, writes the report. */
import { join } from 'node:path';
import type { RoundRecord } from '../../sim/learning/records.ts';
import { prepareFolder } from '../adapter.ts';
import { writeFileAtomic } from '../atomic.ts';
import { createDisplay } from '../display.ts';
import { EXIT, UserError } from '../errors.ts';
import { percent } from '../figures.ts';
import { packageVersion } from '../package.ts';
import { writeReportFile } from '../ui/report-file.ts';
import { integerFlag, interruptSignal } from './flags.ts';
import { provideBase } from './provide.ts';
import { readSpecFile, type SpecFlags, shardOf } from './specfile.ts';

export async function experiment(path: string, flags: SpecFlags): Promise<void> {
  const { planRuns } = await import('../../sim/learning/plan.ts');
  const { readSpec } = await import('../../sim/learning/spec.ts');
  const { runExperiment } = await import('../../sim/learning/experiment.ts');
  const { finalsOf, readRecords, recordsOf } = await import('../../sim/learning/records.ts');
  const { experimentReport, markdownReport } = await import('../../sim/report/experiment.ts');
  const { given, source, command } = readSpecFile('experiment', path, flags);
  const spec = readSpec(given, source);
  const { base } = spec.settings;
  if (typeof base === 'string') await provideBase(base, { isNamed: true, flags: {} });
  const all = await planRuns(spec, { given, source });
  const runs = shardOf(all, flags.shard);
  const folder = String(flags.out);
  const fileOf = (kind: string): string => join(folder, `${spec.name}.${kind}`);
  const display = createDisplay();
  const tidy = await prepareFolder(folder);
  const interrupt = interruptSignal(() =>
    display.note('stopping: finished runs are kept (Ctrl-C again to stop at once)'),
  );
  try {
    await runExperiment({
      runs: flags.report ? [] : runs,
      folder,
      threads: integerFlag(flags, 'threads', 0, 1024),
      signal: interrupt.signal,
      onProgress: (done, total, label, latest) => {
        // Rounds are for watching; elsewhere than on a terminal a line a run will do.
        const round = display.isTerminal && latest ? `, ${roundText(latest)}` : '';
        display.progress(spec.name, done, total, label + round);
      },
    });
    display.close();
    // All shards' runs that are there.
    const records = recordsOf(all, readRecords(folder));
    const finals = finalsOf(records);
    if (flags.report && finals.length === 0)
      throw new UserError('usage', `${folder}: holds no run of ${path}; run it without --report`);
    const hashes = new Map(finals.map((r) => [r.key, r.hashes]));
    const manifest = {
      version: packageVersion(),
      node: process.version,
      command,
      spec,
      runs: all.map((run) => ({ ...run, hashes: hashes.get(run.key) ?? null })),
    };
    const report = markdownReport(spec, records, command);
    await writeFileAtomic(fileOf('json'), `${JSON.stringify(manifest, null, 2)}\n`);
    await writeFileAtomic(fileOf('md'), report);
    const html = fileOf('html');
    const isWritten = await writeReportFile(html, [experimentReport(spec, records, command)], display.note);
    console.log(flags.json ? JSON.stringify(finals) : `${report}${isWritten ? `\nthe same with curves: ${html}` : ''}`);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    display.note(`stopped; the same command goes on from ${folder}`);
    process.exitCode = EXIT.interrupted;
  } finally {
    tidy();
    interrupt.dispose();
  }
}

function roundText({ round, development, precision, coverage }: RoundRecord): string {
  const soft = coverage === null ? '' : `; soft labels for ${percent(coverage)}, ${percent(precision)} of them right`;
  return `round ${round + 1}: ${percent(development)} on development texts${soft}`;
}
