/** @file Runs the model's graphs on a device: scores batches and takes training steps. Lives in the worker thread. */

import { type Base, cacheGraph, openBase } from '../checkpoint/base.ts';
import { WEIGHTS_FILE } from '../checkpoint/weights.ts';
import { UserError } from '../errors.ts';
import { encodeOnnx } from '../graph/onnx.ts';
import { type AdamWSettings, adamWFeeds } from '../model/adamw.ts';
import { type Question, scoreGraph, type Trainable, trainableTensors, trainGraph } from '../model/program.ts';
import { elementCount } from '../model/tensors.ts';
import type { Batch, LabelWords, TrainBatch } from './batch.ts';
import { batchFeeds, scalarFeeds, targetFeeds } from './feeds.ts';
import {
  type Device,
  type Feed,
  listDevices,
  missingFor,
  openSession,
  reasonIn,
  type Session,
  type TensorData,
} from './session.ts';

export interface EngineOptions {
  /** A folder, a GGUF file, or a name that is looked up on this machine. */
  readonly base: string;
  readonly trainable: Trainable;
  readonly device: Device;
  /** 0: one a core. */
  readonly threads: number;
  /** Where to write which back end ran each node of the graphs, as the engine is released. */
  readonly profile?: string;
}

export interface TrainJob {
  readonly vector: Float32Array;
  readonly batches: readonly TrainBatch[];
  readonly labels: LabelWords;
  readonly optimiser: AdamWSettings;
  /** 1 where a number is trained, 0 where it stays, [P]; all are by default. */
  readonly mask?: Float32Array;
}

export interface TrainResult {
  readonly vector: Float32Array;
  /** One a step, each before its step. */
  readonly losses: readonly number[];
}

export interface Engine {
  readonly device: Device;
  /** A line for the user where `auto` had to fall back. */
  readonly notice: string | null;
  /** Logits of the label words, [B*M, K] or [E, K] a batch; of tokens their log-probabilities, [R]. */
  score(vector: Float32Array, batches: readonly Batch[], labels: LabelWords): Promise<Float32Array[]>;
  /** AdamW from zero moments over the batches, one step each. */
  train(job: TrainJob, onStep?: (loss: number) => void): Promise<TrainResult>;
  /** The gradient of one batch's loss, and the loss. */
  gradient(
    vector: Float32Array,
    batch: TrainBatch,
    labels: LabelWords,
  ): Promise<{ gradient: Float32Array; loss: number }>;
  release(): Promise<void>;
}

/** What a session does, and what it is asked; one a pair, opened when first needed. */
type Program = `${'score' | 'train'} ${Question}`;

