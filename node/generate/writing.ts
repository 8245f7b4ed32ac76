/** @file Writes on after a prompt, word by word, until the model ends, there are enough, or nobody wants more. */
import { UserError } from '../errors.ts';
import type { Decoder } from './decoder.ts';
import { createSampler, type Sampling } from './sampling.ts';

export interface WriteRequest {
  readonly prompt: readonly number[];
  readonly sampling: Sampling;
  /** Words at most; also no more than the model has room for after the prompt. */
  readonly maxTokens: number;
  /** Words that end the text and are no part of it. */
  readonly ends: readonly number[];
  /** Another adapter from now on, of the same shape; left out: the one before. */
  readonly vector?: Float32Array;
}

/** `end`: the model said so; `length`: there was no more room; `cancelled`: somebody did. */
export type Finish = 'end' | 'length' | 'cancelled';

export interface Written {
  readonly ids: readonly number[];
  readonly finish: Finish;
  /** Tokens of the prompt that were known from the text before. */
  readonly reused: number;
}

/** Throws a UserError on a prompt that is empty or leaves no room for a word. */
export async function write(
  decoder: Decoder,
  { prompt, sampling, maxTokens, ends, vector }: WriteRequest,
  onToken: (id: number) => void = () => {},
  isCancelled: () => boolean = () => false,
): Promise<Written> {
  if (prompt.length === 0 || prompt.length >= decoder.maxTokens)
    throw new UserError(
      'usage',
      `prompt: ${prompt.length} tokens; wanted 1 to ${decoder.maxTokens - 1}, since the model holds ${decoder.maxTokens} with its answer`,
    );
  if (vector) decoder.use(vector);
  const next = createSampler(sampling);
  const room = Math.min(maxTokens, decoder.maxTokens - prompt.length);
  const kept = decoder.read.findIndex((id, i) => id !== prompt[i]);
  const reused = Math.min(kept < 0 ? decoder.read.length : kept, prompt.length - 1);
  const ids: number[] = [];
  let logits = await decoder.start(prompt, isCancelled);
  while (logits) {
    if (ids.length >= room) return { ids, finish: 'length', reused };
    const id = next(logits);
    if (ends.includes(id)) return { ids, finish: 'end', reused };
    ids.push(id);
    onToken(id);
    if (isCancelled()) break;
    // The last word has no successor to ask for.
    if (ids.length < room) logits = await decoder.feed([id]);
  }
  return { ids, finish: 'cancelled', reused };
}
