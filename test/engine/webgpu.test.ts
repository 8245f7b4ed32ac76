/**
 * @file A step of a masked and of a causal model on WebGPU agrees with the CPU, and what costs time stays on the device. Needs
 * a card, or SwiftShader, a Vulkan driver that computes on the CPU, which Debian's chromium brings along.
 */
import { existsSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { tryDevices } from '../../node/doctor/tries.ts';
import { type TrainBatch, withTargets } from '../../node/engine/batch.ts';
import type { Device } from '../../node/engine/device.ts';
import { createEngine, type Engine, type TrainResult } from '../../node/engine/engine.ts';
import { packPassages, trainingBatchOf, withWeights } from '../../node/engine/packing.ts';
import { missingFor } from '../../node/engine/session.ts';
import { UserError } from '../../node/errors.ts';
import type { Compute } from '../../node/model/program.ts';
import { createPrng } from '../../protocol/prng.ts';
import { fixture } from '../support.ts';

/** Shapes, words and angles; small beside what is multiplied. */
const ON_THE_CPU = ['Cast', 'Concat', 'Cos', 'Equal', 'Gather', 'Shape', 'Sin', 'Size', 'Slice', 'Unsqueeze'];
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (missingFor('webgpu', true) !== null && existsSync(SWIFTSHADER)) process.env.VK_ICD_FILENAMES = SWIFTSHADER;
const missing = missingFor('webgpu', true);

for (const name of ['bert-qv', 'llama-lm'])
  test(`${name} takes a step on WebGPU as on the CPU`, async () => {
    if (missing !== null) return console.log(`skipped: ${name} on WebGPU: ${missing}`);
    const [, webgpu] = await tryDevices(fixture(name), ['cpu', 'webgpu']);
    if (/No supported adapters/.test(webgpu!.problem ?? ''))
      return console.log(`skipped: ${name} on WebGPU: its Vulkan driver finds no device`);
    assert.is(webgpu!.state, 'works', JSON.stringify(webgpu));
    assert.ok(webgpu!.error! < 1e-5, `error ${webgpu!.error}`);
    const others = Object.keys(webgpu!.fallen).filter((op) => !ON_THE_CPU.includes(op));
    assert.equal(others, [], `on the CPU: ${JSON.stringify(webgpu!.fallen)}`);
    const count = Object.values(webgpu!.fallen).reduce((sum, n) => sum + n, 0);
    assert.ok(count < webgpu!.nodes! / 10, `${count} of ${webgpu!.nodes} nodes on the CPU`);
  });

const LORA = { type: 'lora', lora: { rank: 4, alpha: 8, targets: 'all' } } as const;
const LABELS = { ids: [5, 6], bias: [0, 0] };

const labelled = (weight = 0.5): TrainBatch =>
  withTargets(
    trainingBatchOf(
      [2, 3].map((n) => ({ ids: [7, 8, 9, 10 + n], positions: [1] })),
      { padId: 0, classes: 2 },
    ),
    [0, 1].map((y) => ({ distribution: [y, 1 - y], weight, temperature: 1 })),
  );

function continued(weight = 0.1): TrainBatch {
  const passages = [6, 9].map((length) => {
    const ids = Array.from({ length }, (_, i) => 7 + ((5 * i + length) % 90));
    return { ids, scored: ids.slice(1).map((id, position) => ({ position, id, weight })) };
  });
  return withWeights(packPassages(passages, 10, 0), passages);
}

const CASES = [
  { name: 'bert-qv', batch: labelled },
  { name: 'llama-lm', batch: continued },
];

/** Gives null where there is no such device, or none that computes so. */
async function engineOn(
  device: Device,
  name: string,
  { compute = 'f32', isCancelled = () => false }: { compute?: Compute; isCancelled?: () => boolean } = {},
): Promise<Engine | null> {
  try {
    return await createEngine({ base: fixture(name), trainable: LORA, device, threads: 1, compute }, isCancelled);
  } catch (error) {
    if (error instanceof UserError && /No supported adapters|compute in float16/.test(error.message)) return null;
    throw error;
  }
}

for (const { name, batch } of CASES)
  test(`${name}: adapter and moments stay on WebGPU from step to step, and nothing else does after them`, async () => {
    let [isCounted, asked] = [false, 0];
    const isCancelled = (): boolean => isCounted && asked++ > 0;
    const engine = missing === null ? await engineOn('webgpu', name, { isCancelled }) : null;
    if (!engine) return console.log(`skipped: ${name} on WebGPU: ${missing ?? 'its Vulkan driver finds no device'}`);
    const cpu = (await engineOn('cpu', name))!;
    const { random } = createPrng(5);
    const vector = Float32Array.from({ length: engine.parameters }, () => 0.2 * (random() - 0.5));
    const optimiser = { learningRate: 1e-2, weightDecay: 0.1, clipNorm: 1 };
    const mask = Float32Array.from(vector, (_, i) => Number(i % 3 > 0));
    const bytesOf = async (batches: readonly (TrainBatch | TrainBatch[])[], on = engine): Promise<number> => {
      const before = on.traffic().copiedBytes;
      await on.train({ vector, batches, labels: LABELS, optimiser, mask });
      return on.traffic().copiedBytes - before;
    };
    const train = (on: Engine, batches: readonly (TrainBatch | TrainBatch[])[]): Promise<TrainResult> =>
      on.train({ vector, batches, labels: LABELS, optimiser, mask });

    // A step alone, one of two micro-batches, and one cut short by a loss that is no number.
    const steps = [batch(), [batch(), batch()], batch()];
    const [got, wanted] = [await train(engine, steps), await train(cpu, steps)];
    const off = distance(got.vector, wanted.vector);
    assert.ok(off < 1e-3, `${off} off what the CPU trains; AdamW makes steps of tiny gradients too`);
    assert.ok(wanted.losses.every((loss, i) => Math.abs(loss - got.losses[i]!) < 1e-4 * loss));
    const cut = await train(engine, [batch(), batch(Number.NaN), batch()]);
    assert.equal(cut.vector, (await train(engine, [batch()])).vector);
    assert.is(cut.diverged!.step, 2);
    assert.is(engine.traffic().kept, 0, 'kept after their jobs');

    const perStep = (await bytesOf([batch(), batch(), batch()])) - (await bytesOf([batch(), batch()]));
    const onCpu = (await bytesOf([batch(), batch()], cpu)) - (await bytesOf([batch()], cpu));
    assert.ok(perStep < 2 * vector.byteLength, `${perStep} bytes copied a step, the adapter is ${vector.byteLength}`);
    assert.is(onCpu - perStep, 7 * vector.byteLength, 'adapter, moments and mask there, adapter and moments back');

    // Given up in the middle of a step: of two micro-batches one has its gradient.
    const stopped = engine.train({ vector, batches: [batch(), steps[1]!], labels: LABELS, optimiser, mask }, () => {
      isCounted = true;
    });
    assert.is(await stopped.catch((error: Error) => error.message), 'stopped');
    assert.is(engine.traffic().kept, 1);
    await engine.release();
    assert.is(engine.traffic().kept, 0);
    await cpu.release();
  });

for (const { name, batch } of CASES)
  test(`${name}: steps in float16 on WebGPU train as in float32`, async () => {
    const [exact, half] =
      missing === null ? [await engineOn('webgpu', name), await engineOn('webgpu', name, { compute: 'f16' })] : [];
    if (!exact || !half) {
      await exact?.release();
      const reason = missing ?? (exact ? 'it does not compute in float16' : 'its Vulkan driver finds no device');
      return console.log(`skipped: ${name} in float16 on WebGPU: ${reason}`);
    }
    const { random } = createPrng(5);
    const vector = Float32Array.from({ length: exact.parameters }, () => 0.2 * (random() - 0.5));
    const optimiser = { learningRate: 1e-2, weightDecay: 0.1, clipNorm: 1 };
    const job = { vector, batches: [batch(), batch(), batch()], labels: LABELS, optimiser };
    const [wanted, got] = [await exact.train(job), await half.train(job)];
    wanted.losses.forEach((loss, i) => {
      assert.ok(Math.abs(got.losses[i]! - loss) < 0.01 * loss, `step ${i}: ${got.losses[i]}, wanted ${loss}`);
    });
    assert.is(half.traffic().kept, 0);
    await exact.release();
    await half.release();
  });

/** ||a - b|| / ||b|| */
function distance(a: Float32Array, b: Float32Array): number {
  return Math.hypot(...a.map((x, i) => x - b[i]!)) / Math.hypot(...b);
}

test.run();
