/** @file Rotary positions: pairs of a head's numbers turned by an angle that grows with the position. Su et al. 2021, arXiv:2104.09864. */
import { constant, type Graph, type Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import { type ConfigReader, isUnset, shown } from './fields.ts';

/** Angles a position, one a pair: [width / 2]. */
export type Frequencies = Float32Array;

/** Turns x [B, N, heads, width]; cosine and sine are [B, N, 1, width / 2]. */
export interface Turn {
  readonly cosine: Value;
  readonly sine: Value;
}

/** More are a mistake, not a head. */
const MAX_WIDTH = 65_536;

interface Scaling {
  readonly rope_type?: unknown;
  readonly type?: unknown;
  readonly [name: string]: unknown;
}

/** Where the frequencies of a kind of layer stand in a configuration. */
interface Place {
  /** What they are named by within `rope_parameters`, where kinds of layers differ. */
  readonly layers?: string;
  /** The field that holds theta outside of it. */
  readonly field?: string;
  /** Theta where nothing is said. */
  readonly theta: number;
  /** Whether `rope_scaling` is meant for them. */
  readonly isScaled?: boolean;
}

/**
 * Reads `rope_parameters` (Transformers 5; of one kind of layer where they differ) or theta in a field of its own and
 * `rope_scaling` (Transformers 4). Throws where both are set, and on a scaling that is not computed here.
 */
export function readFrequencies(
  reader: ConfigReader,
  width: number,
  { layers, field = 'rope_theta', theta: standard, isScaled = true }: Place,
): Frequencies {
  if (!(width <= MAX_WIDTH)) reader.fail(`a head is ${width} wide; wanted at most ${MAX_WIDTH}`);
  const given = reader.object('rope_parameters');
  const old = reader.object('rope_scaling') as Scaling | null;
  if (!isUnset(given) && !isUnset(old)) reader.fail('rope_parameters and rope_scaling are set; wanted one of them');
  const parameters = (
    layers === undefined || isUnset(given) ? given : ofLayers(reader, given!, layers)
  ) as Scaling | null;
  const scaling = parameters ?? (isScaled ? old : null) ?? {};
  const own = reader.value(field);
  if (own !== undefined && scaling.rope_theta !== undefined && own !== scaling.rope_theta)
    reader.fail(
      `${field} is ${shown(own)}, rope_theta of the rotary parameters ${shown(scaling.rope_theta)}; wanted one`,
    );
  const theta = [scaling.rope_theta, own, standard].find((value) => value !== undefined);
  if (!(typeof theta === 'number' && theta > 1))
    return reader.fail(`${field} is ${shown(theta)}; wanted a number above 1`);
  return frequenciesOf(theta, width, scalingOf(reader, scaling));
}

/** The kinds of layers that rotary parameters can be of. */
const LAYERS = ['full_attention', 'sliding_attention'];

/** Of rotary parameters by kind of layer, those of one. */
function ofLayers(reader: ConfigReader, given: Readonly<Record<string, unknown>>, layers: string): Scaling | null {
  const other = Object.keys(given).find((name) => !LAYERS.includes(name));
  if (other !== undefined) reader.fail(`rope_parameters holds ${shown(other)}; wanted ${LAYERS.join(' and ')}`);
  const own = given[layers] ?? null;
  if (typeof own !== 'object' || Array.isArray(own))
    return reader.fail(`rope_parameters.${layers} is ${shown(own)}; wanted an object`);
  return own as Scaling | null;
}

/** theta^(-2i / width) for each pair i, scaled. */
function frequenciesOf(theta: number, width: number, scale = (frequency: number): number => frequency): Frequencies {
  return Float32Array.from({ length: width / 2 }, (_, i) => scale(theta ** ((-2 * i) / width)));
}

function scalingOf(reader: ConfigReader, scaling: Scaling): (frequency: number) => number {
  const kind = scaling.rope_type ?? scaling.type ?? 'default';
  const number = (name: string): number => {
    const value = scaling[name];
    return typeof value === 'number' && value > 0
      ? value
      : reader.fail(`${name} of the rotary scaling is ${shown(value)}; wanted a positive number`);
  };
  const own = Object.hasOwn(FIELDS, String(kind)) ? FIELDS[String(kind)] : undefined;
  if (!own)
    return reader.fail(`rotary scaling ${shown(kind)} is not known; wanted one of ${Object.keys(FIELDS).join(', ')}`);
  const known = ['rope_type', 'type', 'rope_theta', 'partial_rotary_factor', ...own];
  const other = Object.keys(scaling).find((name) => !known.includes(name));
  if (other !== undefined || (scaling.partial_rotary_factor ?? 1) !== 1)
    reader.fail(`rotary field ${other ?? 'partial_rotary_factor'} is not known here and may change what is computed`);
  if (kind === 'default') return (f) => f;
  if (kind === 'linear') {
    const factor = number('factor');
    return (f) => f / factor;
  }
  const [factor, low, high] = [number('factor'), number('low_freq_factor'), number('high_freq_factor')];
  const original = number('original_max_position_embeddings');
  return (f) => {
    const turns = (original * f) / (2 * Math.PI); // within the positions it was trained on
    if (turns < low) return f / factor;
    if (turns > high) return f;
    const smooth = (turns - low) / (high - low);
    return ((1 - smooth) * f) / factor + smooth * f;
  };
}

/** What each kind of scaling has, beside the base of its frequencies. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  default: [],
  linear: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
};

/**
 * Cosines and sines at positions [B, N] (float32). They are taken in float64, which a GPU leaves to the CPU: WGSL's own may be
 * off by 2^-11, and by anything beyond pi (its specification, section 15.7.4.1), where a CPU's are exact to the last bit.
 */
export function turnAt(g: Graph, positions: Value, frequencies: Frequencies): Turn {
  const angles = op.Mul(g, op.Unsqueeze(g, positions, [2, 3]), constant(g, frequencies, [frequencies.length]));
  const exact = op.Cast(g, angles, 'float64');
  return { cosine: op.Cast(g, op.Cos(g, exact), 'float32'), sine: op.Cast(g, op.Sin(g, exact), 'float32') };
}

/** x [B, N, heads, width] turned: the first half of a head's numbers are paired with the second. */
export function rotate(g: Graph, x: Value, { cosine, sine }: Turn): Value {
  const half = (x.shape[3] as number) / 2;
  const [a, b] = op.Split(g, x, [half, half], 3) as [Value, Value];
  const first = op.Sub(g, op.Mul(g, a, cosine), op.Mul(g, b, sine));
  const second = op.Add(g, op.Mul(g, b, cosine), op.Mul(g, a, sine));
  return op.Concat(g, [first, second], 3);
}
