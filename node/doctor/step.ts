/**
 * @file A tiny training step on one device: its loss, its gradient, how long it took, and which nodes another back end ran.
 * As a program of its own (`step.js BASE DEVICE COMPUTE FOLDER`) it prints that as one line of JSON, since a back end that fails may
 * take its whole process along.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openBase } from '../checkpoint/base.ts';
import { type LabelWords, packBatch, type TrainBatch, withTargets } from '../engine/batch.ts';
import type { Device } from '../engine/device.ts';
import { createEngine, type Engine } from '../engine/engine.ts';
import { packPassages, withWeights } from '../engine/packing.ts';
import { messageOf } from '../errors.ts';
import { initialLora } from '../model/lora.ts';
import { type Compute, type Trainable, trainableTensors } from '../model/program.ts';

export interface Step {
  readonly loss: number;
  /** Float32, little-endian, base64. */
  readonly gradient: string;
  /** The first step, with what is compiled for it, and the second. */
  readonly firstMs: number;
  readonly ms: number;
  readonly nodes: number;
  /** Nodes by op that the CPU ran although another device was asked for. */
  readonly fallen: Readonly<Record<string, number>>;
  /** Whether adapter and moments stay on the device between the steps of a job, and what is copied there and back for each. */
  readonly keepsState: boolean;
  readonly copiedBytes: number;
  /** The most memory the process has held, in bytes. */
  readonly peakBytes: number;
}

const TRAINABLE: Trainable = { type: 'lora', lora: { rank: 2, alpha: 4, targets: 'all' } };
const [SEQUENCES, TOKENS] = [2, 16];

interface StepOptions {
  readonly base: string;
  readonly device: Device;
  readonly compute: Compute;
  /** Receives the profiles of onnxruntime. */
  readonly folder: string;
}

/** Takes a few steps from an adapter that is nowhere zero. */
export async function tinyStep({ base: name, device, compute, folder }: StepOptions): Promise<Step> {
  const base = await openBase(name);
  const dice = diceOf(1);
  const vector = initialLora(trainableTensors(base, TRAINABLE), dice).map((x) => x || 0.02 * (dice() - 0.5));
  const { batch, labels } = tinyBatch(base.architecture);
  const engine = await createEngine({
    base: name,
    trainable: TRAINABLE,
    device,
    threads: 0,
    compute,
    profile: join(folder, 'step'),
  });
  const began = performance.now();
  await engine.gradient(vector, batch, labels);
  const between = performance.now();
  const { gradient, loss } = await engine.gradient(vector, batch, labels);
  const ended = performance.now();
  const copiedBytes = await copiedBy(engine, { vector, batch, labels });
  await engine.release();
  return {
    loss,
    gradient: Buffer.from(gradient.buffer, gradient.byteOffset, gradient.byteLength).toString('base64'),
    firstMs: between - began,
    ms: ended - between,
    ...nodesOf(folder, device),
    keepsState: engine.keepsState,
    copiedBytes,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
}

/** What one step more copies. */
async function copiedBy(
  engine: Engine,
  { vector, batch, labels }: { vector: Float32Array; batch: TrainBatch; labels: LabelWords },
): Promise<number> {
  const optimiser = { learningRate: 1e-4, weightDecay: 0, clipNorm: 1 };
  const copied: number[] = [];
  for (const batches of [[batch], [batch, batch]]) {
    const before = engine.traffic().copiedBytes;
    await engine.train({ vector, batches, labels, optimiser });
    copied.push(engine.traffic().copiedBytes - before);
  }
  return copied[1]! - copied[0]!;
}

/** Words spread over the vocabulary: one asked for in each text, or of a causal model each after the one before it. */
function tinyBatch({ isCausal, vocabulary }: { isCausal: boolean; vocabulary: number }): {
  batch: TrainBatch;
  labels: LabelWords;
} {
  const word = (i: number): number => (i * 7919) % vocabulary;
  const texts = Array.from({ length: SEQUENCES }, (_, b) =>
    Array.from({ length: TOKENS - 3 * b }, (_, t) => word(1 + b * TOKENS + t)),
  );
  if (!isCausal) {
    const batch = packBatch(
      texts.map((ids) => ({ ids, positions: [ids.length >> 1] })),
      0,
    );
    const targets = texts.map((_, b) => ({ distribution: [1 - b, b], weight: 1 / SEQUENCES, temperature: 1 }));
    return { batch: withTargets(batch, targets), labels: { ids: [word(101), word(102)], bias: [0, 0] } };
  }
  const weight = 1 / texts.flatMap((ids) => ids.slice(1)).length;
  const passages = texts.map((ids) => ({
    ids,
    scored: ids.slice(1).map((id, position) => ({ position, id, weight })),
  }));
  return { batch: withWeights(packPassages(passages, 2 * TOKENS, 0), passages), labels: { ids: [], bias: [] } };
}

/** A small generator of numbers in [0, 1): Park and Miller 1988. */
function diceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

interface ProfileEvent {
  readonly cat?: string;
  readonly name?: string;
  readonly args?: { readonly provider?: string; readonly op_name?: string };
}

/** The nodes of the train graph, and those that fell back. */
function nodesOf(folder: string, device: Device): Pick<Step, 'nodes' | 'fallen'> {
  const file = readdirSync(folder).find((name) => name.startsWith('step-train'));
  if (file === undefined) return { nodes: 0, fallen: {} };
  const events = JSON.parse(readFileSync(join(folder, file), 'utf8')) as ProfileEvent[];
  const ran = new Map<string, { provider: string; op: string }>();
  for (const { cat, name, args } of events)
    if (
      cat === 'Node' &&
      name?.endsWith('_kernel_time') &&
      args?.provider &&
      args.op_name &&
      !/^Memcpy/.test(args.op_name)
    )
      ran.set(name, { provider: args.provider, op: args.op_name });
  const fallen: Record<string, number> = {};
  for (const { provider, op } of ran.values())
    if (device !== 'cpu' && provider === 'CPUExecutionProvider') fallen[op] = (fallen[op] ?? 0) + 1;
  return { nodes: ran.size, fallen };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [base, device, compute, folder] = process.argv.slice(2) as [string, Device, Compute, string];
  try {
    process.stdout.write(`${JSON.stringify(await tinyStep({ base, device, compute, folder }))}\n`);
  } catch (error) {
    const problem = messageOf(error)
      .split('\n')[0]!
      .replace(/^--device \w+: \w+: (.*); wanted one of .*$/, '$1');
    process.stdout.write(`${JSON.stringify({ problem })}\n`);
  }
}
