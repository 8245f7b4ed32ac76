/** @file Writes small GGUF files for tests, byte by byte as the format's description has it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../../support.ts';

export type Typed = readonly [type: number, value: unknown];

export interface Written {
  readonly type: number;
  /** As the file has it: the first runs fastest. */
  readonly lengths: readonly number[];
  readonly data: Uint8Array;
  /** Where it shall stand, instead of after the one before. */
  readonly offset?: number;
}

export const u32 = (n: number): number[] => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
export const u64 = (n: number | bigint): number[] => [
  ...u32(Number(BigInt.asUintN(32, BigInt(n)))),
  ...u32(Number(BigInt.asUintN(64, BigInt(n)) >> 32n)),
];
export const string = (text: string): number[] => {
  const bytes = new TextEncoder().encode(text);
  return [...u64(bytes.length), ...bytes];
};

const WIDTHS: Record<number, (value: number) => ArrayBufferLike> = {
  6: (value) => Float32Array.of(value).buffer,
  12: (value) => Float64Array.of(value).buffer,
};
const SIZES: Record<number, number> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 7: 1, 10: 8, 11: 8 };

/** The bytes of a value without its type; of a list, the type of its elements stands first: [9, [8, ['a', 'b']]]. */
export function valueBytes([type, value]: Typed): number[] {
  if (type === 8) return string(value as string);
  if (type !== 9) {
    const float = WIDTHS[type];
    if (float) return [...new Uint8Array(float(value as number))];
    return u64(BigInt(Number(value) === value ? value : (value as bigint | boolean))).slice(0, SIZES[type]);
  }
  const [inner, values] = value as [number, unknown[]];
  const bytes = [...u32(inner), ...u64(values.length)];
  for (const one of values) for (const byte of valueBytes([inner, one])) bytes.push(byte);
  return bytes;
}

/** The bytes of a whole file. */
export function ggufBytes(
  keys: Readonly<Record<string, Typed>>,
  tensors: Readonly<Record<string, Written>> = {},
  { version = 3, alignment = 32 }: { version?: number; alignment?: number } = {},
): Uint8Array {
  const bytes = [...u32(0x46554747), ...u32(version)];
  bytes.push(...u64(Object.keys(tensors).length), ...u64(Object.keys(keys).length));
  for (const [key, typed] of Object.entries(keys)) {
    bytes.push(...string(key), ...u32(typed[0]));
    for (const byte of valueBytes(typed)) bytes.push(byte);
  }
  let offset = 0;
  const data: number[] = [];
  const pad = (list: number[]): void => {
    while (list.length % alignment !== 0) list.push(0);
  };
  for (const [name, tensor] of Object.entries(tensors)) {
    bytes.push(...string(name), ...u32(tensor.lengths.length), ...tensor.lengths.flatMap(u64), ...u32(tensor.type));
    bytes.push(...u64(tensor.offset ?? offset));
    data.push(...tensor.data);
    pad(data);
    offset = data.length;
  }
  if (data.length > 0) pad(bytes);
  return Uint8Array.from(bytes.concat(data));
}

const folder = temporaryFolder();
let files = 0;

/** Where the bytes were written: a file of their own, unless told. */
export function written(bytes: Uint8Array, path = join(folder, `${files++}.gguf`)): string {
  writeFileSync(path, bytes);
  return path;
}
