/** @file Weights in few bits: what stands on sixteen steps is kept as it is, everything else nearly; and products with them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openSession } from '../../node/engine/session.ts';
import { constant, createGraph, input, output } from '../../node/graph/graph.ts';
import { encodeOnnx } from '../../node/graph/onnx.ts';
import { BLOCK, MatMulNBits } from '../../node/graph/quantised.ts';
import { type Bits, bitsFor, quantise } from '../../node/model/quantise.ts';
import { createPrng } from '../../protocol/prng.ts';

const BLOCKS = 200;

/** Blocks on `levels` steps from a least number, as Q4_1 (any least) and Q4_0 (a multiple of the step) have them. */
function onSteps(levels: number, leastOf: (step: number, random: () => number) => number): Float32Array {
  const { random, below } = createPrng(`steps ${levels}`);
  const numbers = new Float32Array(BLOCKS * BLOCK);
  for (let at = 0; at < numbers.length; at += BLOCK) {
    const step = Math.fround(0.001 + 0.01 * random());
    const least = leastOf(step, random);
    for (let i = 0; i < BLOCK; i++) numbers[at + i] = Math.fround(step * below(levels)) + least;
  }
  return numbers;
}

function normals(): Float32Array {
  const { normal } = createPrng('normals');
  return Float32Array.from({ length: BLOCKS * BLOCK }, () => 0.02 * normal());
}

function back(numbers: Float32Array, bits: Bits): Float32Array {
  const { blocks, scales, offsets } = quantise(numbers, bits);
  return numbers.map((_, i) => {
    const block = Math.floor(i / BLOCK);
    if (bits === 8) return (blocks[i]! - 128) * scales[block]!;
    const q = i % 2 ? blocks[i >> 1]! >> 4 : blocks[i >> 1]! & 15;
    return (q - 8) * scales[block]! + offsets[block]!;
  });
}

/** The largest error as a share of what its block spans. */
function worst(numbers: Float32Array, bits: Bits): number {
  const again = back(numbers, bits);
  let most = 0;
  for (let at = 0; at < numbers.length; at += BLOCK) {
    const block = numbers.subarray(at, at + BLOCK);
    const span = Math.max(...block) - Math.min(...block) || 1;
    block.forEach((x, i) => {
      most = Math.max(most, Math.abs(x - again[at + i]!) / span);
    });
  }
  return most;
}

for (const [name, numbers] of [
  ['sixteen steps from anywhere', onSteps(16, (_, random) => random() - 0.5)],
  ['sixteen steps about zero', onSteps(16, (step) => -8 * step)],
  ['a few of sixteen steps', onSteps(5, (step) => -3 * step)],
  ['one number', new Float32Array(BLOCKS * BLOCK).fill(0.25)],
  ['nothing', new Float32Array(BLOCKS * BLOCK)],
] as const)
  test(`${name}: four bits are enough, and nothing is lost`, () => {
    assert.is(bitsFor(numbers), 4);
    assert.ok(worst(numbers, 4) < 1e-5, `${worst(numbers, 4)}`);
  });

test('other numbers take eight bits, within half a step of the larger side', () => {
  assert.is(bitsFor(normals()), 8);
  assert.ok(worst(normals(), 8) <= 1 / 254 + 1e-6, `${worst(normals(), 8)}`);
  assert.ok(worst(normals(), 4) <= 1 / 30 + 1e-6);
});

for (const bits of [4, 8] as const)
  test(`a product with weights of ${bits} bits is the product with what they stand for`, async () => {
    const [rows, inputs, outputs] = [3, 64, 100];
    const weights = normals().subarray(0, inputs * outputs);
    const meant = back(weights, bits);
    const { blocks, scales, offsets } = quantise(weights, bits);
    const { normal } = createPrng('x');
    const x = Float32Array.from({ length: rows * inputs }, normal);
    const g = createGraph();
    const count = inputs / BLOCK;
    const blockBytes = (BLOCK * bits) / 8;
    const fed = input(g, 'x', 'float32', [rows, inputs]);
    const weight = {
      blocks: constant(g, blocks, [outputs, count, blockBytes]),
      scales: constant(g, scales, [outputs * count]),
    };
    output(g, 'y', MatMulNBits(g, fed, { bits, outputs, inputs, ...weight }));
    const session = await openSession(encodeOnnx(g), 'cpu', { threads: 1, prepack: true });
    const { y } = await session.run({ x: { data: x, dims: [rows, inputs] } }, ['y']);
    await session.release();
    for (let r = 0; r < rows; r++)
      for (let o = 0; o < outputs; o++) {
        let [wanted, size] = [0, 0];
        for (let i = 0; i < inputs; i++) {
          const offset = bits === 4 ? offsets[Math.floor((o * inputs + i) / BLOCK)]! : 0;
          const w = meant[o * inputs + i]! - offset;
          wanted += w * x[r * inputs + i]!;
          size += (w * x[r * inputs + i]!) ** 2;
        }
        // Activations are rounded to eight bits.
        assert.ok(Math.abs(Number(y![r * outputs + o]) - wanted) < 0.05 * Math.sqrt(size) + 1e-4);
      }
  });

test.run();
