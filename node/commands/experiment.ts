/** @file `lorikeet experiment`: runs a file of methods x seeds x points, goes on where it stopped, writes the report. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { RoundRecord } from '../../sim/records.ts';
import { writeFileAtomic } from '../atomic.ts';
import { createDisplay, percent } from '../display.ts';
import { EXIT, messageOf, UserError } from '../errors.ts';
import { packageVersion } from '../model/base.ts';
import { type Flags, integerFlag, interruptSignal } from './flags.ts';

export async function experiment(path: string, flags: Flags & { set?: string[] }): Promise<void> {
  const { planRuns, readSpec } = await import('../../sim/spec.ts');
  const { runExperiment } = await import('../../sim/experiment.ts');
  const { readRecords, recordsOf } = await import('../../sim/records.ts');
  const { htmlReport, markdownReport } = await import('../../sim/report.ts');
  const given = applySets(readYaml(path), flags.set ?? []);
  const spec = readSpec(flags.seeds === undefined ? given : { ...given, seeds: seedsOf(String(flags.seeds)) }, path);
  const all = await planRuns(spec);
  const runs = shardOf(all, flags.shard);
  const folder = String(flags.out);
  const command = [
    'lorikeet experiment',
    path,
    ...(flags.set ?? []).map((s) => `--set '${s}'`),
    ...(flags.seeds === undefined ? [] : [`--seeds ${flags.seeds}`]),
  ].join(' ');
  const fileOf = (kind: string): string => join(folder, `${spec.name}.${kind}`);
  const display = createDisplay();
  const interrupt = interruptSignal(() =>
    display.note('stopping: finished runs are kept (Ctrl-C again to stop at once)'),
  );
  try {
    mkdirSync(folder, { recursive: true });
    await runExperiment({
      runs,
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
    const finals = records.filter((r) => r.type === 'final');
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
    await writeFileAtomic(fileOf('html'), htmlReport(spec, records, command));
    console.log(flags.json ? JSON.stringify(finals) : `${report}\nthe same with pictures: ${fileOf('html')}`);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    display.note(`stopped; the same command goes on from ${folder}`);
    process.exitCode = EXIT.interrupted;
  } finally {
    interrupt.dispose();
  }
}

function roundText({ round, development, precision, coverage }: RoundRecord): string {
  const soft = coverage === null ? '' : `; soft labels for ${percent(coverage)}, ${percent(precision)} of them right`;
  return `round ${round + 1}: ${percent(development)} on development texts${soft}`;
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

/** `1..5`, or seeds separated by commas. */
function seedsOf(flag: string): string[] {
  const range = /^(\d+)\.\.(\d+)$/.exec(flag);
  const [first, last] = [Number(range?.[1]), Number(range?.[2])];
  const seeds = range ? Array.from({ length: last - first + 1 }, (_, i) => String(first + i)) : flag.split(',');
  if (seeds.length > 0 && seeds.every((seed) => /^[\x21-\x7e]+$/.test(seed))) return seeds;
  throw new UserError(
    'usage',
    `--seeds: got "${flag}"; wanted first..last, such as 1..5, or seeds separated by commas`,
  );
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
