/** @file The one door to onnxruntime: opens a model file on a device and runs it. Runs inside the worker thread. */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as ort from 'onnxruntime-node';
import type { Device } from './device.ts';

export type TensorData = Float32Array | Float64Array | BigInt64Array;

/** A tensor to feed: row-major data and its sizes. */
export interface Feed {
  readonly data: TensorData;
  readonly dims: readonly number[];
}

/** A tensor that stays on the device between runs. Whoever is given it disposes of it, before its session is released. */
export interface Kept {
  readonly tensor: ort.Tensor;
  dispose(): void;
}

/** What a session gives: data, or where it keeps outputs on the device what stands for it. */
export interface Session<Result = TensorData> {
  readonly device: Device;
  /** Runs the graph; gives the named outputs. */
  run(feeds: Readonly<Record<string, Feed | Kept>>, outputs: readonly string[]): Promise<Record<string, Result>>;
  release(): Promise<void>;
}

/** What sessions were fed and gave, which goes to a device and comes back, in bytes, and what is kept there for now. */
export interface Traffic {
  copiedBytes: number;
  readonly kept: Set<Kept>;
}

export interface SessionOptions {
  /** Threads of one operator; 0 lets onnxruntime take one per core. */
  readonly threads?: number;
  /** `false` keeps external weights memory-mapped instead of repacked into private memory. */
  readonly prepack?: boolean;
  /** Counts what is copied and kept. */
  readonly traffic?: Traffic;
  /** Where onnxruntime writes, as the session is released, which back end ran each node: PROFILE and a date, `.json`. */
  readonly profile?: string;
}

/** The devices this build of onnxruntime lists, most capable first, the CPU last. */
export function listDevices(): Exclude<Device, 'auto'>[] {
  const listed = new Set(ort.listSupportedBackends().map((b) => b.name));
  const capable = (['cuda', 'coreml', 'dml', 'webgpu'] as const).filter((device) => listed.has(device));
  return [...capable, 'cpu'];
}

/**
 * Why a device is not to be tried here, as far as that shows without trying (a failed try prints lines of its own); else null.
 * One that was asked for by name may be a processor that plays a graphics card, as SwiftShader does: slow, but good for tests.
 */
export function missingFor(device: Exclude<Device, 'auto'>, isAsked: boolean): string | null {
  if (process.platform !== 'linux') return null;
  if (device === 'cuda') {
    const binaries = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
    const provider = join(binaries, 'bin', 'napi-v6', 'linux', process.arch, 'libonnxruntime_providers_cuda.so');
    return existsSync(provider) ? null : 'its libraries are not installed';
  }
  if (device !== 'webgpu') return null;
  const drivers = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d'];
  const isDriven = process.env.VK_ICD_FILENAMES || process.env.VK_DRIVER_FILES || drivers.some(holdsFiles);
  if (!isDriven) return 'there is no Vulkan driver';
  const cards = ['/dev/dri', '/dev/nvidia0', '/dev/dxg'];
  return isAsked || cards.some((card) => existsSync(card)) ? null : 'there is no graphics card';
}

function holdsFiles(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).length > 0;
}

/** What onnxruntime says of a device that does not start, without the place in its source. */
export function reasonIn(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message
    .replace(/^\S+:\d+ .*? was false\. ?/s, '')
    .split('\n')[0]!
    .slice(0, 120);
}

/** Whether outputs can stay on a device until they are fed again: onnxruntime-node hands out no other device's memory. */
export function keepsOutputs(device: Exclude<Device, 'auto'>): boolean {
  return device === 'webgpu';
}

/**
 * Idle threads sleep rather than spin. Scoring and training take turns, each with threads of its own, and peers often share
 * a machine: spinning costs them a fifth of the time there, and saves a lone session on an idle machine a twentieth.
 */
const NO_SPINNING = { intra_op: { allow_spinning: '0' } };

/** Opens an ONNX file (or bytes without external data). Throws what onnxruntime throws when the device cannot start. */
export function openSession(
  model: string | Uint8Array,
  device: Exclude<Device, 'auto'>,
  options: SessionOptions = {},
): Promise<Session> {
  return openKeepingSession(model, device, [], options) as Promise<Session>;
}

/** The same with outputs that stay on the device, which must be one that `keepsOutputs`, unless there are none. */
export async function openKeepingSession(
  model: string | Uint8Array,
  device: Exclude<Device, 'auto'>,
  kept: readonly string[],
  options: SessionOptions = {},
): Promise<Session<TensorData | Kept>> {
  const sessionOptions: ort.InferenceSession.SessionOptions = {
    executionProviders: device === 'cpu' ? ['cpu'] : [device, 'cpu'],
    logSeverityLevel: 3,
    // One block planned for a whole run is kept beside what the arena holds: half as much again, or more.
    enableMemPattern: false,
    ...(options.threads ? { intraOpNumThreads: options.threads } : {}),
    ...(options.profile ? { enableProfiling: true, profileFilePrefix: options.profile } : {}),
    ...(kept.length > 0
      ? { preferredOutputLocation: Object.fromEntries(kept.map((name) => [name, 'gpu-buffer' as const])) }
      : {}),
    extra: { session: { ...NO_SPINNING, ...(options.prepack ? {} : { disable_prepacking: '1' }) } },
  };
  const session = await (typeof model === 'string'
    ? ort.InferenceSession.create(model, sessionOptions)
    : ort.InferenceSession.create(model, sessionOptions));
  const { traffic = { copiedBytes: 0, kept: new Set() } } = options;
  return {
    device,
    run: async (feeds, outputs) => {
      const tensors = Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, tensorOf(feed, traffic)]));
      // A session that keeps outputs remembers which it was asked for, and fails where the next run asks for others.
      const results = await session.run(tensors, kept.length > 0 ? session.outputNames : outputs);
      const given = Object.entries(results).map(([name, tensor]) => [name, resultOf(tensor, traffic)] as const);
      for (const [name, result] of given) if (isKept(result) && !outputs.includes(name)) result.dispose();
      return Object.fromEntries(given);
    },
    release: async () => {
      if (options.profile) session.endProfiling();
      await session.release();
    },
  };
}

export function isKept(tensor: Feed | TensorData | Kept): tensor is Kept {
  return 'tensor' in tensor;
}

function tensorOf(feed: Feed | Kept, traffic: Traffic): ort.Tensor {
  if (isKept(feed)) return feed.tensor;
  traffic.copiedBytes += feed.data.byteLength;
  return new ort.Tensor(elementType(feed.data), feed.data as Float32Array, feed.dims);
}

function resultOf(tensor: ort.Tensor, traffic: Traffic): TensorData | Kept {
  if (tensor.location !== 'gpu-buffer') {
    const data = tensor.data as TensorData;
    traffic.copiedBytes += data.byteLength;
    return data;
  }
  const kept: Kept = {
    tensor,
    dispose: () => {
      if (traffic.kept.delete(kept)) tensor.dispose();
    },
  };
  traffic.kept.add(kept);
  return kept;
}

function elementType(data: TensorData): 'float32' | 'float64' | 'int64' {
  return data instanceof Float32Array ? 'float32' : data instanceof Float64Array ? 'float64' : 'int64';
}
