/**
 * @file What a tensor of Transformers is called in GGUF and how its numbers are changed there, both ways, as llama.cpp's
 * converters have it (github.com/ggml-org/llama.cpp, convert_hf_to_gguf.py and gguf-py's tensor_mapping.py).
 */

/** What llama.cpp does to a tensor of Transformers. */
export type GgufChange =
  /** Nothing. */
  | 'none'
  /** Rows of each head in another order: see `turnedRow`. */
  | 'turned'
  /** 1 is added. */
  | 'raised'
  /** Rows are columns. */
  | 'transposed';

export interface GgufNames {
  /** GGUF's name of a parameter, such as blk.0.attn_q.weight of model.layers.0.self_attn.q_proj.weight; null: it has none. */
  readonly toGguf: (name: string) => string | null;
  /** The way back. */
  readonly fromGguf: (name: string) => string | null;
  /** What is done to a parameter, told by its name in Transformers. */
  readonly changeOf: (name: string) => GgufChange;
}

type Pairs = readonly (readonly [module: string, gguf: string])[];

interface Kind {
  readonly layers: string;
  /** Modules outside and inside of a layer. */
  readonly outer: Pairs;
  readonly inner: Pairs;
  readonly changes: readonly (readonly [RegExp, GgufChange])[];
}

const OUTER: Pairs = [
  ['model.embed_tokens', 'token_embd'],
  ['lm_head', 'output'],
  ['model.norm', 'output_norm'],
];
const INNER: Pairs = [
  ['input_layernorm', 'attn_norm'],
  ['self_attn.q_proj', 'attn_q'],
  ['self_attn.k_proj', 'attn_k'],
  ['self_attn.v_proj', 'attn_v'],
  ['self_attn.o_proj', 'attn_output'],
  ['self_attn.q_norm', 'attn_q_norm'],
  ['self_attn.k_norm', 'attn_k_norm'],
  ['mlp.gate_proj', 'ffn_gate'],
  ['mlp.up_proj', 'ffn_up'],
  ['mlp.down_proj', 'ffn_down'],
];
const DECODER: Kind = {
  layers: 'model.layers',
  outer: OUTER,
  inner: [...INNER, ['post_attention_layernorm', 'ffn_norm']],
  changes: [],
};

/** By `general.architecture`. */
const KINDS = {
  llama: { ...DECODER, changes: [[/\.(q|k)_proj\.(weight|bias)$/, 'turned']] },
  qwen2: DECODER,
  qwen3: DECODER,
  gemma3: {
    ...DECODER,
    inner: [
      ...INNER,
      ['post_attention_layernorm', 'post_attention_norm'],
      ['pre_feedforward_layernorm', 'ffn_norm'],
      ['post_feedforward_layernorm', 'post_ffw_norm'],
    ],
    changes: [[/norm\.weight$/, 'raised']],
  },
  gpt2: {
    layers: 'transformer.h',
    outer: [
      ['transformer.wte', 'token_embd'],
      ['transformer.wpe', 'position_embd'],
      ['transformer.ln_f', 'output_norm'],
      ['lm_head', 'output'],
    ],
    inner: [
      ['ln_1', 'attn_norm'],
      ['attn.c_attn', 'attn_qkv'],
      ['attn.c_proj', 'attn_output'],
      ['ln_2', 'ffn_norm'],
      ['mlp.c_fc', 'ffn_up'],
      ['mlp.c_proj', 'ffn_down'],
    ],
    changes: [[/\.(c_attn|c_proj|c_fc)\.weight$/, 'transposed']],
  },
} as const satisfies Readonly<Record<string, Kind>>;

export type GgufKind = keyof typeof KINDS;

export const GGUF_KINDS = Object.keys(KINDS) as readonly GgufKind[];

/** `general.architecture` of a model by its `model_type` in Transformers; where there is none, llama.cpp's form is not known here. */
export const GGUF_OF_TYPE: Readonly<Record<string, GgufKind>> = {
  llama: 'llama',
  mistral: 'llama',
  qwen2: 'qwen2',
  qwen3: 'qwen3',
  gemma3_text: 'gemma3',
  gpt2: 'gpt2',
};

/** The names of a kind of model. */
export function ggufNames(kind: GgufKind): GgufNames {
  const { layers, outer, inner, changes }: Kind = KINDS[kind];
  const there = (from: 0 | 1): ((name: string) => string | null) => {
    const [before, after] = from === 0 ? [layers, 'blk'] : ['blk', layers];
    const [outside, inside] = [outer, inner].map(
      (pairs) => new Map(pairs.map((pair) => [pair[from], pair[1 - from]!])),
    );
    return (name) => {
      const part = /^(.+)\.(weight|bias)$/.exec(name);
      if (!part) return null;
      const [, module, end] = part as unknown as [string, string, string];
      const whole = outside!.get(module);
      if (whole !== undefined) return `${whole}.${end}`;
      const [, layer, rest] =
        (module.startsWith(`${before}.`) && /^(\d+)\.(.+)$/.exec(module.slice(before.length + 1))) || [];
      const found = rest === undefined ? undefined : inside!.get(rest);
      return found === undefined ? null : `${after}.${layer}.${found}.${end}`;
    };
  };
  return {
    toGguf: there(0),
    fromGguf: there(1),
    changeOf: (name) => changes.find(([pattern]) => pattern.test(name))?.[1] ?? 'none',
  };
}

/**
 * Where llama.cpp keeps a row of queries or keys whose heads are `width` wide: pairs that are turned together, a half of the head
 * apart in Transformers, stand side by side there.
 */
export function turnedRow(row: number, width: number): number {
  const [head, at] = [Math.floor(row / width), row % width];
  const half = width / 2;
  return head * width + 2 * (at % half) + Math.floor(at / half);
}
