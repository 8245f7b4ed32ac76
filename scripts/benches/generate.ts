/** @file Bench `generate`: tokens a second that a causal model reads and writes, by mode, in turn in one run. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeSafetensors } from '../../node/formats/safetensors.ts';
import { createDecoder, type Decoder } from '../../node/generate/decoder.ts';
import { likeliest } from '../../node/generate/sampling.ts';
import { makeArchitecture } from '../../node/model/config.ts';
import { createPrng } from '../../protocol/prng.ts';
import { type BenchOptions, machine, median, round } from './measure.ts';

/** Of the random model: a Llama small enough to be written in a moment. */
const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 384,
  intermediate_size: 1024,
  num_hidden_layers: 12,
  num_attention_heads: 6,
  num_key_value_heads: 2,
  max_position_embeddings: 1024,
  vocab_size: 16_384,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
};
const [PROMPT, WORDS, ROUNDS] = [128, 32, 5];
const MODES = { f32: { isFast: false }, fast: { isFast: true } } as const;

/** Medians over the rounds; without `base`, a model of random weights. */
export async function benchGenerate(workspace: string, { base }: BenchOptions): Promise<unknown> {
  const folder = base ?? randomModel(join(workspace, 'llama'));
  const decoders = new Map<string, Decoder>();
  for (const [mode, options] of Object.entries(MODES))
    decoders.set(mode, await createDecoder({ base: folder, adapter: null, threads: 0, ...options }));
  const times = new Map([...decoders.keys()].map((mode) => [mode, { read: [] as number[], write: [] as number[] }]));
  const prng = createPrng('bench');
  for (let i = 0; i <= ROUNDS; i++) {
    const prompt = Array.from({ length: PROMPT }, () => prng.below(1000));
    for (const [mode, decoder] of decoders) {
      const { read, write } = await timesOf(decoder, prompt);
      if (i === 0) continue; // the first warms up
      times.get(mode)!.read.push(PROMPT / read);
      times.get(mode)!.write.push(WORDS / write);
    }
  }
  for (const decoder of decoders.values()) await decoder.release();
  const modes = [...times].map(([mode, { read, write }]) => [
    mode,
    { read_tokens_a_second: round(median(read)), written_tokens_a_second: round(median(write)) },
  ]);
  return { model: base ?? CONFIG, prompt: PROMPT, written: WORDS, ...Object.fromEntries(modes), machine: machine() };
}

/** Seconds to read a prompt, and to write on after it. */
async function timesOf(decoder: Decoder, prompt: readonly number[]): Promise<{ read: number; write: number }> {
  const began = performance.now();
  let logits = (await decoder.start(prompt))!;
  const read = performance.now();
  for (let i = 0; i < WORDS; i++) logits = await decoder.feed([likeliest(logits)]);
  return { read: (read - began) / 1000, write: (performance.now() - read) / 1000 };
}

function randomModel(folder: string): string {
  mkdirSync(folder);
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify(CONFIG));
  const { random } = createPrng('weights');
  const tensors = makeArchitecture(path, CONFIG).parameters.map(({ name, shape }) => ({
    name,
    shape: [...shape],
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0.04 * (random() - 0.5)),
  }));
  writeFileSync(join(folder, 'model.safetensors'), encodeSafetensors(tensors, { format: 'pt' }));
  return folder;
}