/** Opens the base and its sessions (each when first needed). Throws a UserError if the device named cannot start. */
export async function createEngine(options: EngineOptions, isCancelled: () => boolean = () => false): Promise<Engine> {
  const base = await openBase(options.base);
  const started = await startDevice(base, options);
  const sessions: Partial<Record<Program, Session>> = { 'score labels': started.session };
  const sessionOf = async (program: Program): Promise<Session> => {
    sessions[program] ??= await open(base, options, program, started.device);
    return sessions[program];
  };
  const size = elementCount(trainableTensors(base, options.trainable));
  const everything = new Float32Array(size).fill(1);
  return {
    device: started.device,
    notice: started.notice,
    score: async (vector, batches, labels) => {
      const scores: Float32Array[] = [];
      for (const batch of batches) {
        if (isCancelled()) throw new Error('stopped');
        const feeds = { ...batchFeeds(batch, labels), vector: { data: vector, dims: [size] } };
        const name = batch.question === 'tokens' ? 'log_probabilities' : 'logits';
        const session = await sessionOf(`score ${batch.question}`);
        scores.push((await session.run(feeds, [name]))[name] as Float32Array);
      }
      return scores;
    },
    train: async (job, onStep) => {
      const mask = job.mask ?? everything;
      let state: TrainState = {
        mask,
        vector: job.vector,
        first: new Float32Array(size),
        second: new Float32Array(size),
      };
      const losses: number[] = [];
      for (const batch of job.batches) {
        if (isCancelled()) throw new Error('stopped');
        const feeds = trainFeeds(batch, job.labels, state, adamWFeeds(job.optimiser, losses.length + 1));
        const session = await sessionOf(`train ${batch.question}`);
        const out = await session.run(feeds, ['loss', 'vector_next', 'first_moment_next', 'second_moment_next']);
        losses.push(scalarOf(out.loss));
        onStep?.(losses.at(-1)!);
        state = {
          mask,
          vector: out.vector_next as Float32Array,
          first: out.first_moment_next as Float32Array,
          second: out.second_moment_next as Float32Array,
        };
      }
      return { vector: state.vector, losses };
    },
    gradient: async (vector, batch, labels) => {
      const state = { mask: everything, vector, first: new Float32Array(size), second: new Float32Array(size) };
      const still = { learningRate: 0, weightDecay: 0, clipNorm: Number.POSITIVE_INFINITY };
      const session = await sessionOf(`train ${batch.question}`);
      const out = await session.run(trainFeeds(batch, labels, state, adamWFeeds(still, 1)), ['loss', 'gradient']);
      return { gradient: out.gradient as Float32Array, loss: scalarOf(out.loss) };
    },
    release: async () => {
      for (const session of Object.values(sessions)) await session.release();
    },
  };
}

async function open(
  base: Base,
  options: EngineOptions,
  program: Program,
  device: Exclude<Device, 'auto'>,
): Promise<Session> {
  const [kind, question] = program.split(' ') as ['score' | 'train', Question];
  const build = kind === 'score' ? scoreGraph : trainGraph;
  const graph = build(base, options.trainable, question);
  const path = await cacheGraph(base, encodeOnnx(graph, WEIGHTS_FILE));
  return openSession(path, device, {
    threads: options.threads,
    ...(options.profile ? { profile: `${options.profile}-${kind}` } : {}),
  });
}

/** Starts the device asked for; `auto` tries what onnxruntime lists, ending with the CPU. */
async function startDevice(
  base: Base,
  options: EngineOptions,
): Promise<{ session: Session; device: Exclude<Device, 'auto'>; notice: string | null }> {
  const candidates = options.device === 'auto' ? listDevices() : [options.device];
  const failures: string[] = [];
  for (const device of candidates) {
    try {
      const missing = missingFor(device, options.device !== 'auto');
      if (missing) throw new Error(missing);
      const session = await open(base, options, 'score labels', device);
      const notice = failures.length ? `training on the ${device.toUpperCase()} (${failures.join('; ')})` : null;
      return { session, device, notice };
    } catch (error) {
      if (error instanceof UserError) throw error;
      failures.push(`${device}: ${reasonIn(error)}`);
    }
  }
  throw new UserError(
    'usage',
    `--device ${options.device}: ${failures.join('; ')}; wanted one of auto, ${listDevices().join(', ')}`,
  );
}

interface TrainState {
  readonly mask: Float32Array;
  readonly vector: Float32Array;
  readonly first: Float32Array;
  readonly second: Float32Array;
}

function trainFeeds(
  batch: TrainBatch,
  labels: LabelWords,
  state: TrainState,
  scalars: Record<string, number>,
): Record<string, Feed> {
  const flat = [state.vector.length];
  return {
    ...batchFeeds(batch, labels),
    ...targetFeeds(batch),
    vector: { data: state.vector, dims: flat },
    first_moment: { data: state.first, dims: flat },
    second_moment: { data: state.second, dims: flat },
    mask: { data: state.mask, dims: flat },
    ...scalarFeeds(scalars),
  };
}

function scalarOf(data: TensorData | undefined): number {
  return Number(data?.[0] ?? Number.NaN);
}
