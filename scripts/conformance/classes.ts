/** @file A case of classification: logits, losses over label words, gradients, AdamW, and the adapter it ends with. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { baseVector, openBase } from '../../node/checkpoint/base.ts';
import { type LabelWords, packBatch, withTargets } from '../../node/engine/batch.ts';
import type { Device } from '../../node/engine/device.ts';
import { createEngine } from '../../node/engine/engine.ts';
import { openSafetensors, tensorData } from '../../node/formats/safetensors.ts';
import { peftKey, readPeftConfig, readPeftVector } from '../../node/model/peft.ts';
import { type Trainable, trainableTensors } from '../../node/model/program.ts';
import { compareGradients, judge, type Report, readBack, relative } from './compare.ts';

interface Case {
  readonly input_ids: number[][];
  readonly attention_mask: number[][];
  readonly position: number[];
  readonly verbalizer: number[];
  readonly hard_labels: number[];
  readonly masked: boolean;
  readonly loss_hard: number;
  readonly loss_soft: number;
  readonly adamw: { lr: number; weight_decay: number; losses: number[] };
  readonly full_loss_hard?: number;
}

/** Runs a case of classification. */
export async function classCase(folder: string, device: Device): Promise<Report> {
  const spec: Case = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8'));
  const expected = openSafetensors(join(folder, 'expected.safetensors'));
  const want = (name: string): Float32Array => tensorData(expected, name);
  const base = await openBase(folder);
  const lora = readPeftConfig(join(folder, 'adapter-init'), base.architecture.linears);
  const trainable: Trainable = { type: 'lora', lora };
  const tensors = trainableTensors(base, trainable);
  const initial = readPeftVector(join(folder, 'adapter-init'), tensors);
  const engine = await createEngine({ base: folder, trainable, device, threads: 1 });

  const sequences = spec.input_ids.map((row, i) => ({
    ids: row.slice(
      0,
      spec.attention_mask[i]!.reduce((a, b) => a + b, 0),
    ),
    positions: [spec.position[i]!],
  }));
  const batch = packBatch(sequences, 0, spec.input_ids[0]!.length);
  const vocabulary = expected.tensors.get('logits_base')!.shape[1]!;
  const every: LabelWords = {
    ids: Array.from({ length: vocabulary }, (_, i) => i),
    bias: new Array(vocabulary).fill(0),
  };
  const words: LabelWords = { ids: spec.verbalizer, bias: spec.verbalizer.map(() => 0) };
  const share = 1 / sequences.length;
  const soft = rowsOf(want('soft_labels'), spec.verbalizer.length);
  const hardBatch = withTargets(
    batch,
    spec.hard_labels.map((y) =>
      target(
        spec.verbalizer.map((_, k) => (k === y ? 1 : 0)),
        share,
      ),
    ),
  );
  const softBatch = withTargets(
    batch,
    soft.map((p) => target(p, share)),
  );

  const errors: Record<string, number> = {};
  const gradientErrors: Record<string, number> = {};
  const score = async (vector: Float32Array): Promise<Float32Array> => (await engine.score(vector, [batch], every))[0]!;
  errors.logitsBase = relative(await score(new Float32Array(initial.length)), want('logits_base'));
  errors.logitsAdapter = relative(await score(initial), want('logits_adapter'));
  for (const [kind, b, loss] of [
    ['hard', hardBatch, spec.loss_hard],
    ['soft', softBatch, spec.loss_soft],
  ] as const) {
    const got = await engine.gradient(initial, b, words);
    errors[`${kind}Loss`] = Math.abs(got.loss - loss) / Math.abs(loss);
    const wanted = (name: string): Float32Array =>
      want(`grad_${kind}.${peftKey(name).replace(/\.weight$/, '.default.weight')}`);
    Object.assign(gradientErrors, compareGradients(got.gradient, tensors, wanted, kind));
  }
  const steps = spec.adamw.losses.map(() => hardBatch);
  const optimiser = {
    learningRate: spec.adamw.lr,
    weightDecay: spec.adamw.weight_decay,
    clipNorm: Number.POSITIVE_INFINITY,
  };
  const trained = await engine.train({ vector: initial, batches: steps, labels: words, optimiser });
  errors.adamwLosses = relative(Float32Array.from(trained.losses), Float32Array.from(spec.adamw.losses));
  errors.logitsTrained = relative(await score(trained.vector), want('logits_trained'));
  errors.adapterTrained = relative(trained.vector, readPeftVector(join(folder, 'adapter-trained'), tensors));
  errors.adapterReadBack = await readBack(trained.vector, tensors, { lora, architecture: base.architecture });
  await engine.release();

  if (spec.full_loss_hard !== undefined) {
    const full = await fullGradient({ folder, device }, hardBatch, words);
    errors.fullLoss = Math.abs(full.loss - spec.full_loss_hard) / spec.full_loss_hard;
    Object.assign(
      gradientErrors,
      compareGradients(full.gradient, full.tensors, (name) => want(`full_grad.${name}`), 'full'),
    );
  }
  return judge(folder, errors, gradientErrors);
}

async function fullGradient(
  { folder, device }: { folder: string; device: Device },
  batch: Parameters<Awaited<ReturnType<typeof createEngine>>['gradient']>[1],
  words: LabelWords,
) {
  const engine = await createEngine({ base: folder, trainable: { type: 'full' }, device, threads: 1 });
  const base = await openBase(folder);
  const result = await engine.gradient(await baseVector(base), batch, words);
  await engine.release();
  return { ...result, tensors: trainableTensors(base, { type: 'full' }) };
}

const target = (distribution: number[], weight: number) => ({ distribution, weight, temperature: 1 });

function rowsOf(flat: Float32Array, width: number): number[][] {
  return Array.from({ length: flat.length / width }, (_, i) => Array.from(flat.subarray(i * width, (i + 1) * width)));
}
