/** @file Feeds a reader broken files, and counts: refused, read, and how much memory it took at most. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { UserError } from '../../node/errors.ts';
import { createPrng, type Prng } from '../../protocol/prng.ts';
import { changedBytes, changedJson } from './changes.ts';
import { type Files, MODEL, type Reader } from './readers.ts';

export interface Fed {
  readonly count: number;
  /** Mutants of which nothing was refused. */
  readonly accepted: number;
  /** Mutants of which something was refused, by a typed error of one line. */
  readonly refused: number;
  /** Different refusals, numbers and names aside. */
  readonly kinds: number;
  /** What the process grew by, at most. */
  readonly extraBytes: number;
  /** The longest that one mutant took. */
  readonly slowestMs: number;
}

export interface Feeding {
  readonly seed: number;
  readonly count: number;
  /** An empty folder. */
  readonly folder: string;
  /** The first mutant, by number. */
  readonly from?: number;
}

/** Mutants between two collections of what they left. */
const COLLECT_EVERY = 32;
const MAX_MESSAGE = 1000;

/** Throws an error that names the mutant where one gave anything but a typed error of one line. */
export function feed(reader: Reader, { seed, count, folder, from = 0 }: Feeding): Fed {
  const root = createPrng(String(seed));
  const samples = reader.samples();
  const collect = collector();
  for (const sample of samples) tryOne(reader, folder, sample, () => {});
  collect();
  const before = process.resourceUsage().maxRSS;
  const kinds = new Set<string>();
  let [refused, slowestMs] = [0, 0];
  for (let i = from; i < from + count; i++) {
    const files = mutantOf(samples, reader.head, root.fork(`${i}`));
    const began = performance.now();
    let isRefused = false;
    try {
      tryOne(reader, folder, files, (error) => {
        checkTyped(error, folder);
        isRefused = true;
        kinds.add((error as Error).message.replace(/[0-9]+|"[^"]*"/g, '#').slice(folder.length, 200));
      });
    } catch (error) {
      throw new Error(`mutant ${i} of seed ${seed}: ${(error as Error).stack}`);
    }
    slowestMs = Math.max(slowestMs, performance.now() - began);
    refused += Number(isRefused);
    if (i % COLLECT_EVERY === 0) collect();
  }
  const extraBytes = (process.resourceUsage().maxRSS - before) * 1024;
  return { count, accepted: count - refused, refused, kinds: kinds.size, extraBytes, slowestMs };
}

/** Collects garbage now: what lies about is no measure of what a reader takes. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

function mutantOf(samples: readonly Files[], head: number, prng: Prng): Files {
  const sample = samples[prng.below(samples.length)]!;
  const names = Object.keys(sample).filter((name) => name !== MODEL);
  const name = names[prng.below(names.length)]!;
  return { ...sample, [name]: changed(name, sample[name]!, { head, prng }) };
}

/** By bytes; JSON half of the time, and headers of safetensors a third of it, by what they say. */
function changed(name: string, bytes: Uint8Array, { head, prng }: { head: number; prng: Prng }): Uint8Array {
  if (name.endsWith('.json') && prng.below(2) === 0)
    return new TextEncoder().encode(changedJson(new TextDecoder().decode(bytes), prng));
  if (!name.endsWith('.safetensors') || prng.below(3) > 0) return changedBytes(bytes, head, prng);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = changedJson(new TextDecoder().decode(bytes.subarray(8, 8 + length)), prng);
  const text = new TextEncoder().encode(header);
  const out = new Uint8Array(8 + text.length + bytes.length - 8 - length);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  out.set(bytes.subarray(8 + length), 8 + text.length);
  return out;
}

function tryOne(reader: Reader, folder: string, files: Files, refused: (error: unknown) => void): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  reader.read(folder, (use) => {
    try {
      return use();
    } catch (error) {
      refused(error);
      return undefined;
    }
  });
}

/** Throws unless an error is typed and says in one line which file is wrong. */
function checkTyped(error: unknown, folder: string): void {
  if (!(error instanceof UserError)) throw error;
  const { message } = error;
  if (message.startsWith(folder) && !message.includes('\n') && message.length <= MAX_MESSAGE) return;
  throw new Error(`a refusal that is no short line about a file: ${message.slice(0, 2 * MAX_MESSAGE)}`);
}
