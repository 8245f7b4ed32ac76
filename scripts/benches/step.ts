/** @file Bench `step`: a LoRA step and a forward pass on models of random weights, beside a plain matrix product. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openBase } from '../../node/checkpoint/base.ts';
import { packBatch, withTargets } from '../../node/engine/batch.ts';
import { createEngine } from '../../node/engine/engine.ts';
import { openSession } from '../../node/engine/session.ts';
import { UserError } from '../../node/errors.ts';
import { matMulFlops } from '../../node/graph/flops.ts';
import { createGraph, external, input, output } from '../../node/graph/graph.ts';
import { encodeOnnx } from '../../node/graph/onnx.ts';
import * as op from '../../node/graph/ops.ts';
import { initialLora } from '../../node/model/lora.ts';
import { scoreGraph, trainableTensors, trainGraph } from '../../node/model/program.ts';
import { createPrng } from '../../protocol/prng.ts';
import { type BenchOptions, interleave, machine, median, round } from './measure.ts';
import { type ModelShape, SHAPES, TRAINABLE, writeRandomModel } from './shapes.ts';

const GEMM_SIZE = 1024;

/** Milliseconds and GFLOP/s of a LoRA step, of one with the base in int8, of the forward pass alone, and of a plain product, in turn. */
export async function benchStep(workspace: string, { rounds, shape: only }: BenchOptions): Promise<unknown> {
  const gemm = await plainGemm(workspace);
  const results: Record<string, unknown> = {};
  if (only !== undefined && !Object.hasOwn(SHAPES, only))
    throw new UserError('usage', `--shape: got ${only}; wanted one of ${Object.keys(SHAPES).join(', ')}`);
  for (const [name, shape] of Object.entries(SHAPES)) {
    if (only !== undefined && name !== only) continue;
    const folder = join(workspace, name);
    writeRandomModel(folder, shape);
    const step = await stepOf(folder, shape);
    const times = await interleave([step.train, step.trainInt8, step.score, gemm.run], rounds);
    const [train, int8, score, plain] = times.map(median) as [number, number, number, number];
    const rate = (flops: number, ms: number): number => Number((flops / ms / 1e6).toFixed(1));
    results[name] = {
      shape,
      step: {
        ms: round(train),
        gflops: rate(step.trainFlops, train),
        share_of_gemm: round((step.trainFlops / train) * (plain / gemm.flops)),
      },
      step_int8: { ms: round(int8), of_f32: round(int8 / train) },
      forward: {
        ms: round(score),
        gflops: rate(step.scoreFlops, score),
        share_of_gemm: round((step.scoreFlops / score) * (plain / gemm.flops)),
      },
      gemm: { size: GEMM_SIZE, ms: round(plain), gflops: rate(gemm.flops, plain) },
    };
    await step.release();
  }
  await gemm.release();
  return {
    bench: 'step',
    ...machine(),
    ...results,
  };
}

async function stepOf(folder: string, shape: ModelShape) {
  const random = createPrng('bench').random;
  const base = await openBase(folder);
  const vector = initialLora(trainableTensors(base, TRAINABLE), random);
  const common = { base: folder, trainable: TRAINABLE, device: 'cpu', threads: 0 } as const;
  const engine = await createEngine(common);
  const int8 = await createEngine({ ...common, basePrecision: 'int8' });
  const labels = { ids: [5, 6], bias: [0, 0] };
  const sequences = Array.from({ length: shape.batch }, () => ({
    ids: Array.from({ length: shape.tokens }, () => Math.floor(random() * shape.vocabulary)),
    positions: [Math.floor(random() * shape.tokens)],
  }));
  const batch = packBatch(sequences, 0);
  const targets = sequences.map((_, i) => ({
    distribution: i % 2 ? [0, 1] : [1, 0],
    weight: 1 / shape.batch,
    temperature: 1,
  }));
  const job = {
    vector,
    batches: [withTargets(batch, targets)],
    labels,
    optimiser: { learningRate: 1e-3, weightDecay: 0.01, clipNorm: 1 },
  };
  const bindings = { B: shape.batch, T: shape.tokens, M: 1, K: 2 };
  return {
    train: () => engine.train(job),
    trainInt8: () => int8.train(job),
    score: () => engine.score(vector, [batch], labels),
    trainFlops: matMulFlops(trainGraph(base, TRAINABLE), bindings),
    scoreFlops: matMulFlops(scoreGraph(base, TRAINABLE), bindings),
    release: async () => {
      await engine.release();
      await int8.release();
    },
  };
}

/** y = x W for 1024^3; the output is one row's sum so that nothing but the product takes time. */
async function plainGemm(workspace: string) {
  const n = GEMM_SIZE;
  const random = createPrng('gemm').random;
  const weights = Float32Array.from({ length: n * n }, random);
  writeFileSync(join(workspace, 'gemm.bin'), new Uint8Array(weights.buffer));
  const g = createGraph();
  const x = input(g, 'x', 'float32', [n, n]);
  const product = op.Gemm(g, x, external(g, 'w', [n, n], { offset: 0, byteLength: weights.byteLength }), null);
  output(g, 'y', op.Gather(g, product, op.Unsqueeze(g, op.Cast(g, input(g, 'row', 'int64', []), 'int64'), [0])));
  const path = join(workspace, 'gemm.onnx');
  writeFileSync(path, encodeOnnx(g, 'gemm.bin'));
  const session = await openSession(path, 'cpu', { prepack: true });
  const feeds = {
    x: { data: Float32Array.from({ length: n * n }, random), dims: [n, n] },
    row: { data: BigInt64Array.of(0n), dims: [] },
  };
  return { run: () => session.run(feeds, ['y']), flops: 2 * n ** 3, release: session.release };
}
