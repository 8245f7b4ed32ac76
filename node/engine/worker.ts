/** @file The worker thread: owns the engine, runs one job after the other, so that the main thread never waits. */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf, UserError } from '../errors.ts';
import type { Batch, LabelWords, TrainBatch } from './batch.ts';
import { createEngine, type Engine, type EngineOptions, type TrainJob } from './engine.ts';

export type Job =
  | ({ readonly type: 'train' } & TrainJob)
  | {
      readonly type: 'score';
      readonly vector: Float32Array;
      readonly batches: readonly Batch[];
      readonly labels: LabelWords;
    }
  | {
      readonly type: 'gradient';
      readonly vector: Float32Array;
      readonly batch: TrainBatch;
      readonly labels: LabelWords;
    }
  | { readonly type: 'stop' };

export type Reply =
  | { readonly type: 'ready'; readonly device: string; readonly notice: string | null }
  | { readonly type: 'failed'; readonly message: string; readonly mistake: UserError['mistake'] | null }
  | { readonly type: 'result'; readonly id: number; readonly result: unknown }
  | { readonly type: 'error'; readonly id: number; readonly message: string }
  | { readonly type: 'step'; readonly id: number; readonly loss: number };

const port = parentPort!;
const reply = (message: Reply): void => port.postMessage(message);

async function runJob(engine: Engine, id: number, job: Job): Promise<unknown> {
  switch (job.type) {
    case 'train':
      return engine.train(job, (loss) => reply({ type: 'step', id, loss }));
    case 'score':
      return engine.score(job.vector, job.batches, job.labels);
    case 'gradient':
      return engine.gradient(job.vector, job.batch, job.labels);
    case 'stop':
      await engine.release();
      port.close();
      return null;
  }
}

const { options, cancelled } = workerData as { options: EngineOptions; cancelled: Int32Array };
/** Whether the trainer is being stopped; looked at between steps. */
const isCancelled = (): boolean => Atomics.load(cancelled, 0) === 1;

try {
  const engine = await createEngine(options, isCancelled);
  let last: Promise<unknown> = Promise.resolve();
  port.on('message', ({ id, job }: { id: number; job: Job }) => {
    last = last
      .then(() => runJob(engine, id, job))
      .then(
        (result) => reply({ type: 'result', id, result }),
        (error) => reply({ type: 'error', id, message: messageOf(error) }),
      );
  });
  reply({ type: 'ready', device: engine.device, notice: engine.notice });
} catch (error) {
  reply({ type: 'failed', message: messageOf(error), mistake: error instanceof UserError ? error.mistake : null });
  port.close();
}
