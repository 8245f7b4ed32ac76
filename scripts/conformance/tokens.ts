/** @file A case of writing: the loss of next tokens without and with an adapter, its gradients, AdamW, the adapter it ends with. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openBase } from '../../node/checkpoint/base.ts';
import type { LabelWords, Passage } from '../../node/engine/batch.ts';
import type { Device } from '../../node/engine/device.ts';
import { createEngine } from '../../node/engine/engine.ts';
import { packPassages, withWeights } from '../../node/engine/packing.ts';
import { openSafetensors, tensorData } from '../../node/formats/safetensors.ts';
import { peftKey, readPeftConfig, readPeftVector } from '../../node/model/peft.ts';
import { type Trainable, trainableTensors } from '../../node/model/program.ts';
import { compareGradients, judge, type Report, readBack, relative } from './compare.ts';

interface Case {
  readonly input_ids: number[][];
  readonly attention_mask: number[][];
  /** -100 where nothing is learned. */
  readonly labels: number[][];
  readonly loss_base: number;
  readonly loss_lm: number;
  readonly adamw: { lr: number; weight_decay: number; losses: number[] };
}

/** Both ways of laying texts out must agree: one a row, and as many as fit. */
const LAYOUTS = { alone: 1, packed: 40 };
const NO_WORDS: LabelWords = { ids: [], bias: [] };

/** Runs a case of writing. */
export async function tokenCase(folder: string, device: Device): Promise<Report> {
  const spec: Case = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8'));
  const expected = openSafetensors(join(folder, 'expected.safetensors'));
  const base = await openBase(folder);
  const lora = readPeftConfig(join(folder, 'adapter-init'), base.architecture.linears);
  const trainable: Trainable = { type: 'lora', lora };
  const tensors = trainableTensors(base, trainable);
  const initial = readPeftVector(join(folder, 'adapter-init'), tensors);
  const engine = await createEngine({ base: folder, trainable, device, threads: 1 });
  const passages = passagesOf(spec);
  const errors: Record<string, number> = {};
  const gradientErrors: Record<string, number> = {};
  for (const [layout, tokens] of Object.entries(LAYOUTS)) {
    const batch = withWeights(packPassages(passages, tokens, 0), passages);
    const zero = await engine.gradient(new Float32Array(initial.length), batch, NO_WORDS);
    errors[`${layout} baseLoss`] = Math.abs(zero.loss - spec.loss_base) / spec.loss_base;
    const got = await engine.gradient(initial, batch, NO_WORDS);
    errors[`${layout} loss`] = Math.abs(got.loss - spec.loss_lm) / spec.loss_lm;
    const [each] = await engine.score(initial, [batch], NO_WORDS);
    const scored = each!.reduce((sum, x, i) => sum - x * batch.rowWeight[i]!, 0);
    errors[`${layout} scoredLoss`] = Math.abs(scored - spec.loss_lm) / spec.loss_lm;
    const wanted = (name: string): Float32Array =>
      tensorData(expected, `grad_lm.${peftKey(name).replace(/\.weight$/, '.default.weight')}`);
    Object.assign(gradientErrors, compareGradients(got.gradient, tensors, wanted, layout));
    const trained = await engine.train({
      vector: initial,
      batches: spec.adamw.losses.map(() => batch),
      labels: NO_WORDS,
      optimiser: {
        learningRate: spec.adamw.lr,
        weightDecay: spec.adamw.weight_decay,
        clipNorm: Number.POSITIVE_INFINITY,
      },
    });
    const losses = Float32Array.from(trained.losses);
    errors[`${layout} adamwLosses`] = relative(losses, Float32Array.from(spec.adamw.losses));
    const end = readPeftVector(join(folder, 'adapter-trained'), tensors);
    errors[`${layout} adapterTrained`] = relative(trained.vector, end);
    errors.adapterReadBack = await readBack(trained.vector, tensors, { lora, architecture: base.architecture });
  }
  await engine.release();
  return judge(folder, errors, gradientErrors);
}

/** The texts without padding; the loss is the mean over all learned tokens. */
function passagesOf({ input_ids: ids, attention_mask: mask, labels }: Case): Passage[] {
  const learned = labels.map((row) => row.flatMap((id, t) => (t > 0 && id !== -100 ? [{ position: t - 1, id }] : [])));
  const weight = 1 / learned.flat().length;
  return ids.map((row, i) => ({
    ids: row.filter((_, t) => mask[i]![t] === 1),
    scored: learned[i]!.map((token) => ({ ...token, weight })),
  }));
}
