/** @file Runs experiments: what has no final record yet, one run after the other, each written when it is whole. */
import { makeFolder } from '../../node/atomic.ts';
import type { PlannedRun } from './plan.ts';
import { appendRecords, type ExperimentRecord, type RoundRecord, readRecords, recordsOf } from './records.ts';
import { createTrainerCache } from './trainers.ts';
import { runTrial } from './trial.ts';

export interface ExperimentOptions {
  readonly runs: readonly PlannedRun[];
  readonly folder: string;
  readonly threads: number;
  readonly signal: AbortSignal;
  /** `done` counts runs, with the share of the run at hand; `latest` is that run's last round. */
  readonly onProgress: (done: number, total: number, label: string, latest?: RoundRecord) => void;
}

/** Runs what is not in the folder; a run cut short starts over. Gives the records of all the runs asked for. */
export async function runExperiment(options: ExperimentOptions): Promise<ExperimentRecord[]> {
  const { runs, folder, signal, onProgress } = options;
  makeFolder(folder);
  const trainers = createTrainerCache(options.threads);
  const stop = (): void => {
    trainers.stop().catch(() => {}); // the run at hand fails at its next step
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    for (;;) {
      // Read anew each time: what another process has finished meanwhile is not run again.
      const open = openRuns(runs, folder);
      const [planned] = open;
      if (!planned) break;
      const done = runs.length - open.length;
      const label = labelOf(planned);
      onProgress(done, runs.length, label);
      appendRecords(
        folder,
        await runTrial(planned, trainers.get, signal, (record, share) =>
          onProgress(done + share, runs.length, label, record),
        ),
      );
    }
  } finally {
    signal.removeEventListener('abort', stop);
    await trainers.stop();
  }
  onProgress(runs.length, runs.length, 'done');
  return recordsOf(runs, readRecords(folder));
}

function openRuns(runs: readonly PlannedRun[], folder: string): PlannedRun[] {
  const finished = new Set(readRecords(folder).flatMap((r) => (r.type === 'final' ? [r.key] : [])));
  return runs.filter((run) => !finished.has(run.key));
}

export function labelOf({ method, seed, point }: PlannedRun): string {
  const where = Object.entries(point).map(([name, value]) => `${name} ${value}`);
  return [method, ...where, `seed ${seed}`].join(', ');
}
