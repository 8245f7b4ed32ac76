/** @file Layers computed again for their gradients: the same numbers, the memory of one layer, in onnxruntime too. */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openSession } from '../../node/engine/session.ts';
import { gradients } from '../../node/graph/grad.ts';
import { checkpoint, createGraph, type Graph, input, output, print, prune } from '../../node/graph/graph.ts';
import { peakBytes } from '../../node/graph/memory.ts';
import { encodeOnnx } from '../../node/graph/onnx.ts';
import * as op from '../../node/graph/ops.ts';
import { createPrng } from '../../protocol/prng.ts';

const WIDTH = 8;

/** Layers x + tanh(x W) exp(tanh(x W)), a W each, and the gradients of a sum of squares. */
function layers(count: number, recompute: boolean): Graph {
  const g = createGraph();
  const weights = Array.from({ length: count }, (_, i) => input(g, `w${i}`, 'float32', [WIDTH, WIDTH]));
  let x = input(g, 'x', 'float32', ['N', WIDTH]);
  for (const w of weights) {
    x = checkpoint(g, x);
    const turned = op.Tanh(g, op.Gemm(g, x, w, null));
    x = op.Add(g, x, op.Mul(g, turned, op.Exp(g, turned)));
  }
  checkpoint(g, x);
  const loss = op.ReduceSum(g, op.Mul(g, x, x), [0, 1], false);
  gradients(g, loss, weights, { recompute }).forEach((gradient, i) => {
    output(g, `d${i}`, gradient);
  });
  return prune(g);
}

async function run(graph: Graph, count: number, rows: number, numbers: (size: number) => Float32Array) {
  const session = await openSession(encodeOnnx(graph), 'cpu', { threads: 1 });
  const feeds = Object.fromEntries([
    ['x', { data: numbers(rows * WIDTH), dims: [rows, WIDTH] }],
    ...Array.from({ length: count }, (_, i) => [`w${i}`, { data: numbers(WIDTH * WIDTH), dims: [WIDTH, WIDTH] }]),
  ]);
  const names = Array.from({ length: count }, (_, i) => `d${i}`);
  const out = await session.run(feeds, names);
  await session.release();
  return names.map((name) => out[name] as Float32Array);
}

test('gradients with layers computed again are those with layers held', async () => {
  const numbersFrom = (): ((size: number) => Float32Array) => {
    const { random } = createPrng(5);
    return (size) => Float32Array.from({ length: size }, () => 0.4 * (random() - 0.5));
  };
  const held = await run(layers(4, false), 4, 3, numbersFrom());
  const again = await run(layers(4, true), 4, 3, numbersFrom());
  assert.equal(again, held);
  assert.ok(held.every((gradient) => gradient.some((x) => Math.abs(x) > 1e-3)));
});

test('every layer but the head is computed twice, the second time from a copy that waits for the gradients', () => {
  const count = (graph: Graph, name: string): number => graph.nodes.filter((node) => node.op === name).length;
  assert.is(count(layers(4, false), 'Tanh'), 4);
  assert.is(count(layers(4, true), 'Tanh'), 8);
  assert.is(count(layers(4, true), 'Greater'), 4);
  assert.is(print(layers(1, false)).includes('Greater'), false);
});

test('the estimate of memory: of layers held it grows by the layer, of layers computed again by what comes in', () => {
  const megabytes = (count: number, recompute: boolean): number =>
    peakBytes(layers(count, recompute))({ N: 1e5 }) / 1e6;
  const one = (4 * WIDTH * 1e5) / 1e6;
  const growth = (recompute: boolean): number => (megabytes(24, recompute) - megabytes(14, recompute)) / 10 / one;
  assert.ok(Math.abs(growth(true) - 1) < 0.1, `${growth(true)} tensors a layer`);
  assert.ok(growth(false) > 2.9, `${growth(false)} tensors a layer`);
});

/** Peak resident memory in MB of a process that runs 40 layers on tensors of 4 MB. */
function peakOf(recompute: boolean): number {
  const code = `
    const { measured } = await import(${JSON.stringify(import.meta.url)});
    await measured(${recompute});
    const status = (await import('node:fs')).readFileSync('/proc/self/status', 'utf8');
    console.log(/VmHWM:\\s+(\\d+)/.exec(status)[1] / 1024);`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    env: { ...process.env, LORIKEET_TEST_PART: 'yes' },
  });
  assert.match(stdout, /^[\d.]+\n$/, stderr);
  return Number(stdout);
}

/** Runs one step of many layers; for the process whose memory is looked at. */
export async function measured(recompute: boolean): Promise<void> {
  await run(layers(40, recompute), 40, 2 ** 17, (size) => new Float32Array(size).fill(0.01));
}

if (process.platform === 'linux')
  test('onnxruntime keeps the second computation where it is: a fraction of the memory', () => {
    const [held, again] = [peakOf(false), peakOf(true)];
    assert.ok(again < held - 200, `${again} MB, held ${held} MB`);
  });

if (!process.env.LORIKEET_TEST_PART) test.run();
