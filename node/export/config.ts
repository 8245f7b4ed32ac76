/** @file The config.json of a merged model: the base's, numbers as they were written, of the class whose weights it has. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Checkpoint } from '../checkpoint/stored.ts';
import type { Width } from '../formats/narrow.ts';
import { modelClassOf } from './class.ts';

const DTYPES: Readonly<Record<Width, string>> = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' };

/** Fields that transformers wants with a point, also where they are whole numbers, in a configuration made from elsewhere. */
const FRACTIONS = [
  ...['rope_theta', 'rope_local_base_freq', 'factor', 'low_freq_factor', 'high_freq_factor', 'attention_factor'],
  ...['rms_norm_eps', 'layer_norm_epsilon', 'final_logit_softcapping', 'attn_logit_softcapping'],
];

/**
 * Stands before a number as it was written, which is kept as a text: 2.0 is no whole number to transformers, and JavaScript has
 * but one kind. No configuration says so itself.
 */
const MARK = 'number as written: ';

/** Its text, with other fields beside the base's own. */
export function configText(
  { path, config: made }: Checkpoint,
  width: Width,
  beside: Readonly<Record<string, unknown>> = {},
): string {
  const file = join(path, 'config.json');
  const config = existsSync(file) ? marked(readFileSync(file, 'utf8')) : (pointed(made) as Record<string, unknown>);
  // Where the base lay is private, and what made it a class of its own is left behind.
  const { _name_or_path: _, torch_dtype: older, ...rest } = config;
  const found = modelClassOf(config);
  const merged = {
    ...rest,
    ...(found ? { architectures: [found.name] } : {}),
    dtype: DTYPES[width],
    ...beside,
    // What transformers 4 reads.
    ...(older === undefined ? {} : { torch_dtype: DTYPES[width] }),
  };
  return `${JSON.stringify(merged, null, 2).replaceAll(new RegExp(`"${MARK}([^"]*)"`, 'g'), '$1')}\n`;
}

/** A JSON text parsed, its numbers with a point or an exponent as marked texts. */
function marked(text: string): Record<string, unknown> {
  const tokens = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
  return JSON.parse(text.replaceAll(tokens, (token) => (/^[^"]*[.eE]/.test(token) ? `"${MARK}${token}"` : token)));
}

function pointed(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => pointed(one));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, pointed(one, name)]));
  return FRACTIONS.includes(key) && Number.isInteger(value) ? `${MARK}${value}.0` : value;
}
