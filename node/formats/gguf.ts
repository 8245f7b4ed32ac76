/**
 * @file Reads GGUF, the file of llama.cpp (github.com/ggml-org/ggml, docs/gguf.md), versions 2 and 3, little-endian: on
 * opening only where each value and tensor stands, everything checked before it is believed; values and rows when asked.
 */
import { statSync } from 'node:fs';
import { messageOf, UserError } from '../errors.ts';
import { GGML_TYPES, type GgmlType } from './ggml.ts';
import { decodeValue, type GgufValue, skipValue, type ValuePlace } from './gguf-values.ts';
import { createWalk, type ReadRange, rangesOf, type Walk, withRanges } from './ranges.ts';

export interface GgufTensor {
  readonly type: GgmlType;
  /** As elsewhere, the last runs fastest: [rows, columns] of a matrix. */
  readonly shape: readonly number[];
  /** Bytes of the file that hold it. */
  readonly begin: number;
  readonly end: number;
}

export interface Gguf {
  readonly path: string;
  readonly version: number;
  readonly keys: ReadonlyMap<string, ValuePlace>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** The value of a key, read now; undefined where there is none. */
  readonly value: (key: string) => GgufValue | undefined;
  readonly read: ReadRange;
}

/** More than any model has, and few enough to hold: a hostile file can say any number. */
const MAX_KEYS = 4096;
const MAX_TENSORS = 16_384;
const MAX_KEY_BYTES = 256;
/** As in llama.cpp, where 64 bytes hold a name and its end. */
const MAX_NAME_BYTES = 63;
const MAX_DIMENSIONS = 4;
const MAX_ALIGNMENT = 1 << 16;
const MAGIC = 0x46554747;

/** Opens a file: reads and checks its header. Throws a UserError that names what is wrong. */
export function openGguf(path: string): Gguf {
  const fail = (problem: string): never => {
    throw new UserError('usage', `${path}: not a GGUF file that can be read (${problem}); fetch or convert it again`);
  };
  const guarded = <T>(use: () => T): T => {
    try {
      return use();
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new UserError('usage', `${path}: cannot be read (${messageOf(error)})`);
    }
  };
  const ranges = rangesOf(path);
  const read: ReadRange = (begin, end) => guarded(() => ranges(begin, end));
  const header = guarded(() => withRanges(path, (all) => readHeader(all, statSync(path).size, fail)));
  const value = (key: string): GgufValue | undefined => {
    const place = header.keys.get(key);
    return place && guarded(() => decodeValue(read, place, (problem) => fail(`${key}: ${problem}`)));
  };
  const parts = header.keys.get('split.count')?.type.endsWith('16') ? value('split.count') : 0;
  if (Number(parts) > 1) fail(`one of ${parts} parts; wanted one file, which llama-gguf-split --merge makes`);
  return { path, ...header, value, read };
}

type Fail = (problem: string) => never;

function readHeader(read: ReadRange, size: number, fail: Fail): Pick<Gguf, 'version' | 'keys' | 'tensors'> {
  if (size < 24) fail(`${size} bytes; wanted a header of 24`);
  const walk = createWalk(read, size, fail);
  if (walk.u32('the magic') !== MAGIC) fail(whatElse(new TextDecoder().decode(read(0, Math.min(size, 40)))));
  const version = walk.u32('the version');
  if (version !== 0 && (version & 0xffff) === 0) fail('numbers are big-endian; wanted little-endian');
  if (version !== 2 && version !== 3) fail(`version ${version}; wanted 2 or 3`);
  const tensorCount = walk.u64('the number of tensors');
  const keyCount = walk.u64('the number of keys');
  if (tensorCount > MAX_TENSORS) fail(`${tensorCount} tensors; wanted at most ${MAX_TENSORS}`);
  if (keyCount > MAX_KEYS) fail(`${keyCount} keys; wanted at most ${MAX_KEYS}`);
  const keys = new Map<string, ValuePlace>();
  for (let i = 0; i < keyCount; i++) {
    const key = readName(walk, `key ${i}`, MAX_KEY_BYTES, fail);
    if (keys.has(key)) fail(`key ${key} stands twice`);
    keys.set(key, skipValue(walk, key, fail));
  }
  const alignment = readAlignment(read, keys, fail);
  const tensors = new Map<string, GgufTensor>();
  for (let i = 0; i < tensorCount; i++) {
    const name = readName(walk, `the name of tensor ${i}`, MAX_NAME_BYTES, fail);
    if (tensors.has(name)) fail(`tensor ${name} stands twice`);
    tensors.set(name, readTensor(walk, name, { alignment, size, fail }));
  }
  return { version, keys, tensors: placeTensors(tensors, walk.at(), { alignment, size, fail }) };
}

