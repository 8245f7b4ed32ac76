/** @file A model as llama.cpp keeps it: one GGUF file, its tensors turned back to what Transformers computes with. */
import { UserError } from '../errors.ts';
import { readRows } from '../formats/dequantise.ts';
import { type Gguf, openGguf } from '../formats/gguf.ts';
import type { Architecture } from '../model/architecture.ts';
import { makeArchitecture } from '../model/config.ts';
import { ggufConfig, ggufKind } from './gguf-config.ts';
import { type GgufNames, ggufNames, turnedRow } from './gguf-names.ts';
import type { Checkpoint, Rows, StoredTensor } from './stored.ts';

/** What belongs to no parameter and is read elsewhere. */
const BESIDE = ['rope_freqs.weight'];

/** Opens it. Throws a UserError on anything missing, misshapen, or not understood. */
export function openGgufModel(path: string): Checkpoint {
  const file = openGguf(path);
  const config = ggufConfig(file);
  const architecture = makeArchitecture(path, config);
  const names = ggufNames(ggufKind(file));
  const width = Number(config.head_dim ?? 1);
  checkNames(file, architecture, names);
  checkVocabulary(file, architecture);
  const stored = (name: string, shape: readonly number[]): StoredTensor =>
    storedTensor(file, { name, shape, names, width });
  const copies = architecture.tied.filter(([copy]) => file.tensors.has(names.toGguf(copy) ?? ''));
  const shapeOf = (name: string): readonly number[] => architecture.parameters.find((p) => p.name === name)!.shape;
  return {
    path,
    architecture,
    config,
    tensors: new Map(architecture.parameters.map(({ name, shape }) => [name, stored(name, shape)])),
    tied: copies.map(([copy, original]) => ({ copy, tensor: stored(copy, shapeOf(original)), original })),
    files: [path],
  };
}

/** Throws a UserError on a tensor that the architecture has not. */
function checkNames(file: Gguf, architecture: Architecture, names: GgufNames): void {
  const known = new Set([
    ...architecture.parameters.map(({ name }) => name),
    ...architecture.tied.map(([copy]) => copy),
  ]);
  const other = [...file.tensors.keys()].find(
    (name) => !BESIDE.includes(name) && !known.has(names.fromGguf(name) ?? ''),
  );
  if (other === undefined) return;
  throw new UserError(
    'usage',
    `${file.path}: holds tensor ${other}, which its metadata do not tell of and may change what is computed; choose another model`,
  );
}

function checkVocabulary(file: Gguf, { vocabulary }: Architecture): void {
  const place = file.keys.get('tokenizer.ggml.tokens');
  // A list begins with the type of its elements and how many there are.
  const tokens = place?.type === 'string[]' ? countAt(file, place.begin + 4) : 0;
  if (tokens <= vocabulary) return;
  throw new UserError(
    'incompatible',
    `${file.path}: has ${tokens} tokens; the embeddings have ${vocabulary} rows: tokenizer and weights do not belong together`,
  );
}

function countAt(file: Gguf, begin: number): number {
  return Number(new DataView(file.read(begin, begin + 8).buffer).getBigUint64(0, true));
}

interface Wanted {
  readonly name: string;
  /** In Transformers. */
  readonly shape: readonly number[];
  readonly names: GgufNames;
  /** Of a head. */
  readonly width: number;
}

function storedTensor(file: Gguf, { name, shape, names, width }: Wanted): StoredTensor {
  const found = names.toGguf(name) ?? '';
  const change = names.changeOf(name);
  const entry = file.tensors.get(found);
  const wanted = change === 'transposed' ? [...shape].reverse() : shape;
  if (!entry || String(entry.shape) !== String(wanted))
    throw new UserError(
      'usage',
      `${file.path}: tensor ${found || name} is ${entry ? `[${entry.shape}]` : 'missing'}; wanted [${wanted}]`,
    );
  const read = (out: Float32Array, rows: Rows): void => readRows(file, found, out, rows);
  const whole = { begin: 0, end: shape.slice(0, -1).reduce((a, b) => a * b, 1) };
  const columns = shape.at(-1)!;
  const readers: Readonly<Record<typeof change, (out: Float32Array, rows: Rows) => void>> = {
    none: read,
    raised: (out, rows) => {
      read(out, rows);
      const count = (rows.end - rows.begin) * columns;
      for (let i = 0; i < count; i++) out[i]! -= 1;
    },
    turned: shape.length === 1 ? (out) => unturn(out, columns, width, read) : turnBack(read, columns, width),
    transposed: transposeBack(read, { rows: shape[0]!, columns }),
  };
  return { shape, readRows: (out, rows = whole) => readers[change](out, rows) };
}

type Read = (out: Float32Array, rows: Rows) => void;

/** A bias of queries or keys: a row whose numbers stand as the rows of the weights do. */
function unturn(out: Float32Array, count: number, width: number, read: Read): void {
  const turned = new Float32Array(count);
  read(turned, { begin: 0, end: 1 });
  for (let i = 0; i < count; i++) out[i] = turned[turnedRow(i, width)]!;
}

/** Rows of queries or keys, a head at a time. */
function turnBack(read: Read, columns: number, width: number): Read {
  return (out, { begin, end }) => {
    const head = new Float32Array(width * columns);
    for (let first = begin - (begin % width); first < end; first += width) {
      read(head, { begin: first, end: first + width });
      for (let row = Math.max(first, begin); row < Math.min(first + width, end); row++) {
        const from = (turnedRow(row, width) - first) * columns;
        out.set(head.subarray(from, from + columns), (row - begin) * columns);
      }
    }
  };
}

/** Rows of a matrix whose columns are stored as rows, which are read a few at a time. */
function transposeBack(read: Read, { rows, columns }: { rows: number; columns: number }): Read {
  const group = Math.max(1, Math.floor((1 << 18) / rows));
  return (out, { begin, end }) => {
    const stored = new Float32Array(Math.min(group, columns) * rows);
    for (let first = 0; first < columns; first += group) {
      const last = Math.min(columns, first + group);
      read(stored, { begin: first, end: last });
      for (let column = first; column < last; column++)
        for (let row = begin; row < end; row++)
          out[(row - begin) * columns + column] = stored[(column - first) * rows + row]!;
    }
  };
}
