/**
 * @file For llama.cpp: an adapter that it loads beside the base's GGUF file, or the base's GGUF file with the adapter merged in.
 * Keys and names of an adapter are those of its convert_lora_to_gguf.py.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { writePiecesAtomic } from '../atomic.ts';
import { openCheckpoint } from '../checkpoint/checkpoint.ts';
import { GGUF_OF_TYPE, type GgufKind, ggufNames, turnedRow } from '../checkpoint/gguf-names.ts';
import type { Checkpoint } from '../checkpoint/stored.ts';
import { UserError } from '../errors.ts';
import { readRows } from '../formats/dequantise.ts';
import { type Gguf, type GgufTensor, ggufValue, openGguf } from '../formats/gguf.ts';
import { encodeGguf, type GgufKey, type GgufPart, ggufF32, ggufText, ggufU32 } from '../formats/gguf-writer.ts';
import type { Width } from '../formats/narrow.ts';
import { scaleOf } from '../model/lora.ts';
import { modelTypeOf } from './class.ts';
import { addDelta, type Delta, type Factor, factorsOf } from './delta.ts';
import { narrowed } from './merged.ts';
import { type Subject, storing, writeCard } from './subject.ts';

/** Those whose adapters have been tried in llama.cpp. */
const KINDS: readonly GgufKind[] = ['llama', 'qwen2', 'qwen3', 'gemma3'];

/** Writes adapter.gguf and its card. Throws a UserError where llama.cpp cannot use it, and on a full or read-only disk. */
export async function writeGgufAdapter(folder: string, subject: Subject): Promise<void> {
  const checkpoint = openCheckpoint(subject.base.path);
  const kind = kindOf(checkpoint);
  const { alpha } = subject.lora;
  const keys = [
    ggufText('general.architecture', kind),
    ggufText('general.type', 'adapter'),
    ggufText('adapter.type', 'lora'),
    ggufF32('adapter.lora.alpha', alpha),
    ggufU32('general.file_type', 0),
    ggufU32('general.quantization_version', 2),
  ];
  const parts = checkpoint.architecture.linears.flatMap(({ module }) => {
    const factors = factorsOf(subject, module);
    if (!factors) return [];
    const name = ggufNames(kind).toGguf(`${module}.weight`)!;
    const { a, b } = factors;
    // llama.cpp scales by one alpha and the rank of each module.
    const share = (scaleOf(subject.lora, module) * a.rows) / alpha;
    return [partOf(`${name}.lora_a`, a, a.data), partOf(`${name}.lora_b`, b, asStored(checkpoint, module, b, share))];
  });
  await write(folder, 'adapter.gguf', encodeGguf(keys, parts));
  await storing(folder, () => writeCard(folder, subject, 'gguf'));
}

function kindOf({ path, config }: Checkpoint): GgufKind {
  const type = modelTypeOf(config);
  const kind = type === null ? undefined : GGUF_OF_TYPE[type];
  if (kind && KINDS.includes(kind)) return kind;
  throw new UserError(
    'usage',
    `--format gguf: ${path} is a ${type}; llama.cpp takes adapters of Llama, Mistral, Qwen2, Qwen3 and Gemma 3; wanted --format peft or merged`,
  );
}

function partOf(name: string, { rows, cols }: Factor, data: Float32Array): GgufPart {
  return { name, type: 'F32', shape: [rows, cols], pieces: () => [bytes(data)] };
}

function bytes(data: Float32Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** B with its rows as llama.cpp has those of the weight, times a share. */
function asStored({ config }: Checkpoint, module: string, { rows, cols, data }: Factor, share = 1): Float32Array {
  const isTurned = ggufNames(GGUF_OF_TYPE[modelTypeOf(config)!]!).changeOf(`${module}.weight`) === 'turned';
  const width = Number(config.head_dim ?? Number(config.hidden_size) / Number(config.num_attention_heads));
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    const at = (isTurned ? turnedRow(row, width) : row) * cols;
    for (let i = 0; i < cols; i++) out[at + i] = data[row * cols + i]! * share;
  }
  return out;
}

/** Says of the base how it is quantised, which is no longer so. */
const LEFT_OUT = ['general.file_type'];

/**
 * Writes model.gguf and its card: metadata and unadapted tensors as the base's file has them, byte for byte, the others merged in
 * the width asked for. Throws a UserError where the base is no GGUF file, and on a full or read-only disk.
 */
export async function writeMergedGguf(folder: string, subject: Subject, { width }: { width: Width }): Promise<void> {
  const { path } = subject.base;
  if (!statSync(path).isFile())
    throw new UserError(
      'usage',
      `--format merged-gguf: the base ${path} is a folder, whose tokenizer llama.cpp has to convert; wanted --format merged, and convert_hf_to_gguf.py of llama.cpp on what it writes`,
    );
  const checkpoint = openCheckpoint(path);
  const file = openGguf(path);
  const keys = [...file.keys].flatMap(([key, { id, begin, end }]): GgufKey[] =>
    LEFT_OUT.includes(key) ? [] : [{ key, type: id, bytes: file.read(begin, end) }],
  );
  const deltas = deltasOf(checkpoint, subject);
  const parts = [...file.tensors].map(([name, tensor]): GgufPart => {
    const delta = deltas.get(name);
    if (!delta) return { name, type: tensor.type.name, shape: tensor.shape, pieces: () => stored(file, tensor) };
    return { name, type: width.toUpperCase(), shape: tensor.shape, pieces: () => merged(file, name, delta, width) };
  });
  const alignment = ggufValue(file, 'general.alignment', 'number');
  await write(folder, 'model.gguf', encodeGguf(keys, parts, alignment));
  await storing(folder, () => writeCard(folder, subject, 'merged-gguf'));
}

/** What is added to each tensor that is adapted, by its name in GGUF, where all matrices are [outputs, inputs]. */
function deltasOf(checkpoint: Checkpoint, subject: Subject): Map<string, Delta> {
  const { toGguf } = ggufNames(GGUF_OF_TYPE[modelTypeOf(checkpoint.config)!]!);
  const deltas = new Map<string, Delta>();
  for (const { module } of checkpoint.architecture.linears) {
    const factors = factorsOf(subject, module);
    if (!factors) continue;
    const { a, b } = factors;
    const delta = { left: asStored(checkpoint, module, b), right: a.data, rank: a.rows };
    deltas.set(toGguf(`${module}.weight`)!, { ...delta, scale: scaleOf(subject.lora, module) });
  }
  return deltas;
}

const PIECE_BYTES = 1 << 22;

function* stored({ read }: Gguf, { begin, end }: GgufTensor): Generator<Uint8Array> {
  for (let at = begin; at < end; at += PIECE_BYTES) yield read(at, Math.min(end, at + PIECE_BYTES));
}

function* merged(file: Gguf, name: string, delta: Delta, width: Width): Generator<Uint8Array> {
  const [rows, columns] = file.tensors.get(name)!.shape as [number, number];
  const most = Math.max(1, Math.floor(PIECE_BYTES / 4 / columns));
  for (let begin = 0; begin < rows; begin += most) {
    const end = Math.min(rows, begin + most);
    const piece = new Float32Array((end - begin) * columns);
    readRows(file, name, piece, { begin, end });
    addDelta(piece, begin, columns, delta);
    yield narrowed(name, piece, width);
  }
}

async function write(folder: string, name: string, pieces: Iterable<Uint8Array>): Promise<void> {
  await storing(folder, () =>
    writePiecesAtomic(join(folder, name), async (file) => {
      for (const piece of pieces) await file.writeFile(piece);
    }),
  );
}
