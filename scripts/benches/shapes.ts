/** @file The models that benches train: BERTs of random weights, in three sizes. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeSafetensors } from '../../node/formats/safetensors.ts';
import { makeArchitecture } from '../../node/model/config.ts';
import type { Trainable } from '../../node/model/program.ts';
import { createPrng } from '../../protocol/prng.ts';

export interface ModelShape {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly feedForward: number;
  readonly vocabulary: number;
  readonly tokens: number;
  readonly batch: number;
}

export const SHAPES: Readonly<Record<string, ModelShape>> = {
  small: { hidden: 256, layers: 4, heads: 4, feedForward: 1024, vocabulary: 8192, tokens: 64, batch: 16 },
  minilm: { hidden: 384, layers: 6, heads: 12, feedForward: 1536, vocabulary: 30522, tokens: 128, batch: 8 },
  base: { hidden: 768, layers: 12, heads: 12, feedForward: 3072, vocabulary: 30522, tokens: 128, batch: 8 },
};
export const TRAINABLE: Trainable = { type: 'lora', lora: { rank: 8, alpha: 16, targets: 'query,value' } };

export function writeRandomModel(folder: string, shape: ModelShape): void {
  mkdirSync(folder, { recursive: true });
  const config = {
    architectures: ['BertForMaskedLM'],
    hidden_act: 'gelu',
    vocab_size: shape.vocabulary,
    hidden_size: shape.hidden,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    intermediate_size: shape.feedForward,
    max_position_embeddings: shape.tokens,
    type_vocab_size: 2,
    layer_norm_eps: 1e-12,
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const random = createPrng('weights').random;
  const tensors = makeArchitecture(folder, config).parameters.map(({ name, shape: dims }) => {
    const centre = name.endsWith('LayerNorm.weight') ? 1 : 0;
    const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => centre + 0.04 * (random() - 0.5));
    return { name, shape: dims, data };
  });
  writeFileSync(join(folder, 'model.safetensors'), encodeSafetensors(tensors, {}));
}
