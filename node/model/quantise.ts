/**
 * @file Weights in 4 or 8 bits, by blocks of 32 of a row: (q - middle) d + m. What a file keeps in 4 bits a block (Q4_0, Q4_1,
 * Q4_K of GGUF) comes out as it stands there.
 */
import { BLOCK } from '../graph/quantised.ts';

export type Bits = 4 | 8;

/** Rows of a matrix in few bits. */
export interface QuantisedRows {
  /** Of 4 bits two a byte, the first in the lower half. */
  readonly blocks: Uint8Array;
  /** One a block. */
  readonly scales: Float32Array;
  /** One a block, of 4 bits; of 8 there is none. */
  readonly offsets: Float32Array;
}

/** How far a number may stand beside its place, in steps. */
const TOLERANCE = 0.01;
const LEVELS = 16;

/** 4 where all of these numbers stand on sixteen even steps a block, else 8. */
export function bitsFor(numbers: Float32Array): Bits {
  for (let at = 0; at < numbers.length; at += BLOCK) {
    const { least, most } = rangeOf(numbers, at);
    if (most > least && stepOf(numbers, at, least, most) === 0) return 8;
  }
  return 4;
}

/** Whole blocks of numbers in so many bits. */
export function quantise(numbers: Float32Array, bits: Bits): QuantisedRows {
  const count = numbers.length / BLOCK;
  const rows = {
    blocks: new Uint8Array((count * BLOCK * bits) / 8),
    scales: new Float32Array(count),
    offsets: new Float32Array(bits === 4 ? count : 0),
  };
  for (let block = 0; block < count; block++) (bits === 4 ? fourBits : eightBits)(numbers, block, rows);
  return rows;
}

function fourBits(numbers: Float32Array, block: number, { blocks, scales, offsets }: QuantisedRows): void {
  const at = block * BLOCK;
  const { least, most } = rangeOf(numbers, at);
  const step = stepOf(numbers, at, least, most) || (most - least) / (LEVELS - 1);
  const inverse = step > 0 ? 1 / step : 0;
  const quantum = (i: number): number => Math.min(LEVELS - 1, Math.round((numbers[at + i]! - least) * inverse));
  scales[block] = step;
  offsets[block] = least + 8 * step;
  for (let i = 0; i < BLOCK; i += 2) blocks[(at + i) / 2] = quantum(i) | (quantum(i + 1) << 4);
}

function eightBits(numbers: Float32Array, block: number, { blocks, scales }: QuantisedRows): void {
  const at = block * BLOCK;
  const { least, most } = rangeOf(numbers, at);
  const step = Math.max(-least, most) / 127;
  const inverse = step > 0 ? 1 / step : 0;
  scales[block] = step;
  for (let i = 0; i < BLOCK; i++) blocks[at + i] = 128 + Math.round(numbers[at + i]! * inverse);
}

function rangeOf(numbers: Float32Array, at: number): { least: number; most: number } {
  let [least, most] = [numbers[at]!, numbers[at]!];
  for (let i = 1; i < BLOCK; i++) {
    const x = numbers[at + i]!;
    if (x < least) least = x;
    else if (x > most) most = x;
  }
  return { least, most };
}

/** The largest step of which all numbers of a block are at most fifteen above the least; 0: there is none. */
function stepOf(numbers: Float32Array, at: number, least: number, most: number): number {
  for (let steps = 1; steps < LEVELS; steps++) {
    const inverse = steps / (most - least);
    let i = 0;
    for (; i < BLOCK; i++) {
      const place = (numbers[at + i]! - least) * inverse;
      if (Math.abs(place - Math.round(place)) > TOLERANCE) break;
    }
    if (i === BLOCK) return (most - least) / steps;
  }
  return 0;
}
