/**
 * @file An extra loss on a peer's own texts beside classification, so that the base comes to know their domain: words at masks, of
 * a causal base the next token. L = (1 - a) L_classes + a L_texts, as in PET (Schick and Schuetze 2021, arXiv:2001.07676).
 */
import { createPrng, type Prng } from '../../protocol/prng.ts';
import type { ClassBatch, Passage, TrainBatch } from '../engine/batch.ts';
import { packPassages, withWeights } from '../engine/packing.ts';
import { encodeWritings } from '../texts/encoder.ts';
import { createWritingTask, learnedCount, type Piece, passagesOf, type WritingTask } from '../texts/pieces.ts';
import type { RoundRequest } from './objective.ts';
import type { ClassRun } from './run.ts';
import { passes } from './steps.ts';

export interface Auxiliary {
  /** A round's batches of classes, each with one of texts beside it; their losses add up. */
  beside(batches: readonly ClassBatch[], place: Pick<RoundRequest, 'peer' | 'round'>): TrainBatch[][];
}

/** Readies a peer's texts; null where the run has no such loss, or the peer no text. */
export async function createAuxiliary(
  { settings, base }: ClassRun,
  texts: readonly string[],
): Promise<Auxiliary | null> {
  const { auxiliary: weight, maxTokens, batchSize, seed } = settings;
  if (weight === 0 || texts.length === 0) return null;
  const { isCausal, maxTokens: maxPositions } = base.architecture;
  const task = createWritingTask({ path: base.path, maxTokens, maxPositions, isCausal });
  const encoded = await encodeWritings(
    task,
    texts.map((text) => ({ type: 'text', text })),
  );
  // A piece with nothing but marks has no word to ask for.
  const pieces = encoded.flat().filter((piece) => learnedCount(piece) > 1);
  if (pieces.length === 0) return null;
  return {
    beside: (batches, { peer, round }) => {
      const prng = createPrng(seed).fork('auxiliary').fork(peer).fork(round);
      const next = passes(pieces, prng);
      return batches.map((batch) => {
        const chosen = next(Math.min(batchSize, pieces.length));
        const passages = isCausal ? passagesOf(chosen) : maskedPassages(chosen, task, prng);
        const beside = withWeights(packPassages(passages, maxTokens, task.padId), passages);
        return [scaled(batch, 1 - weight), scaled(beside, weight)];
      });
    },
  };
}

function scaled<B extends TrainBatch>(batch: B, weight: number): B {
  return { ...batch, rowWeight: batch.rowWeight.map((x) => weight * x) };
}

/** Of the words, as in BERT (Devlin et al. 2019, arXiv:1810.04805). */
const MASKED = 0.15;
/** Of the words that are asked for: so many are masked, and up to so many any other word; the rest stays as it is. */
const [AS_MASK, AS_ANY] = [0.8, 0.9];

/** Pieces with some of their words hidden, which weigh the same, one in all. */
export function maskedPassages(
  pieces: readonly Piece[],
  { maskId, vocabularySize }: Pick<WritingTask, 'maskId' | 'vocabularySize'>,
  prng: Prng,
): Passage[] {
  const hidden = pieces.map(({ ids, learned }) => {
    // What ends a text is none of its words.
    const words = learned.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i)).slice(0, -1);
    const count = Math.min(words.length, Math.max(1, Math.round(MASKED * words.length)));
    return { ids: Array.from(ids), asked: prng.shuffle(words).slice(0, count) };
  });
  const weight =
    1 /
    Math.max(
      1,
      hidden.reduce((sum, { asked }) => sum + asked.length, 0),
    );
  return hidden.map(({ ids, asked }) => {
    const shown = [...ids];
    for (const position of asked) {
      const draw = prng.random();
      if (draw < AS_MASK) shown[position] = maskId ?? shown[position]!;
      else if (draw < AS_ANY) shown[position] = Math.floor(prng.random() * vocabularySize);
    }
    return { ids: shown, scored: asked.map((position) => ({ position, id: ids[position]!, weight })) };
  });
}
