/** @file `lorikeet sim`: runs a file of worlds in virtual time and tells what became of them; `--until` shows one as it stood. */
import { join } from 'node:path';
import type { ScenarioRun } from '../../sim/scenario.ts';
import type { SimulationResult } from '../../sim/simulate.ts';
import { prepareFolder } from '../adapter.ts';
import { writeFileAtomic } from '../atomic.ts';
import { createDisplay, table } from '../display.ts';
import { EXIT, UserError } from '../errors.ts';
import { interruptSignal } from './flags.ts';
import { readSpecFile, type SpecFlags, shardOf } from './specfile.ts';

export async function sim(path: string, flags: SpecFlags): Promise<void> {
  const { readScenario } = await import('../../sim/scenario.ts');
  const { given, command } = readSpecFile('sim', path, flags);
  const spec = readScenario(given, path);
  if (flags.until !== undefined) return showState(spec.runs, flags);
  const { simulate } = await import('../../sim/simulate.ts');
  const { simulationHtml, simulationMarkdown } = await import('../../sim/simulation-report.ts');
  const runs = shardOf(spec.runs, flags.shard);
  const display = createDisplay();
  const interrupt = interruptSignal(() => display.note('stopping after this run (Ctrl-C again to stop at once)'));
  const all: { run: ScenarioRun; result: SimulationResult }[] = [];
  try {
    for (const [i, run] of runs.entries()) {
      display.progress(spec.name, i, runs.length);
      await new Promise((resolve) => setImmediate(resolve)); // Ctrl-C is heard between runs
      if (interrupt.signal.aborted) {
        process.exitCode = EXIT.interrupted;
        return;
      }
      all.push({ run, result: (await simulate(run)).result });
    }
    display.progress(spec.name, runs.length, runs.length);
    display.close();
    const folder = String(flags.out);
    await prepareFolder(folder);
    const part = flags.shard === undefined ? '' : `.${String(flags.shard).replace('/', 'of')}`;
    const fileOf = (kind: string): string => join(folder, `${spec.name}${part}.${kind}`);
    const lines = all.map(({ run, result }) => JSON.stringify({ ...run, result }));
    await writeFileAtomic(fileOf('jsonl'), `${lines.join('\n')}\n`);
    const report = simulationMarkdown(spec, all, command);
    await writeFileAtomic(fileOf('md'), report);
    await writeFileAtomic(fileOf('html'), simulationHtml(spec, all, command));
    if (flags.json) console.log(JSON.stringify(all.map(({ run, result }) => ({ ...run, result }))));
    else console.log(`${report}\nthe same with pictures: ${fileOf('html')}`);
  } finally {
    interrupt.dispose();
  }
}

/** One run until a virtual time: every peer as it then is. The same seed and file give the same state. */
async function showState(runs: readonly ScenarioRun[], flags: SpecFlags): Promise<void> {
  const { simulate } = await import('../../sim/simulate.ts');
  const until = Number(flags.until);
  if (!(until > 0)) throw new UserError('usage', `--until: got ${JSON.stringify(flags.until)}; wanted virtual ms`);
  const { world } = await simulate(runs[0]!, { untilMs: until });
  const rows = world.seats.map(({ peer, alive, finished }) => [
    peer.id,
    alive ? (finished ? 'finished' : peer.phase) : 'down',
    String(peer.round),
    String(peer.exchanges.length),
    String([...peer.members.values()].filter((m) => m.connected).length),
    Object.entries(peer.refused)
      .map(([code, count]) => `${code} ${count}`)
      .join(', '),
  ]);
  console.log(table([['peer', 'phase', 'round', 'open exchanges', 'connected', 'refused'], ...rows]).join('\n'));
  console.log(`\nat ${world.now()} ms, trace ${world.trace()}`);
}
