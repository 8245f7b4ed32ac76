/** @file Runs the model's graphs on a device: scores batches and takes training steps. Lives in the worker thread. */

import { type Base, cacheGraph, openBase, type Precision } from '../checkpoint/base.ts';
import type { Graph } from '../graph/graph.ts';
import { peakBytes } from '../graph/memory.ts';
import { encodeOnnx } from '../graph/onnx.ts';
import { type AdamWSettings, adamWFeeds } from '../model/adamw.ts';
import {
  type Compute,
  type Question,
  sameGraph,
  scoreGraph,
  stepGraph,
  sumGraph,
  type Trainable,
  trainableTensors,
  trainGraph,
} from '../model/program.ts';
import { elementCount } from '../model/tensors.ts';
import type { Batch, LabelWords, TrainBatch } from './batch.ts';
import type { Device } from './device.ts';
import { batchFeeds, scalarFeeds, sizesOf, targetFeeds } from './feeds.ts';
import { microBatches } from './microbatch.ts';
import { createLossScale, type LossScale, NO_SCALE } from './scaling.ts';
import { isKept, type Kept, keepsOutputs, openKeepingSession, type TensorData, type Traffic } from './session.ts';
import { startDevice } from './start.ts';
import {
  deviceCarrier,
  drop,
  dropStep,
  type EngineSession,
  HERE,
  type Held,
  heldOf,
  nextState,
  STATE,
  startState,
  stateFeeds,
  type TrainState,
} from './state.ts';

export interface EngineOptions {
  /** A folder, a GGUF file, or a name that is looked up on this machine. */
  readonly base: string;
  readonly trainable: Trainable;
  readonly device: Device;
  /** 0: one a core. */
  readonly threads: number;
  /** What the frozen matrices are kept in, and widened from as they are used; float32 where not said. */
  readonly basePrecision?: Precision;
  /** Float32 where not said. In float16 the base's matrices are kept in it too, unless another width is named. */
  readonly compute?: Compute;
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
  /** Whether adapter and moments stay on the device between the steps of a job. */
  readonly keepsState: boolean;
  /** Bytes copied to and from the device since it was created, and tensors kept there for now. */
  traffic(): { copiedBytes: number; kept: number };
  release(): Promise<void>;
}

/** What a session does, and what it is asked; each is opened when first needed. */
type Program = `${'score' | 'train' | 'recompute'} ${Question}` | 'step' | 'sum' | 'upload' | 'download';

const PREPACKED_BYTES = 2 ** 27;
/** What a training graph may hold of its layers before they are computed again instead. */
export const ACTIVATION_BYTES = 2 ** 30;

