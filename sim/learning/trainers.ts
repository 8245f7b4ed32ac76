/** @file Trainers that outlast a run: one for each base and kind of adapter. */

import { createTrainer, type Trainer } from '../../node/engine/trainer.ts';
import type { Run } from '../../node/train/run.ts';

/** The trainer of a run; `full`: of every weight. */
export type GetTrainer = (run: Run, full: boolean) => Promise<Trainer>;

/** One trainer for each base and kind of adapter, kept for the runs that follow. */
export function createTrainerCache(threads: number): { get: GetTrainer; stop: () => Promise<void> } {
  const kept = new Map<string, Promise<Trainer>>();
  return {
    get: (run, full) => {
      const trainable = full ? ({ type: 'full' } as const) : ({ type: 'lora', lora: run.lora } as const);
      const key = JSON.stringify([run.base.path, trainable]);
      const trainer = kept.get(key) ?? createTrainer({ base: run.base.path, trainable, device: 'cpu', threads });
      kept.set(key, trainer);
      return trainer;
    },
    stop: async () => {
      for (const trainer of kept.values()) await (await trainer).stop();
    },
  };
}
