/** @file `lorikeet sim replay`: a recorded run once more, to its end or to any virtual time; the same to the last event. */
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import type { ScenarioRun } from '../../sim/world/run.ts';
import { createDisplay, table } from '../display.ts';
import { EXIT, messageOf, UserError } from '../errors.ts';
import { packageVersion } from '../package.ts';
import type { Flags } from './flags.ts';

export async function replay(path: string, flags: Flags): Promise<void> {
  const { readRecord } = await import('../../sim/world/records.ts');
  const { checkSettings } = await import('../train/run.ts');
  const record = readRecord(path, String(flags.run), packageVersion());
  const seed = flags.seed === undefined ? record.seed : String(flags.seed);
  const { point, scenario } = record;
  const run: ScenarioRun = { point, scenario, seed, settings: checkSettings({ ...record.settings, seed }, path) };
  const trace = await showState(run, flags);
  if (flags.until !== undefined || seed !== record.seed) return;
  if (trace === record.result.trace) console.log('the same as recorded, event for event');
  else {
    console.error(
      `recorded was trace ${record.result.trace}, by version ${record.version}: the code has changed since`,
    );
    process.exitCode = EXIT.incompatible;
  }
}

/** Runs until a virtual time, or the end; prints every peer as it then is. Gives the trace. */
export async function showState(run: ScenarioRun, flags: Flags): Promise<string> {
  const { simulate } = await import('../../sim/world/simulate.ts');
  const { TRACE_HEAD, traceLine } = await import('../../sim/world/trace.ts');
  const untilMs = flags.until === undefined ? Number.POSITIVE_INFINITY : Number(flags.until);
  if (!(untilMs > 0)) throw new UserError('usage', `--until: got ${JSON.stringify(flags.until)}; wanted virtual ms`);
  const display = createDisplay();
  const file = flags.trace === undefined ? null : createWriteStream(String(flags.trace));
  const written = file ? finished(file) : Promise.resolve();
  written.catch(() => {}); // awaited below
  file?.write(`${TRACE_HEAD}\n`);
  const { world, result } = await simulate(run, {
    untilMs,
    watch: true,
    onProgress: (share) => display.progress('replay', Math.round(1000 * share) / 10, 100),
    ...(file ? { onEvent: (...event) => file.write(`${traceLine(...event)}\n`) } : {}),
  });
  file?.end();
  await written.catch((error) => {
    throw new UserError('usage', `--trace: ${flags.trace} cannot be written (${messageOf(error)})`);
  });
  display.close();
  const rows = world.seats.map(({ peer, alive, finished: isDone }) => [
    peer.id,
    alive ? (isDone ? 'finished' : peer.phase) : 'down',
    String(peer.round),
    String(peer.exchanges.length),
    String([...peer.members.values()].filter((m) => m.connected).length),
    Object.entries(peer.refused)
      .map(([code, count]) => `${code} ${count}`)
      .join(', '),
  ]);
  console.log(table([['peer', 'phase', 'round', 'open exchanges', 'connected', 'refused'], ...rows]).join('\n'));
  console.log(`\nat ${world.now()} ms, trace ${world.trace()}`);
  if (result.problem) {
    console.error(result.problem);
    process.exitCode = EXIT.bug;
  }
  return world.trace();
}
