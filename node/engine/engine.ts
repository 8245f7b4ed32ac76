/** @file Runs the model's graphs on a device: scores batches and takes training steps. Lives in the worker thread. */

import { type Base, cacheGraph, openBase, type Precision } from '../checkpoint/base.ts';
import { UserError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { peakBytes } from '../graph/memory.ts';
import { encodeOnnx } from '../graph/onnx.ts';
import { type AdamWSettings, adamWFeeds } from '../model/adamw.ts';
import {
  type Question,
  scoreGraph,
  stepGraph,
  type Trainable,
  trainableTensors,
  trainGraph,
} from '../model/program.ts';
import { elementCount } from '../model/tensors.ts';
import type { Batch, LabelWords, TrainBatch } from './batch.ts';
import { batchFeeds, scalarFeeds, sizesOf, targetFeeds } from './feeds.ts';
import { microBatches } from './microbatch.ts';
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
  /** What the frozen matrices are kept in, and widened from as they are used; float32 where not said. */
  readonly basePrecision?: Precision;
  /** Where to write which back end ran each node of the graphs, as the engine is released. */
  readonly profile?: string;
  /** Whether layers are computed again for their gradients, which takes less memory and more time; by a batch's size where not said. */
  readonly recompute?: boolean;
}

export interface TrainJob {
  readonly vector: Float32Array;
  /** One a step, or several whose losses add up. */
  readonly batches: readonly (TrainBatch | readonly TrainBatch[])[];
  readonly labels: LabelWords;
  readonly optimiser: AdamWSettings;
  /** 1 where a number is trained, 0 where it stays, [P]; all are by default. */
  readonly mask?: Float32Array;
}

export interface TrainResult {
  readonly vector: Float32Array;
  /** One a step, each before its step. */
  readonly losses: readonly number[];
  /** The step, from 1, that gave numbers that are not finite, and its loss: the vector is the one before it. Null: none did. */
  readonly diverged: { readonly step: number; readonly loss: number } | null;
}