/** What a file is that does not begin as GGUF does. */
function whatElse(start: string): string {
  if (start.startsWith('version https://git-lfs'))
    return 'a pointer of Git LFS; the file itself comes with "git lfs pull"';
  if (/^\s*<(!doctype|html|\?xml)/i.test(start)) return 'a web page';
  return `begins with ${JSON.stringify(start.slice(0, 4))}; wanted "GGUF"`;
}

function readName(walk: Walk, what: string, most: number, fail: Fail): string {
  const bytes = walk.u64(`the length of ${what}`);
  if (bytes === 0 || bytes > most) fail(`${what} has ${bytes} bytes; wanted 1 to ${most}`);
  const name = walk.text(bytes, what);
  // Names are printed: none may move a terminal's cursor.
  return /\p{Cc}/u.test(name) ? fail(`${what} holds control characters`) : name;
}

function readAlignment(read: ReadRange, keys: ReadonlyMap<string, ValuePlace>, fail: Fail): number {
  const place = keys.get('general.alignment');
  if (!place) return 32;
  const given = place.type === 'u32' ? decodeValue(read, place, fail) : `a ${place.type}`;
  const valid = typeof given === 'number' && given >= 8 && given <= MAX_ALIGNMENT && Number.isInteger(Math.log2(given));
  return valid ? given : fail(`general.alignment is ${given}; wanted a power of two, 8 to ${MAX_ALIGNMENT}`);
}

interface Frame {
  readonly alignment: number;
  readonly size: number;
  readonly fail: Fail;
}

/** An entry of the list of tensors, its place still counted from where the data begins. */
function readTensor(walk: Walk, name: string, { alignment, size, fail }: Frame): GgufTensor {
  const bad = (problem: string): never => fail(`tensor ${name} ${problem}`);
  const dimensions = walk.u32(`the shape of tensor ${name}`);
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) bad(`has ${dimensions} dimensions; wanted 1 to ${MAX_DIMENSIONS}`);
  const shape: number[] = [];
  let elements = 1;
  for (let i = 0; i < dimensions; i++) {
    const length = walk.u64(`the shape of tensor ${name}`);
    elements *= length;
    if (length < 1 || !Number.isSafeInteger(elements)) bad(`has a length of ${length}; wanted what a file can hold`);
    shape.unshift(length);
  }
  const id = walk.u32(`the type of tensor ${name}`);
  const type = GGML_TYPES.get(id) ?? bad(`has type ${id}, which is not known`);
  const columns = shape.at(-1)!;
  if (columns % type.block !== 0)
    bad(`has rows of ${columns}; wanted whole blocks of ${type.block}, as ${type.name} has`);
  const bytes = (elements / type.block) * type.bytes;
  const begin = walk.u64(`the place of tensor ${name}`);
  if (begin % alignment !== 0) bad(`begins at ${begin}; wanted a multiple of ${alignment}`);
  if (begin + bytes > size) bad(`wants bytes ${begin} to ${begin + bytes} of the data; the file has ${size} in all`);
  return { type, shape, begin, end: begin + bytes };
}

/** The tensors at their places in the file, which they fill one after the other with nothing but padding between. */
function placeTensors(
  tensors: ReadonlyMap<string, GgufTensor>,
  headerEnd: number,
  { alignment, size, fail }: Frame,
): Map<string, GgufTensor> {
  const aligned = (at: number): number => Math.ceil(at / alignment) * alignment;
  const dataBegin = aligned(headerEnd);
  const placed = new Map<string, GgufTensor>();
  for (const [name, tensor] of tensors)
    placed.set(name, { ...tensor, begin: dataBegin + tensor.begin, end: dataBegin + tensor.end });
  let [at, last] = [headerEnd, 'the header'];
  for (const [name, { begin, end }] of [...placed].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (begin < at) fail(`tensor ${name} overlaps ${last}`);
    if (begin > aligned(at)) fail(`${begin - aligned(at)} bytes between ${last} and tensor ${name} belong to nothing`);
    if (end > size) fail(`tensor ${name} ends at byte ${end}; the file has ${size}`);
    [at, last] = [end, `tensor ${name}`];
  }
  if (size > aligned(at)) fail(`${size - aligned(at)} bytes after ${last} belong to nothing`);
  return placed;
}

type Kinds = { text: string; number: number; flag: boolean; texts: readonly string[]; numbers: readonly number[] };

const IS: { readonly [K in keyof Kinds]: (value: GgufValue) => boolean } = {
  text: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  flag: (value) => typeof value === 'boolean',
  texts: (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
  numbers: (value) => Array.isArray(value) && value.every((one) => typeof one === 'number'),
};

/** The value of a key where it is of a kind, undefined where there is no such key; throws a UserError on another kind. */
export function ggufValue<K extends keyof Kinds>(file: Gguf, key: string, kind: K): Kinds[K] | undefined {
  const value = file.value(key);
  if (value === undefined || IS[kind](value)) return value as Kinds[K] | undefined;
  const type = file.keys.get(key)!.type;
  throw new UserError('usage', `${file.path}: ${key} is of type ${type}; wanted ${kind}; convert the model again`);
}
