/** @file Log-probabilities of words made a piece of the vocabulary at a time, against all of it at once; classes of several words. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createEngine } from '../../node/engine/engine.ts';
import { packChoices, packPassages, withWeights } from '../../node/engine/packing.ts';
import { openSession } from '../../node/engine/session.ts';
import { gradients } from '../../node/graph/grad.ts';
import { constant, createGraph, input, output } from '../../node/graph/graph.ts';
import { encodeOnnx } from '../../node/graph/onnx.ts';
import * as op from '../../node/graph/ops.ts';
import type { Head, Weights } from '../../node/model/architecture.ts';
import { logProbabilities } from '../../node/model/words.ts';
import { createPrng } from '../../protocol/prng.ts';
import { fixture } from '../support.ts';

const [WORDS, HIDDEN, ROWS] = [50, 8, 5];

/** Log-probabilities and the gradient of their weighted sum, the vocabulary cut into pieces of so many words. */
async function run(piece: number, { cap, hasBias }: { cap: number | null; hasBias: boolean }) {
  const { random } = createPrng(3);
  const numbers = (count: number, size: number): Float32Array =>
    Float32Array.from({ length: count }, () => size * (2 * random() - 1));
  const [words, biases] = [numbers(WORDS * HIDDEN, 1), numbers(WORDS, 1)];
  const g = createGraph();
  const weights: Weights = {
    graph: g,
    parameter: (name) => (name === 'w' ? constant(g, words, [WORDS, HIDDEN]) : constant(g, biases, [WORDS])),
    rows: (name, from, to) =>
      name === 'w'
        ? constant(g, words.slice(from * HIDDEN, to * HIDDEN), [to - from, HIDDEN])
        : constant(g, biases.slice(from, to), [to - from]),
    linear: (x) => x,
    byHeads: () => null,
  };
  const head: Head = { transform: (_, x) => op.Mul(g, x, x), weight: 'w', ...(hasBias ? { bias: 'b' } : {}), cap };
  const hidden = input(g, 'hidden', 'float32', [ROWS, HIDDEN]);
  const targetIds = input(g, 'targets', 'int64', [ROWS]);
  const each = logProbabilities(weights, head, { hidden, targetIds, piece });
  const share = input(g, 'share', 'float32', [ROWS, 1]);
  const [gradient] = gradients(g, op.ReduceSum(g, op.Mul(g, each, share), [0, 1], false), [hidden]);
  output(g, 'each', each);
  output(g, 'gradient', gradient!);
  const session = await openSession(encodeOnnx(g), 'cpu', { threads: 1 });
  const feeds = {
    hidden: { data: numbers(ROWS * HIDDEN, 2), dims: [ROWS, HIDDEN] },
    targets: { data: BigInt64Array.of(0n, 15n, 16n, 31n, 49n), dims: [ROWS] },
    share: { data: numbers(ROWS, 1), dims: [ROWS, 1] },
  };
  const out = await session.run(feeds, ['each', 'gradient']);
  await session.release();
  return out as Record<'each' | 'gradient', Float32Array>;
}

for (const [cap, hasBias] of [
  [null, false],
  [null, true],
  [1.5, true],
] as const)
  test(`pieces of a vocabulary give what the whole gives: cap ${cap}, ${hasBias ? 'with' : 'without'} bias`, async () => {
    const whole = await run(WORDS, { cap, hasBias });
    assert.ok(whole.each.every((x) => x < 0));
    for (const piece of [16, 7, 49]) {
      const cut = await run(piece, { cap, hasBias });
      for (const name of ['each', 'gradient'] as const)
        whole[name].forEach((x, i) => {
          assert.ok(
            Math.abs(x - cut[name][i]!) < 2e-5 * (1 + Math.abs(x)),
            `${name} ${i}: ${cut[name][i]}, wanted ${x}`,
          );
        });
    }
  });

test('classes of several words: each scores the sum of its words, however texts are packed', async () => {
  const trainable = { type: 'lora', lora: { rank: 2, alpha: 4, targets: 'q_proj' } } as const;
  const engine = await createEngine({ base: fixture('llama-qv'), trainable, device: 'cpu', threads: 1 });
  const words = [[7], [8, 9, 10]];
  const prompts = [
    [3, 4, 5],
    [6, 5, 4, 3, 2],
  ];
  const passages = prompts.flatMap((prompt) =>
    words.map((word) => ({
      ids: [...prompt, ...word],
      scored: word.map((id, j) => ({ position: prompt.length - 1 + j, id, weight: 1 })),
    })),
  );
  const choices = prompts.map((_, e) => ({
    passages: passages.slice(2 * e, 2 * e + 2),
    classes: words.flatMap((word, y) => word.map(() => y)),
  }));
  const none = { ids: [], bias: [] };
  const vector = new Float32Array(2 * 2 * (32 * 2 + 32 * 2)).slice(0, 256);
  const tokens = withWeights(packPassages(passages, 1, 0), passages);
  const [each] = await engine.score(vector, [tokens], none);
  const sums = passages.map(({ scored }, i) => {
    const from = passages.slice(0, i).reduce((sum, p) => sum + p.scored.length, 0);
    return scored.reduce((sum, _, j) => sum + each![from + j]!, 0);
  });
  for (const width of [1, 12, 64]) {
    const batch = packChoices(choices, { labels: 2, tokens: width, padId: 0 });
    const [logits] = await engine.score(vector, [batch], { ids: [], bias: [0, 0.5] });
    sums.forEach((sum, i) => {
      assert.ok(Math.abs(logits![i]! - sum - (i % 2) * 0.5) < 1e-5, `${width}: ${logits}, wanted ${sums}`);
    });
  }
  await engine.release();
});

test.run();