export interface Engine {
  readonly device: Device;
  /** A line for the user where `auto` had to fall back. */
  readonly notice: string | null;
  /** Numbers that are trained. */
  readonly parameters: number;
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

/** What a session does, and what it is asked; each is opened when first needed. */
type Program = `${'score' | 'train' | 'recompute'} ${Question}` | 'step';

const PREPACKED_BYTES = 2 ** 27;
/** What a training graph may hold of its layers before they are computed again instead. */
export const ACTIVATION_BYTES = 2 ** 30;
const STATE = ['vector_next', 'first_moment_next', 'second_moment_next'];

/** Opens the base and its sessions (each when first needed). Throws a UserError if the device named cannot start. */
export async function createEngine(options: EngineOptions, isCancelled: () => boolean = () => false): Promise<Engine> {
  const base = await openBase(options.base, options.basePrecision);
  const started = await startDevice(base, options);
  const sessions: Partial<Record<Program, Session>> = { 'score labels': started.session };
  const sessionOf = async (program: Program): Promise<Session> => {
    if (isCancelled()) throw new Error('stopped');
    sessions[program] ??= await open(base, options, program, started.device);
    return sessions[program];
  };
  const programOf = trainingProgram(base, options);
  const size = elementCount(trainableTensors(base, options.trainable));
  const everything: Float32Array = new Float32Array(size).fill(1);

  /** Loss and gradient, summed over micro-batches. */
  const gradientOf = async (
    parts: readonly TrainBatch[],
    labels: LabelWords,
    state: TrainState,
  ): Promise<{ gradient: Float32Array; loss: number }> => {
    const gradient = new Float32Array(size);
    let loss = 0;
    for (const part of parts) {
      const session = await sessionOf(programOf(part));
      const out = await session.run(trainFeeds(part, labels, state, adamWFeeds(STILL, 1)), ['loss', 'gradient']);
      const term = out.gradient as Float32Array;
      for (let i = 0; i < size; i++) gradient[i]! += term[i]!;
      loss += scalarOf(out.loss);
    }
    return { gradient, loss };
  };
  const stepOn = async (
    batch: TrainBatch | readonly TrainBatch[],
    { labels, state, scalars }: { labels: LabelWords; state: TrainState; scalars: Record<string, number> },
  ): Promise<{ loss: number; state: TrainState }> => {
    const [only, ...others] = [batch].flat().flatMap((one) => microBatches(one)) as [TrainBatch, ...TrainBatch[]];
    if (others.length === 0) {
      const session = await sessionOf(programOf(only));
      const out = await session.run(trainFeeds(only, labels, state, scalars), ['loss', ...STATE]);
      return { loss: scalarOf(out.loss), state: nextState(state, out) };
    }
    const { gradient, loss } = await gradientOf([only, ...others], labels, state);
    const session = await sessionOf('step');
    const feeds = { ...stateFeeds(state), ...scalarFeeds(scalars), gradient: { data: gradient, dims: [size] } };
    return { loss, state: nextState(state, await session.run(feeds, STATE)) };
  };
  const startOf = (vector: Float32Array, mask = everything): TrainState => ({
    mask,
    vector,
    first: new Float32Array(size),
    second: new Float32Array(size),
  });

  return {
    device: started.device,
    notice: started.notice,
    parameters: size,
    score: async (vector, batches, labels) => {
      const scores: Float32Array[] = [];
      for (const batch of batches) {
        const session = await sessionOf(`score ${batch.question}`);
        const feeds = { ...batchFeeds(batch, labels), vector: { data: vector, dims: [size] } };
        const name = batch.question === 'tokens' ? 'log_probabilities' : 'logits';
        scores.push((await session.run(feeds, [name]))[name] as Float32Array);
      }
      return scores;
    },
    train: async ({ vector, batches, labels, optimiser, mask }, onStep) => {
      let state = startOf(vector, mask);
      const losses: number[] = [];
      for (const batch of batches) {
        const scalars = adamWFeeds(optimiser, losses.length + 1);
        const step = await stepOn(batch, { labels, state, scalars });
        if (!isSound(step))
          return { vector: state.vector, losses, diverged: { step: losses.length + 1, loss: step.loss } };
        losses.push(step.loss);
        onStep?.(step.loss);
        state = step.state;
      }
      return { vector: state.vector, losses, diverged: null };
    },
    gradient: (vector, batch, labels) => gradientOf(microBatches(batch), labels, startOf(vector)),
    release: async () => {
      for (const session of Object.values(sessions)) await session.release();
    },
  };
}

/** No step at all: what AdamW is fed where only the gradient is wanted. */
const STILL: AdamWSettings = { learningRate: 0, weightDecay: 0, clipNorm: Number.POSITIVE_INFINITY };

/** Chooses a batch's graph: layers are computed again where they would hold more than `ACTIVATION_BYTES`. */
function trainingProgram(base: Base, { trainable, recompute }: EngineOptions): (batch: TrainBatch) => Program {
  const estimates: Partial<Record<Question, ReturnType<typeof peakBytes>>> = {};
  return (batch) => {
    const { question } = batch;
    if (recompute !== undefined) return `${recompute ? 'recompute' : 'train'} ${question}`;
    estimates[question] ??= peakBytes(trainGraph(base, trainable, { question }));
    return `${estimates[question](sizesOf(batch)) > ACTIVATION_BYTES ? 'recompute' : 'train'} ${question}`;
  };
}

async function open(
  base: Base,
  options: EngineOptions,
  program: Program,
  device: Exclude<Device, 'auto'>,
): Promise<Session> {
  const path = await cacheGraph(base, encodeOnnx(graphOf(base, options.trainable, program), base.weights));
  return openSession(path, device, {
    threads: options.threads,
    prepack: program !== 'step' && !program.startsWith('score') && isPrepacked(base.places),
    ...(options.profile ? { profile: `${options.profile}-${program.split(' ')[0]}` } : {}),
  });
}

/** A matrix is packed anew for every product unless a session keeps it packed, which is worth its memory where models are small. */
export function isPrepacked(places: Base['places']): boolean {
  return [...places.values()].reduce((sum, { byteLength }) => sum + byteLength, 0) <= PREPACKED_BYTES;
}

function graphOf(base: Base, trainable: Trainable, program: Program): Graph {
  if (program === 'step') return stepGraph(base, trainable);
  const [kind, question] = program.split(' ') as ['score' | 'train' | 'recompute', Question];
  if (kind === 'score') return scoreGraph(base, trainable, question);
  return trainGraph(base, trainable, { question, recompute: kind === 'recompute' });
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
      const notice = failures.length ? `computing on the ${device.toUpperCase()} (${failures.join('; ')})` : null;
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

/** Whether loss and adapter are finite; a sum of finite numbers in float64 is. */
function isSound({ loss, state }: { loss: number; state: TrainState }): boolean {
  let sum = loss;
  for (const x of state.vector) sum += x;
  return Number.isFinite(sum);
}

interface TrainState {
  readonly mask: Float32Array;
  readonly vector: Float32Array;
  readonly first: Float32Array;
  readonly second: Float32Array;
}

function nextState({ mask }: TrainState, out: Record<string, TensorData>): TrainState {
  const [vector, first, second] = STATE.map((name) => out[name] as Float32Array);
  return { mask, vector: vector!, first: first!, second: second! };
}

function trainFeeds(
  batch: TrainBatch,
  labels: LabelWords,
  state: TrainState,
  scalars: Record<string, number>,
): Record<string, Feed> {
  return { ...batchFeeds(batch, labels), ...targetFeeds(batch), ...stateFeeds(state), ...scalarFeeds(scalars) };
}

function stateFeeds({ vector, first, second, mask }: TrainState): Record<string, Feed> {
  const flat = [vector.length];
  return {
    vector: { data: vector, dims: flat },
    first_moment: { data: first, dims: flat },
    second_moment: { data: second, dims: flat },
    mask: { data: mask, dims: flat },
  };
}

function scalarOf(data: TensorData | undefined): number {
  return Number(data?.[0] ?? Number.NaN);
}
