/** @file The process that bench `memory` measures: opens a base, trains some steps of next tokens, prints what it held. */
import { readFileSync } from 'node:fs';
import { openBase } from '../../node/checkpoint/base.ts';
import { createEngine } from '../../node/engine/engine.ts';
import { packPassages, withWeights } from '../../node/engine/packing.ts';
import { initialLora } from '../../node/model/lora.ts';
import { type Trainable, trainableTensors } from '../../node/model/program.ts';
import { createPrng } from '../../protocol/prng.ts';
import { median, round } from './measure.ts';

interface Options {
  readonly folder: string;
  readonly batch: number;
  readonly tokens: number;
  readonly steps: number;
  readonly targets: string;
  readonly recompute?: boolean;
  readonly basePrecision?: 'f16';
}

async function main({ folder, batch, tokens, steps, targets, ...options }: Options): Promise<void> {
  const trainable: Trainable = { type: 'lora', lora: { rank: 8, alpha: 16, targets } };
  const base = await openBase(folder, options.basePrecision);
  await base.expand();
  const opened = resident();
  if (steps === 0) return console.log(JSON.stringify(opened));
  const { random } = createPrng('bench');
  const vector = initialLora(trainableTensors(base, trainable), random);
  const passages = Array.from({ length: batch }, () => {
    const ids = Array.from({ length: tokens }, () => Math.floor(random() * base.architecture.vocabulary));
    const weight = 1 / (batch * (tokens - 1));
    return { ids, scored: ids.slice(1).map((id, position) => ({ position, id, weight })) };
  });
  const batches = [withWeights(packPassages(passages, tokens, 0), passages)];
  const engine = await createEngine({ base: folder, trainable, device: 'cpu', threads: 0, ...options });
  const optimiser = { learningRate: 1e-4, weightDecay: 0, clipNorm: 1 };
  const [times, losses]: [number[], number[]] = [[], []];
  for (let step = 0; step < steps; step++) {
    const began = performance.now();
    const result = await engine.train({ vector, batches, labels: { ids: [], bias: [] }, optimiser });
    times.push(performance.now() - began);
    losses.push(...result.losses);
  }
  console.log(
    JSON.stringify({ ...resident(), stepMs: round(median(times.slice(steps > 1 ? 1 : 0))), loss: losses.at(-1) }),
  );
  await engine.release();
}

/** Megabytes of this process: at most until now, now, and of these what is mapped from files. */
function resident(): Record<string, number> {
  const status = readFileSync('/proc/self/status', 'utf8');
  const megabytes = (field: string): number =>
    Math.round(Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024);
  return { peakMb: megabytes('VmHWM'), nowMb: megabytes('VmRSS'), mappedMb: megabytes('RssFile') };
}

await main(JSON.parse(process.argv[2]!) as Options);
