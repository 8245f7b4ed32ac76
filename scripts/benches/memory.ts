/** @file Bench `memory`: peak and steady resident memory, mapped pages included, of training on models of random weights. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../node/errors.ts';
import { makeArchitecture } from '../../node/model/config.ts';
import { createPrng } from '../../protocol/prng.ts';
import { type BenchOptions, machine } from './measure.ts';

interface Shape {
  readonly config: Readonly<Record<string, unknown>>;
  readonly batch: number;
  readonly tokens: number;
  /** What training it should stay within. */
  readonly limitGigabytes: number | null;
}

const COMMON = { rms_norm_eps: 1e-6, max_position_embeddings: 2048, tie_word_embeddings: true };
const QWEN = {
  ...COMMON,
  architectures: ['Qwen2ForCausalLM'],
  hidden_act: 'silu',
  hidden_size: 896,
  intermediate_size: 4864,
  num_hidden_layers: 24,
  num_attention_heads: 14,
  num_key_value_heads: 2,
  rope_theta: 1_000_000,
  vocab_size: 151_936,
};

/** The sizes of models that people have; the last has more than 2 GiB of weights. */
const SHAPES: Readonly<Record<string, Shape>> = {
  'SmolLM2-135M': {
    config: {
      ...COMMON,
      architectures: ['LlamaForCausalLM'],
      hidden_act: 'silu',
      hidden_size: 576,
      intermediate_size: 1536,
      num_hidden_layers: 30,
      num_attention_heads: 9,
      num_key_value_heads: 3,
      rope_theta: 100_000,
      vocab_size: 49_152,
    },
    batch: 8,
    tokens: 256,
    limitGigabytes: 3,
  },
  'Gemma-3-270M': {
    config: {
      ...COMMON,
      architectures: ['Gemma3ForCausalLM'],
      hidden_activation: 'gelu_pytorch_tanh',
      hidden_size: 640,
      intermediate_size: 2048,
      num_hidden_layers: 18,
      num_attention_heads: 4,
      num_key_value_heads: 1,
      head_dim: 256,
      query_pre_attn_scalar: 256,
      sliding_window: 512,
      rope_theta: 1_000_000,
      rope_local_base_freq: 10_000,
      vocab_size: 262_144,
    },
    batch: 8,
    tokens: 256,
    limitGigabytes: 5,
  },
  'Qwen2.5-0.5B': { config: QWEN, batch: 4, tokens: 256, limitGigabytes: 8 },
  'Qwen2.5-0.5B-untied': {
    config: { ...QWEN, tie_word_embeddings: false },
    batch: 4,
    tokens: 256,
    limitGigabytes: null,
  },
};

/** Of each the first is not timed. */
const STEPS = 3;

/** What is measured of each: the layers held, or computed again. */
const WAYS: Readonly<
  Record<string, { readonly recompute?: boolean; readonly basePrecision?: 'f16'; readonly targets: string }>
> = {
  chosen: { targets: 'q_proj,v_proj' },
  'layers held': { targets: 'q_proj,v_proj', recompute: false },
  'layers computed again': { targets: 'q_proj,v_proj', recompute: true },
  'chosen, the base in f16': { targets: 'q_proj,v_proj', basePrecision: 'f16' },
  'chosen, adapters on all': { targets: 'all' },
};

/** Megabytes and milliseconds of each shape, or of the one named, each in a process of its own. Throws a UserError on another. */
export async function benchMemory(workspace: string, { shape: only }: BenchOptions): Promise<unknown> {
  if (only !== undefined && !Object.hasOwn(SHAPES, only))
    throw new UserError('usage', `--shape: got ${only}; wanted one of ${Object.keys(SHAPES).join(', ')}`);
  const results: Record<string, unknown> = {};
  for (const [name, shape] of Object.entries(SHAPES)) {
    if (only !== undefined && only !== name) continue;
    const folder = join(workspace, 'model');
    const parameters = writeRandomModel(folder, shape.config);
    const { batch, tokens, limitGigabytes } = shape;
    const first = await measure({ folder, batch, tokens, steps: 0, targets: 'q_proj' });
    const ways: Record<string, unknown> = {};
    for (const [way, options] of Object.entries(WAYS))
      ways[way] = await measure({ folder, batch, tokens, steps: STEPS, ...options });
    results[name] = { parameters, batch, tokens, limitGigabytes, 'opened for the first time': first, ...ways };
    rmSync(workspace, { recursive: true });
    mkdirSync(workspace);
  }
  return { bench: 'memory', rank: 8, ...machine(), ...results };
}

/** Runs `memory-process` on the given options. Throws with what it said when it fails. */
async function measure(options: Readonly<Record<string, unknown>>): Promise<unknown> {
  const script = fileURLToPath(new URL('./memory-process.js', import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (chunk: Buffer) => {
      said[stream] += chunk;
    });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`${JSON.stringify(options)}: ended with ${code}: ${said.stderr.slice(-2000)}`);
  return JSON.parse(said.stdout);
}

/** Numbers of a piece that random weights repeat. */
const PIECE = 2 ** 20;

/** Writes a folder of bfloat16 weights a piece at a time; gives the number of parameters. */
function writeRandomModel(folder: string, config: Readonly<Record<string, unknown>>): number {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const { parameters } = makeArchitecture(folder, config);
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const { name, shape } of parameters) {
    const start = end;
    end += 2 * shape.reduce((a, b) => a * b, 1);
    header[name] = { dtype: 'BF16', shape, data_offsets: [start, end] };
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const { random } = createPrng('weights');
  const highHalves = (next: () => number): Buffer =>
    Buffer.from(
      Uint16Array.from(new Uint32Array(Float32Array.from({ length: PIECE }, next).buffer), (x) => x >>> 16).buffer,
    );
  const [noise, ones] = [highHalves(() => 0.06 * (random() - 0.5)), highHalves(() => 1)];
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  for (const part of [length, text]) writeSync(file, part);
  for (const { name, shape } of parameters) {
    const piece = /norm\.weight$/.test(name) ? ones : noise;
    for (let left = 2 * shape.reduce((a, b) => a * b, 1); left > 0; left -= piece.length)
      writeSync(file, piece, 0, Math.min(left, piece.length));
  }
  closeSync(file);
  return end / 2;
}
