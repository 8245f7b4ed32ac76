/** @file Bench `load`: from a folder to the first scored batch, with nothing in the cache, and with all of it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openBase } from '../../node/checkpoint/base.ts';
import { packBatch } from '../../node/engine/batch.ts';
import { createEngine } from '../../node/engine/engine.ts';
import { initialLora } from '../../node/model/lora.ts';
import { trainableTensors } from '../../node/model/program.ts';
import { createPrng } from '../../protocol/prng.ts';
import { type BenchOptions, machine, median, round } from './measure.ts';
import { SHAPES, TRAINABLE, writeRandomModel } from './shapes.ts';

/** Milliseconds by shape. */
export async function benchLoad(workspace: string, { rounds }: BenchOptions): Promise<unknown> {
  const results: Record<string, unknown> = {};
  for (const [name, shape] of Object.entries(SHAPES)) {
    const folder = join(workspace, name);
    writeRandomModel(folder, shape);
    const [cold, warm]: [number[], number[]] = [[], []];
    for (let i = 0; i < rounds; i++) {
      const cache = join(workspace, `cache-${name}-${i}`);
      mkdirSync(cache);
      process.env.LORIKEET_CACHE = cache;
      cold.push(await timed(folder));
      warm.push(await timed(folder));
    }
    results[name] = { cold_ms: round(median(cold)), warm_ms: round(median(warm)) };
  }
  return { bench: 'load', ...machine(), ...results };
}

async function timed(folder: string): Promise<number> {
  const began = performance.now();
  const engine = await createEngine({ base: folder, trainable: TRAINABLE, device: 'cpu', threads: 0 });
  const base = await openBase(folder);
  const vector = initialLora(trainableTensors(base, TRAINABLE), createPrng('bench').random);
  const batch = packBatch([{ ids: [5, 6, 7, 8], positions: [1] }], 0);
  await engine.score(vector, [batch], { ids: [5, 6], bias: [0, 0] });
  const ms = performance.now() - began;
  await engine.release();
  return ms;
}