/** Opens the base and its sessions (each when first needed). Throws a UserError if the device named cannot start. */
export async function createEngine(options: EngineOptions, isCancelled: () => boolean = () => false): Promise<Engine> {
  const base = await openBase(options.base, precisionOf(options));
  const traffic: Traffic = { copiedBytes: 0, kept: new Set() };
  const started = await startDevice(options, (device) =>
    open(base, options, { program: 'score labels', device, traffic }),
  );
  const sessions: Partial<Record<Program, EngineSession>> = { 'score labels': started.session };
  const sessionOf = async (program: Program): Promise<EngineSession> => {
    if (isCancelled()) throw new Error('stopped');
    sessions[program] ??= await open(base, options, { program, device: started.device, traffic });
    return sessions[program];
  };
  const programOf = trainingProgram(base, options);
  const size = elementCount(trainableTensors(base, options.trainable));
  const everything: Float32Array = new Float32Array(size).fill(1);
  const carrier = keepsOutputs(started.device)
    ? deviceCarrier(
        () => sessionOf('upload'),
        () => sessionOf('download'),
      )
    : HERE;

  const lossScale = (): LossScale => (options.compute === 'f16' ? createLossScale() : NO_SCALE);

  /** Loss and gradient, summed over micro-batches. */
  const gradientOf = async ([first, ...others]: readonly TrainBatch[], given: Given): Promise<Gradient> => {
    const one = async (part: TrainBatch): Promise<Gradient> => {
      const session = await sessionOf(programOf(part));
      const out = await session.run(trainFeeds(part, given), ['loss', 'gradient']);
      return { gradient: heldOf(out.gradient!), loss: scalarOf(out.loss) };
    };
    let { gradient, loss } = await one(first!);
    for (const part of others) {
      const term = await one(part);
      const { sum } = await (await sessionOf('sum')).run({ gradient, term: term.gradient }, ['sum']);
      drop(gradient);
      drop(term.gradient);
      gradient = heldOf(sum!);
      loss += term.loss;
    }
    return { gradient, loss };
  };
  const stepOn = async (batch: TrainBatch | readonly TrainBatch[], given: Given): Promise<Step> => {
    const { state, scalars } = given;
    const [only, ...others] = [batch].flat().flatMap((one) => microBatches(one)) as [TrainBatch, ...TrainBatch[]];
    if (others.length === 0) {
      const session = await sessionOf(programOf(only));
      const out = await session.run(trainFeeds(only, given), ['loss', 'total', ...STATE]);
      return { loss: scalarOf(out.loss), total: scalarOf(out.total), state: nextState(state, out) };
    }
    const { gradient, loss } = await gradientOf([only, ...others], given);
    const session = await sessionOf('step');
    const out = await session.run({ ...stateFeeds(state), ...scalarFeeds(scalars), gradient }, ['total', ...STATE]);
    drop(gradient);
    return { loss, total: scalarOf(out.total), state: nextState(state, out) };
  };
  /** A step a batch, up to one that gives numbers that are not finite; a batch whose gradient overflows is tried again. */
  const stepsFrom = async (
    start: TrainState,
    { batches, labels, optimiser }: TrainJob,
    onStep?: (loss: number) => void,
  ): Promise<TrainResult> => {
    const scale = lossScale();
    let state = start;
    let diverged: TrainResult['diverged'] = null;
    const losses: number[] = [];
    try {
      for (const batch of batches) {
        const scalars = adamWFeeds(optimiser, losses.length + 1);
        const attempt = (): Promise<Step> => stepOn(batch, { labels, state, scalars, scale: scale.value() });
        let step = await attempt();
        while (hasOverflowed(step) && scale.overflowed()) {
          dropStep(step.state);
          step = await attempt();
        }
        const isSound = Number.isFinite(step.loss) && Number.isFinite(step.total);
        dropStep(isSound ? state : step.state);
        if (!isSound) {
          diverged = { step: losses.length + 1, loss: step.loss };
          break;
        }
        scale.passed();
        state = step.state;
        losses.push(step.loss);
        onStep?.(step.loss);
      }
      return { vector: await carrier.read(state.vector), losses, diverged };
    } finally {
      dropStep(state);
      drop(state.mask);
    }
  };

  return {
    device: started.device,
    notice: started.notice,
    parameters: size,
    keepsState: keepsOutputs(started.device),
    traffic: () => ({ copiedBytes: traffic.copiedBytes, kept: traffic.kept.size }),
    score: async (vector, batches, labels) => {
      const scores: Float32Array[] = [];
      const held = await carrier.hold(vector);
      for (const batch of batches) {
        const session = await sessionOf(`score ${batch.question}`);
        const name = batch.question === 'tokens' ? 'log_probabilities' : 'logits';
        const out = await session.run({ ...batchFeeds(batch, labels), vector: held }, [name]);
        scores.push(out[name] as Float32Array);
      }
      drop(held);
      return scores;
    },
    train: async (job, onStep) => {
      const { vector, mask = everything } = job;
      return stepsFrom(await startState(carrier, { vector, mask }), job, onStep);
    },
    gradient: async (vector, batch, labels) => {
      const state = await startState(carrier, { vector, mask: everything });
      const [scale, scalars] = [lossScale(), adamWFeeds(STILL, 1)];
      for (;;) {
        const { gradient, loss } = await gradientOf(microBatches(batch), {
          labels,
          state,
          scalars,
          scale: scale.value(),
        });
        const numbers = await carrier.read(gradient);
        drop(gradient);
        if (Number.isFinite(loss) && !numbers.every(Number.isFinite) && scale.overflowed()) continue;
        for (const held of Object.values(state)) drop(held);
        return { gradient: numbers, loss };
      }
    },
    release: async () => {
      // Of a job that was given up: what outlives its session brings down the process.
      for (const kept of traffic.kept) kept.dispose();
      for (const session of Object.values(sessions)) await session.release();
    },
  };
}

