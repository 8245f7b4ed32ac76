/** @file A model with the adapter merged in, as transformers loads it: safetensors, config.json and tokenizer. */
import { join } from 'node:path';
import { writeFileAtomic, writePiecesAtomic } from '../atomic.ts';
import { openCheckpoint } from '../checkpoint/checkpoint.ts';
import { type Checkpoint, piecesOf } from '../checkpoint/stored.ts';
import { UserError } from '../errors.ts';
import { bytesOf, narrow, type Width } from '../formats/narrow.ts';
import { type SafetensorsEntry, safetensorsHeader } from '../formats/safetensors-writer.ts';
import type { Linear, Parameter } from '../model/architecture.ts';
import { configText } from './config.ts';
import { addDelta, deltaOf } from './delta.ts';
import { type Subject, storing, writeCard } from './subject.ts';
import { writeTokenizer } from './tokenizer.ts';

export interface MergedOptions {
  readonly width: Width;
  /** A file that would be larger is several. */
  readonly shardBytes?: number;
}

const SHARD_BYTES = 5e9;

/** Writes it, config.json last, which makes the folder a model. Throws a UserError on a full or read-only disk. */
export async function writeMerged(folder: string, subject: Subject, options: MergedOptions): Promise<void> {
  const checkpoint = openCheckpoint(subject.base.path);
  await storing(folder, async () => {
    await writeWeights(folder, { checkpoint, subject }, options);
    await writeTokenizer(folder, checkpoint.path);
    await writeCard(folder, subject, 'merged');
    await writeFileAtomic(join(folder, 'config.json'), configText(checkpoint, options.width));
  });
}

interface Source {
  readonly checkpoint: Checkpoint;
  readonly subject: Subject;
}

async function writeWeights(
  folder: string,
  source: Source,
  { width, shardBytes = SHARD_BYTES }: MergedOptions,
): Promise<void> {
  const { parameters } = source.checkpoint.architecture;
  const entries = parameters.map((parameter) => entryOf(parameter, width));
  const shards = shardsOf(entries, shardBytes);
  const places: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    const [at, all] = [i + 1, shards.length].map((n) => String(n).padStart(5, '0'));
    const name = shards.length === 1 ? 'model.safetensors' : `model-${at}-of-${all}.safetensors`;
    await writePiecesAtomic(join(folder, name), async (file) => {
      await file.writeFile(safetensorsHeader(shard, { format: 'pt' }));
      for (const entry of shard)
        for (const piece of mergedPieces(source, entry.name)) await file.writeFile(narrowed(entry.name, piece, width));
    });
    for (const entry of shard) places[entry.name] = name;
  }
  if (shards.length === 1) return;
  const total = entries.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const index = { metadata: { total_size: total }, weight_map: places };
  await writeFileAtomic(join(folder, 'model.safetensors.index.json'), `${JSON.stringify(index, null, 2)}\n`);
}

function entryOf({ name, shape }: Parameter, width: Width): SafetensorsEntry {
  return { name, shape, dtype: width.toUpperCase(), byteLength: bytesOf(width) * shape.reduce((a, b) => a * b, 1) };
}

/** In the order given, each as full as can be. */
function shardsOf(entries: readonly SafetensorsEntry[], most: number): SafetensorsEntry[][] {
  const shards: SafetensorsEntry[][] = [];
  let room = 0;
  for (const entry of entries) {
    if (shards.length === 0 || entry.byteLength > room) {
      shards.push([]);
      room = most;
    }
    shards.at(-1)!.push(entry);
    room -= entry.byteLength;
  }
  return shards;
}

/** A parameter in float32 with what the adapter adds, piece by piece; each is good until the next. */
export function* mergedPieces({ checkpoint, subject }: Source, name: string): Generator<Float32Array> {
  const tensor = checkpoint.tensors.get(name)!;
  const linear = linearOf(checkpoint, name);
  const delta = linear && deltaOf(subject, linear.module, linear.isTransposed);
  const columns = tensor.shape.at(-1)!;
  let first = 0;
  for (const piece of piecesOf(checkpoint, name, tensor)) {
    if (delta) addDelta(piece, first, columns, delta);
    first += piece.length / columns;
    yield piece;
  }
}

function linearOf({ architecture }: Checkpoint, name: string): Linear | undefined {
  return architecture.linears.find(({ module }) => name === `${module}.weight`);
}

/** Throws a UserError where a number does not fit. */
export function narrowed(name: string, piece: Float32Array, width: Width): Uint8Array {
  if (width === 'f16' && piece.some((x) => Math.abs(x) >= 65_520))
    throw new UserError('usage', `--dtype f16: ${name} holds numbers beyond 65,504; wanted bf16 or f32`);
  return narrow(piece, width);
}
