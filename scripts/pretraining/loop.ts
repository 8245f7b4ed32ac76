/** @file Masked language modelling over a corpus: AdamW with warm-up and decay, held-out accuracy, checkpoints to go on from. */

import { type Base, baseVector, cacheGraph } from '../../node/checkpoint/base.ts';
import { WEIGHTS_FILE } from '../../node/checkpoint/weights.ts';
import type { LabelWords } from '../../node/engine/batch.ts';
import { packBatch } from '../../node/engine/batch.ts';
import { batchFeeds, scalarFeeds } from '../../node/engine/feeds.ts';
import { type Feed, openSession, type Session } from '../../node/engine/session.ts';
import { encodeOnnx } from '../../node/graph/onnx.ts';
import { type AdamWSettings, adamWFeeds } from '../../node/model/adamw.ts';
import { pretrainGraph, scoreGraph } from '../../node/model/program.ts';
import { createPrng } from '../../protocol/prng.ts';
import { type Blocks, type MaskedBlock, maskBlock, type SpecialTokens, stepBlocks } from './corpus.ts';

export interface PretrainSettings {
  readonly seed: string;
  readonly steps: number;
  /** Blocks of one step. */
  readonly batch: number;
  /** Tokens of a block. */
  readonly tokens: number;
  /** Share of a block's tokens that are hidden. */
  readonly maskShare: number;
  /** At the end of the warm-up; falls to zero at the last step. */
  readonly learningRate: number;
  /** Share of the steps. */
  readonly warmUp: number;
  readonly weightDecay: number;
  readonly clipNorm: number;
}

export interface PretrainState {
  /** Steps done. */
  readonly step: number;
  readonly vector: Float32Array;
  readonly first: Float32Array;
  readonly second: Float32Array;
}

/** Of masked words that were held out. */
export interface HeldOut {
  /** Nats a word. */
  readonly loss: number;
  readonly accuracy: number;
  readonly words: number;
}

export interface Pretrainer {
  /** The next step; gives its loss, in nats a word. */
  step(state: PretrainState): Promise<{ state: PretrainState; loss: number }>;
  evaluate(vector: Float32Array): Promise<HeldOut>;
  release(): Promise<void>;
}

export async function startState(base: Base): Promise<PretrainState> {
  const vector = await baseVector(base);
  return { step: 0, vector, first: new Float32Array(vector.length), second: new Float32Array(vector.length) };
}

/** Linear warm-up, then linear decay to zero. */
export function learningRateAt(step: number, { steps, warmUp, learningRate }: PretrainSettings): number {
  const rising = Math.max(1, Math.round(warmUp * steps));
  return learningRate * Math.min((step + 1) / rising, (steps - step) / Math.max(1, steps - rising + 1));
}

export async function createPretrainer(options: {
  base: Base;
  settings: PretrainSettings;
  special: SpecialTokens;
  corpus: Blocks;
  heldOut: Blocks;
  threads: number;
}): Promise<Pretrainer> {
  const { base, settings, special, corpus, heldOut, threads } = options;
  const open = async (graph: ReturnType<typeof pretrainGraph>): Promise<Session> =>
    openSession(await cacheGraph(base, encodeOnnx(graph, WEIGHTS_FILE)), 'cpu', { threads });
  const training = await open(pretrainGraph(base));
  const scoring = await open(scoreGraph(base, { type: 'full' }));
  const vocabulary = base.architecture.parameters.find((p) => p.name.endsWith('word_embeddings.weight'))!.shape[0]!;
  const count = Math.max(1, Math.round(settings.maskShare * (settings.tokens - 1)));
  const mask = { count, vocabulary, special };
  const words: LabelWords = {
    ids: Array.from({ length: vocabulary }, (_, i) => i),
    bias: new Array(vocabulary).fill(0),
  };
  const feedsOf = (blocks: readonly MaskedBlock[], vector: Float32Array): Record<string, Feed> => ({
    ...batchFeeds(packBatch(blocks, special.pad, settings.tokens), words),
    vector: { data: vector, dims: [vector.length] },
  });
  return {
    step: async (state) => {
      const blocks = stepBlocks(corpus, { seed: settings.seed, step: state.step, batch: settings.batch }, mask);
      const rows = blocks.length * count;
      const flat = [state.vector.length];
      const optimiser: AdamWSettings = { ...settings, learningRate: learningRateAt(state.step, settings) };
      const out = await training.run(
        {
          ...feedsOf(blocks, state.vector),
          target_ids: {
            data: BigInt64Array.from(
              blocks.flatMap((b) => b.words),
              BigInt,
            ),
            dims: [rows, 1],
          },
          row_weight: { data: new Float32Array(rows).fill(1 / rows), dims: [rows, 1] },
          first_moment: { data: state.first, dims: flat },
          second_moment: { data: state.second, dims: flat },
          mask: { data: everything(state.vector.length), dims: flat },
          ...scalarFeeds(adamWFeeds(optimiser, state.step + 1)),
        },
        ['loss', 'vector_next', 'first_moment_next', 'second_moment_next'],
      );
      return {
        loss: Number(out.loss![0]),
        state: {
          step: state.step + 1,
          vector: out.vector_next as Float32Array,
          first: out.first_moment_next as Float32Array,
          second: out.second_moment_next as Float32Array,
        },
      };
    },
    evaluate: async (vector) => {
      let [loss, right, asked] = [0, 0, 0];
      for (let at = 0; at < heldOut.count; at += settings.batch) {
        const size = Math.min(settings.batch, heldOut.count - at);
        // The same masks whatever the seed and step, so that two evaluations ask for the same words.
        const blocks = Array.from({ length: size }, (_, i) =>
          maskBlock(heldOut.block(at + i), { ...mask, prng: createPrng('held-out').fork(at + i) }),
        );
        const logits = (await scoring.run(feedsOf(blocks, vector), ['logits'])).logits as Float32Array;
        const targets = blocks.flatMap((b) => b.words);
        for (const [i, word] of targets.entries()) {
          const row = logits.subarray(i * vocabulary, (i + 1) * vocabulary);
          const scored = rowLoss(row, word);
          loss += scored.loss;
          right += scored.right ? 1 : 0;
        }
        asked += targets.length;
      }
      return { loss: loss / asked, accuracy: right / asked, words: asked };
    },
    release: async () => {
      await training.release();
      await scoring.release();
    },
  };
}

/** -log softmax(row)[word], and whether the word is the likeliest. */
function rowLoss(row: Float32Array, word: number): { loss: number; right: boolean } {
  let max = Number.NEGATIVE_INFINITY;
  for (const z of row) if (z > max) max = z;
  let sum = 0;
  for (const z of row) sum += Math.exp(z - max);
  return { loss: max + Math.log(sum) - row[word]!, right: row[word] === max };
}

let ones = new Float32Array(0);

function everything(size: number): Float32Array {
  if (ones.length !== size) ones = new Float32Array(size).fill(1);
  return ones;
}
