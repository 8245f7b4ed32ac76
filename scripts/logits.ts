/**
 * @file The logits of a model with an adapter on it, for whoever compares: `scripts/check_peft.py` asks, with token ids on stdin.
 * `node dist/scripts/logits.js --adapter DIR < {"sequences": [[ids]], "positions": [[where]]}` prints {"logits": [...]}.
 */
import { readFileSync } from 'node:fs';
import { openAdapter } from '../node/adapter.ts';
import { packBatch } from '../node/engine/batch.ts';
import { createEngine } from '../node/engine/engine.ts';
import { UserError } from '../node/errors.ts';
import { readArguments, refuse, type Usage } from './arguments.ts';

interface Asked {
  /** Token ids, of any length. */
  readonly sequences: number[][];
  /** Of each sequence as many places whose logits are wanted. */
  readonly positions: number[][];
}

const USAGE: Usage = {
  name: 'logits',
  about: 'Logits of every word at the places asked for on stdin, as JSON: a row a place, sequence by sequence.',
  options: {
    adapter: { about: 'adapter folder', value: 'dir' },
    base: { about: 'base model, where the folder should not say', value: 'name' },
  },
  examples: ['--adapter shared'],
};

async function main({ adapter, base }: { adapter?: string; base?: string }): Promise<void> {
  if (adapter === undefined) throw new UserError('usage', 'no --adapter given; wanted an adapter folder');
  const { sequences, positions } = JSON.parse(readFileSync(0, 'utf8')) as Asked;
  const opened = await openAdapter(adapter, base);
  const { vocabulary } = opened.base.architecture;
  const trainable = { type: 'lora', lora: opened.lora } as const;
  const engine = await createEngine({ base: opened.name, trainable, device: 'cpu', threads: 0 });
  const texts = sequences.map((ids, i) => ({ ids, positions: positions[i]! }));
  const batch = packBatch(texts, 0, Math.max(...sequences.map((ids) => ids.length)));
  const ids = Array.from({ length: vocabulary }, (_, id) => id);
  const [logits] = await engine.score(opened.vector, [batch], { ids, bias: ids.map(() => 0) });
  await engine.release();
  const rows = Array.from({ length: logits!.length / vocabulary }, (_, row) =>
    Array.from(logits!.subarray(row * vocabulary, (row + 1) * vocabulary)),
  );
  process.stdout.write(`${JSON.stringify({ logits: rows })}\n`);
}

main(readArguments(USAGE).values).catch((error) => refuse(USAGE.name, error));
