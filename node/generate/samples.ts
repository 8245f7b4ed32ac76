/** @file What several adapters of one base write after the same words: a writer of the moment, given up where it takes too long. */
import type { DecoderOptions } from './decoder.ts';
import { GREEDY } from './sampling.ts';
import { createWriter } from './writer.ts';

export interface SampleOptions extends Pick<DecoderOptions, 'base' | 'threads'> {
  readonly lora: NonNullable<DecoderOptions['adapter']>['lora'];
  readonly vectors: readonly Float32Array[];
  /** The tokens to write on after, at least one. */
  readonly prompt: readonly number[];
  /** Tokens that end a text. */
  readonly ends: readonly number[];
  /** Tokens of each at most. */
  readonly maxTokens: number;
  readonly signal: AbortSignal;
}

/** The likeliest tokens of each, in the order of the adapters; null where the signal aborts before they are there. */
export async function writeSamples(options: SampleOptions): Promise<(readonly number[])[] | null> {
  const { base, threads, lora, vectors, prompt, ends, maxTokens, signal } = options;
  const first = vectors[0];
  if (!first || signal.aborted) return null;
  const writer = await createWriter({ base, threads, adapter: { lora, vector: first } });
  try {
    const samples: (readonly number[])[] = [];
    for (const vector of vectors) {
      const { ids, finish } = await writer.write({ prompt, ends, maxTokens, vector, sampling: GREEDY }, { signal });
      if (finish === 'cancelled') return null;
      samples.push(ids);
    }
    return samples;
  } finally {
    await writer.stop();
  }
}
