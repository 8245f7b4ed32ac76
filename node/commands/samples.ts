/** @file What base, alone and swarm write while a run goes on, on a thread of its own: for a run that writes, where it is cheap. */

import { plainText } from '../network/names.ts';
import type { LooksOptions } from '../train/looks.ts';
import type { Flags } from './flags.ts';

/** Longer than this nobody computes for a sample. */
const DEADLINE_MS = 20_000;
const MAX_TOKENS = 16;
const MAX_CHARACTERS = 100;

/** How samples are taken; nothing where nothing is written, or the base is kept in another width, so that it would have to be read twice. */
export function sampling(
  { basePrecision = 'f32' }: Flags,
  { run, exam: { opening } }: Pick<LooksOptions, 'run' | 'exam'>,
  swarm: () => Float32Array,
  note: (line: string) => void,
): Pick<LooksOptions, 'sample'> {
  if (run.objective !== 'next-token' || !opening || !run.base.architecture.isCausal || basePrecision !== 'f32')
    return {};
  const { writing, base, lora, initial } = run;
  const textOf = (ids: readonly number[]): string => plainText(writing.decode(ids), MAX_CHARACTERS);
  return {
    sample: async (alone, signal) => {
      const { writeSamples } = await import('../generate/samples.ts');
      const written = await writeSamples({
        ...{ base: base.path, lora, threads: 1, prompt: opening, ends: writing.ends, maxTokens: MAX_TOKENS },
        vectors: [initial, swarm(), ...(alone ? [alone] : [])],
        signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
      });
      if (!written && !signal.aborted)
        note(`no samples of what base, alone and swarm write: that takes more than ${DEADLINE_MS / 1000} s here`);
      const [ofBase, ofSwarm, ofAlone] = written?.map(textOf) ?? [];
      if (ofBase === undefined || ofSwarm === undefined) return null;
      return { prompt: textOf(opening), base: ofBase, swarm: ofSwarm, alone: ofAlone ?? null };
    },
  };
}