/** What a step is taken from. */
interface Given {
  readonly labels: LabelWords;
  readonly state: TrainState;
  /** AdamW's. */
  readonly scalars: Readonly<Record<string, number>>;
  /** What the loss is multiplied by; null in float32. */
  readonly scale: number | null;
}

interface Gradient {
  readonly gradient: Held;
  readonly loss: number;
}

interface Step {
  readonly loss: number;
  /** The sum of the adapter: finite where all of it is. */
  readonly total: number;
  readonly state: TrainState;
}

/** A finite loss with a gradient that is not: of float16, whose scale was too large. */
function hasOverflowed({ loss, total }: Step): boolean {
  return Number.isFinite(loss) && !Number.isFinite(total);
}

function precisionOf({ compute, basePrecision = 'f32' }: EngineOptions): Precision {
  return compute === 'f16' && basePrecision === 'f32' ? 'f16' : basePrecision;
}

/** No step at all: what AdamW is fed where only the gradient is wanted. */
const STILL: AdamWSettings = { learningRate: 0, weightDecay: 0, clipNorm: Number.POSITIVE_INFINITY };

/** Chooses a batch's graph: layers are computed again where they would hold more than `ACTIVATION_BYTES`. */
function trainingProgram(base: Base, options: EngineOptions): (batch: TrainBatch) => Program {
  const { trainable, recompute, compute = 'f32' } = options;
  const estimates: Partial<Record<Question, ReturnType<typeof peakBytes>>> = {};
  return (batch) => {
    const { question } = batch;
    if (recompute !== undefined) return `${recompute ? 'recompute' : 'train'} ${question}`;
    estimates[question] ??= peakBytes(trainGraph(base, trainable, { question, compute }));
    return `${estimates[question](sizesOf(batch)) > ACTIVATION_BYTES ? 'recompute' : 'train'} ${question}`;
  };
}

async function open(
  base: Base,
  options: EngineOptions,
  { program, device, traffic }: { program: Program; device: Exclude<Device, 'auto'>; traffic: Traffic },
): Promise<EngineSession> {
  const path = await cacheGraph(base, encodeOnnx(graphOf(base, options, program), base.weights));
  return openKeepingSession(path, device, keepsOutputs(device) ? keptOf(program) : [], {
    threads: options.threads,
    traffic,
    prepack: trains(program) && isPrepacked(base.places),
    ...(options.profile ? { profile: `${options.profile}-${program.split(' ')[0]}` } : {}),
  });
}

/** A matrix is packed anew for every product unless a session keeps it packed, which is worth its memory where models are small. */
export function isPrepacked(places: Base['places']): boolean {
  return [...places.values()].reduce((sum, { byteLength }) => sum + byteLength, 0) <= PREPACKED_BYTES;
}

function graphOf(base: Base, { trainable, compute = 'f32' }: EngineOptions, program: Program): Graph {
  if (program === 'step') return stepGraph(base, trainable);
  if (program === 'sum') return sumGraph(base, trainable);
  if (program === 'upload' || program === 'download') return sameGraph(base, trainable);
  const [kind, question] = program.split(' ') as ['score' | 'train' | 'recompute', Question];
  if (kind === 'score') return scoreGraph(base, trainable, question, compute);
  return trainGraph(base, trainable, { question, compute, recompute: kind === 'recompute' });
}

/** The outputs that stay on a device which can keep them. */
function keptOf(program: Program): readonly string[] {
  if (program === 'step') return STATE;
  if (program === 'sum') return ['sum'];
  if (program === 'upload') return ['same'];
  return trains(program) ? ['gradient', ...STATE] : [];
}

function trains(program: Program): boolean {
  return program.startsWith('train') || program.startsWith('recompute');
}

function trainFeeds(batch: TrainBatch, { labels, state, scalars, scale }: Given): Record<string, Held> {
  return {
    ...batchFeeds(batch, labels),
    ...targetFeeds(batch),
    ...stateFeeds(state),
    ...scalarFeeds(scale === null ? scalars : { ...scalars, loss_scale: scale }),
  };
}

function scalarOf(data: TensorData | Kept | undefined): number {
  return data === undefined || isKept(data) ? Number.NaN : Number(data[0]);
}
