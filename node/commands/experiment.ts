/** @file `lorikeet experiment`: runs a file of methods x seeds x points, goes on where it stopped, writes the report. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { writeFileAtomic } from '../atomic.ts';
import { createDisplay } from '../display.ts';
import { EXIT, messageOf, UserError } from '../errors.ts';
import { packageVersion } from '../model/base.ts';
import { type Flags, integerFlag, interruptSignal } from './flags.ts';

export async function experiment(path: string, flags: Flags & { set?: string[] }): Promise<void> {
  const { planRuns, readSpec } = await import('../../sim/spec.ts');
  const { runExperiment } = await import('../../sim/experiment.ts');
  const { htmlReport, markdownReport } = await import('../../sim/report.ts');
  const spec = readSpec(applySets(readYaml(path), flags.set ?? []), path);
  const all = planRuns(spec);
  const runs = shardOf(all, flags.shard);
  const folder = String(flags.out ?? join('results', spec.name));
  const command = ['lorikeet experiment', path, ...(flags.set ?? []).map((s) => `--set '${s}'`)].join(' ');
  const display = createDisplay();
  const interrupt = interruptSignal(() =>
    display.note('stopping: finished runs are kept (Ctrl-C again to stop at once)'),
  );
  try {
    mkdirSync(folder, { recursive: true });
    const manifest = {
      version: packageVersion(),
      node: process.version,
      command,
      spec,
      runs: runs.map(({ key, method, seed, point, settings, scenario }) => ({
        key,
        method,
        seed,
        point,
        scenario,
        settings,
      })),
    };
    await writeFileAtomic(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    const records = await runExperiment({
      runs,
      folder,
      threads: integerFlag(flags, 'threads', 0, 1024),
      signal: interrupt.signal,
      onProgress: (done, total, label) => {
        if (display.isTerminal) display.progress(`${spec.name}: ${label}`, done, total);
        else display.note(`${done} of ${total}: ${label}`);
      },
    });
    display.close();
    const keys = new Set(all.map((run) => run.key));
    const mine = records.filter((record) => keys.has(record.key));
    const report = markdownReport(spec, mine, command);
    await writeFileAtomic(join(folder, 'report.md'), report);
    await writeFileAtomic(join(folder, 'report.html'), htmlReport(spec, mine, command));
    console.log(
      flags.json
        ? JSON.stringify(mine.filter((r) => r.type === 'final'))
        : `${report}\nthe same with pictures: ${join(folder, 'report.html')}`,
    );
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    display.note(`stopped; the same command goes on from ${folder}`);
    process.exitCode = EXIT.interrupted;
  } finally {
    interrupt.dispose();
  }
}

function readYaml(path: string): Record<string, unknown> {
  try {
    return (parse(readFileSync(path, 'utf8')) ?? {}) as Record<string, unknown>;
  } catch (error) {
    throw new UserError(
      'usage',
      `${path}: cannot be read (${messageOf(error).split('\n')[0]}); wanted a YAML file such as sim/experiments/labels.yaml`,
    );
  }
}

/** Overrides fields: `--set seeds=[1,2]`, `--set settings.rounds=3`. */
function applySets(spec: Record<string, unknown>, sets: readonly string[]): Record<string, unknown> {
  const out = structuredClone(spec);
  for (const set of sets) {
    const match = /^([\w.-]+)=(.*)$/s.exec(set);
    if (!match)
      throw new UserError('usage', `--set: got "${set}"; wanted field=value, such as seeds=[1,2] or settings.rounds=3`);
    const names = match[1]!.split('.');
    let place = out;
    for (const name of names.slice(0, -1)) {
      if (typeof place[name] !== 'object' || place[name] === null) place[name] = {};
      place = place[name] as Record<string, unknown>;
    }
    place[names.at(-1)!] = parse(match[2]!);
  }
  return out;
}

/** Every n-th run, for many machines: `2/4` is the second of four. */
function shardOf<T>(runs: readonly T[], shard: string | boolean | undefined): readonly T[] {
  if (shard === undefined) return runs;
  const match = /^(\d+)\/(\d+)$/.exec(String(shard));
  const [index, count] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || index < 1 || index > count)
    throw new UserError('usage', `--shard: got "${shard}"; wanted i/n, such as 2/4`);
  return runs.filter((_, i) => i % count === index - 1);
}
