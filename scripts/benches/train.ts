/** @file Bench `train`: rounds of steps on texts of real lengths, as a peer lays them out and padded to the longest of a batch. */
import { join } from 'node:path';
import { openBase } from '../../node/checkpoint/base.ts';
import { type ClassBatch, packBatch, withTargets } from '../../node/engine/batch.ts';
import { createEngine, type Engine } from '../../node/engine/engine.ts';
import { UserError } from '../../node/errors.ts';
import { initialLora } from '../../node/model/lora.ts';
import { trainableTensors } from '../../node/model/program.ts';
import { readRows } from '../../node/texts/data.ts';
import { KINDS, readSentences } from '../../node/texts/reviews.ts';
import { type EncodedExample, roundBatches } from '../../node/train/learner.ts';
import { checkSettings, openClassRun } from '../../node/train/run.ts';
import { createPrng } from '../../protocol/prng.ts';
import { type BenchOptions, interleave, machine, median, round } from './measure.ts';
import { SHAPES, TRAINABLE, writeRandomModel } from './shapes.ts';

const [EXAMPLES, BATCH, STEPS] = [256, 16, 16];

/** Examples a second; `lengths` are those of the texts in the order in which both take them, for others to measure by. */
export async function benchTrain(workspace: string, { rounds, data }: BenchOptions): Promise<unknown> {
  const folder = join(workspace, 'minilm');
  const shape = SHAPES.minilm!;
  writeRandomModel(folder, { ...shape, tokens: 256 });
  const base = await openBase(folder);
  const run = await openClassRun(checkSettings({ batchSize: BATCH }, 'bench'));
  const examples = examplesOf(textsOf(data), run.task.encode, shape.vocabulary);
  const common = { base: folder, trainable: TRAINABLE, device: 'cpu', threads: 0 } as const;
  const engine = await createEngine(common);
  const int8 = await createEngine({ ...common, basePrecision: 'int8' });
  const vector = initialLora(trainableTensors(base, TRAINABLE), createPrng('bench').random);
  const train = (by: Engine, batches: readonly ClassBatch[]) => () =>
    by.train({
      vector,
      batches,
      labels: { ids: [5, 6], bias: [0, 0] },
      optimiser: { learningRate: 1e-3, weightDecay: 0.01, clipNorm: 1 },
    });
  const laid = roundBatches({ ...run, examples, peer: 'bench', round: 0, steps: STEPS });
  const padded = Array.from({ length: STEPS }, (_, i) => paddedBatch(examples.slice(i * BATCH, (i + 1) * BATCH)));
  const jobs = [train(engine, laid), train(int8, laid), train(engine, padded)];
  const [own, fast, longest] = (await interleave(jobs, rounds)).map(median) as [number, number, number];
  for (const each of [engine, int8]) await each.release();
  const count = (batches: readonly ClassBatch[]): number => batches.reduce((sum, b) => sum + b.batch * b.tokens, 0);
  const rate = (ms: number): number => round((1000 * EXAMPLES) / ms);
  return {
    bench: 'train',
    ...machine(),
    shape,
    batch: BATCH,
    lengths: examples.map(({ sequence }) => sequence.ids.length),
    examples_per_second: rate(own),
    examples_per_second_int8: rate(fast),
    tokens_with_padding: count(laid),
    padded_to_longest: { examples_per_second: rate(longest), tokens_with_padding: count(padded) },
    ratio: round(own / longest),
  };
}

function textsOf(data: string | undefined): string[] {
  if (data !== undefined) return readRows(data).map(({ text }) => text);
  return KINDS.flatMap(({ file }) => readSentences(file)).map(({ text }) => text);
}

/** Texts of the lengths that some of the given have, of random words. Throws a UserError where they are too few. */
function examplesOf(
  given: readonly string[],
  encode: (text: string) => { readonly ids: readonly number[] },
  vocabulary: number,
): EncodedExample[] {
  if (given.length < EXAMPLES) throw new UserError('usage', `--data: got ${given.length} texts; wanted ${EXAMPLES}`);
  const prng = createPrng('bench');
  const texts = prng.shuffle(given);
  return texts.slice(0, EXAMPLES).map((text, i) => {
    const { length } = encode(text).ids;
    const ids = Array.from({ length }, () => 10 + Math.floor(prng.random() * (vocabulary - 10)));
    return { sequence: { ids, positions: [length - 2] }, y: i % 2 };
  });
}

function paddedBatch(examples: readonly EncodedExample[]): ClassBatch {
  return withTargets(
    packBatch(
      examples.map(({ sequence }) => sequence),
      0,
    ),
    examples.map(({ y }) => ({ distribution: [y, 1 - y], weight: 1 / examples.length, temperature: 1 })),
  );
}
