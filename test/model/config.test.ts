/** @file Fields of config.json: what they mean, what is taken for those left out, and what is refused by name. As Transformers 5.24 has it. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../node/errors.ts';
import { makeArchitecture } from '../../node/model/config.ts';

type Config = Record<string, unknown>;

/** What a case's model computes with some fields changed; undefined leaves a field out. */
function computed(name: string, changes: Config = {}): string {
  const config = JSON.parse(readFileSync(`test/fixtures/${name}/config.json`, 'utf8')) as Config;
  const changed = Object.entries({ ...config, ...changes }).filter(([, value]) => value !== undefined);
  return makeArchitecture('config.json', Object.fromEntries(changed)).fingerprint;
}

const [FULL, NEAR] = ['full_attention', 'sliding_attention'];
const old = { rope_parameters: undefined };
const theta = { rope_type: 'default', rope_theta: 10_000 };

test('a field that is left out is what Transformers takes for it', () => {
  const same: readonly [string, Config, Config][] = [
    [
      'bert-qv',
      { type_vocab_size: undefined, layer_norm_eps: undefined },
      { type_vocab_size: 2, layer_norm_eps: 1e-12 },
    ],
    ['gpt2-qv', { layer_norm_epsilon: undefined }, { layer_norm_epsilon: 1e-5 }],
    ['modernbert-qv', { norm_eps: undefined }, { norm_eps: 1e-5 }],
    ['llama-qv', { num_key_value_heads: undefined }, { num_key_value_heads: 4 }],
    ['llama-qv', { rms_norm_eps: undefined }, { rms_norm_eps: 1e-6 }],
    ['qwen3-qv', { head_dim: undefined }, { head_dim: 128 }],
    [
      'qwen3-qv',
      { num_attention_heads: 64, num_key_value_heads: undefined },
      { num_attention_heads: 64, num_key_value_heads: 32 },
    ],
    ['mistral-window-qv', { sliding_window: undefined }, { sliding_window: 4096 }],
    [
      'mistral-window-qv',
      { num_attention_heads: 16, head_dim: 8, num_key_value_heads: undefined },
      { num_attention_heads: 16, head_dim: 8, num_key_value_heads: 8 },
    ],
    ['gemma3-qv', { head_dim: undefined, num_key_value_heads: undefined }, { head_dim: 256, num_key_value_heads: 4 }],
    ['gemma3-qv', { query_pre_attn_scalar: undefined }, { query_pre_attn_scalar: 256 }],
    [
      'gemma3-qv',
      { rope_parameters: { [FULL!]: { rope_theta: 5 } } },
      { rope_parameters: { [FULL!]: { rope_theta: 5 }, [NEAR!]: theta } },
    ],
  ];
  for (const [name, one, other] of same) {
    const message = `${name} ${JSON.stringify(other)}`;
    assert.is(computed(name, one), computed(name, other), message);
    assert.is.not(computed(name, one), JSON.stringify(other).includes('10000') ? computed(name) : '', message);
  }
});

test('windows of Qwen begin after the layers that max_window_layers counts', () => {
  const windows = { use_sliding_window: true, sliding_window: 4, layer_types: undefined };
  const types = { use_sliding_window: true, sliding_window: 4, layer_types: [FULL, NEAR] };
  assert.is(computed('qwen2-qv', { ...windows, max_window_layers: 1 }), computed('qwen2-qv', types));
  assert.is(computed('qwen2-qv', windows), computed('qwen2-qv'));
  assert.is.not(computed('qwen2-qv', { ...windows, max_window_layers: 0 }), computed('qwen2-qv', types));
});

test('rotary parameters mean the same in both spellings, and by kind of layer', () => {
  const linear = { rope_type: 'linear', factor: 8 };
  const nested = { [FULL!]: { ...linear, rope_theta: 70 }, [NEAR!]: { rope_type: 'default', rope_theta: 7 } };
  assert.is(
    computed('gemma3-qv', { ...old, rope_theta: 70, rope_local_base_freq: 7, rope_scaling: linear }),
    computed('gemma3-qv', { rope_parameters: nested }),
  );
  assert.is(
    computed('modernbert-qv', { ...old, global_rope_theta: 70, local_rope_theta: 7, rope_scaling: linear }),
    computed('modernbert-qv', { rope_parameters: { [FULL!]: nested[FULL!], [NEAR!]: { ...linear, rope_theta: 7 } } }),
  );
});

const REFUSED: readonly [string, Config, RegExp][] = [
  ['llama-qv', { is_causal: false }, /is_causal is false/],
  ['gpt2-qv', { is_causal: false }, /is_causal is false/],
  ['llama-qv', { use_sliding_window: true, sliding_window: 3 }, /use_sliding_window is true/],
  ['llama-qv', { final_logit_softcapping: 2 }, /final_logit_softcapping is 2/],
  ['llama-qv', { query_pre_attn_scalar: 2 }, /query_pre_attn_scalar is 2/],
  ['llama-qv', { layer_types: [NEAR, FULL] }, /layer_types has sliding_attention, and no window/],
  ['llama-qv', { rope_scaling: { rope_type: 'linear', factor: 2 } }, /rope_parameters and rope_scaling are set/],
  ['llama-qv', { rope_theta: 7 }, /rope_theta is 7, rope_theta of the rotary parameters 10000/],
  ['llama-qv', { ...old, rope_theta: null }, /rope_theta is null/],
  [
    'llama-qv',
    { rope_parameters: { rope_type: 'yarn', factor: 2 } },
    /scaling "yarn" is not known; wanted one of default/,
  ],
  ['llama-qv', { rope_parameters: { [FULL!]: theta } }, /full_attention is not known/],
  ['mistral-window-qv', { layer_types: [FULL, NEAR] }, /layer_types is .* not known/],
  [
    'qwen2-qv',
    { use_sliding_window: true, sliding_window: 3, layer_types: undefined, max_window_layers: -1 },
    /max_window_layers is -1/,
  ],
  ['qwen2-qv', { use_sliding_window: true, sliding_window: '3' }, /sliding_window is "3"/],
  ['gemma3-qv', { sliding_window: null }, /sliding_window is null/],
  ['gemma3-qv', { final_logit_softcapping: '2' }, /final_logit_softcapping is "2"/],
  ['gemma3-qv', { query_pre_attn_scalar: '3' }, /query_pre_attn_scalar is "3"/],
  ['gemma3-qv', { rope_parameters: theta }, /rope_parameters holds "rope_type"; wanted full_attention and/],
  ['gemma3-qv', { rope_local_base_freq: 7 }, /rope_local_base_freq is 7, rope_theta of the rotary parameters/],
  ['modernbert-qv', { ...old, rope_theta: 7 }, /rope_theta is 7/],
  ['modernbert-qv', { ...old, global_rope_theta: 7, local_rope_theta: null }, /local_rope_theta is null/],
  ['modernbert-qv', { layer_types: [FULL, NEAR] }, /layer_types is .*; wanted 4 of/],
  ['modernbert-qv', { layer_types: [FULL, 'chunked_attention', FULL, FULL] }, /layer_types is .*; wanted 4 of/],
  ['roberta-qv', { pad_token_id: null }, /pad_token_id is null/],
];

test('what would be computed otherwise there, or not at all, is refused by name', () => {
  for (const [name, changes, message] of REFUSED)
    assert.throws(
      () => computed(name, changes),
      (error: unknown) => error instanceof UserError && message.test(error.message),
      `${name} ${JSON.stringify(changes)}`,
    );
});

test.run();
