/** @file One builder per ONNX operator, named as ONNX names it (opset 20): checks operands, infers the shape, appends. */
import {
  type Attribute,
  type Dim,
  type DType,
  emit,
  type Graph,
  GraphError,
  int64s,
  type Shape as Sizes,
  scalar,
  type Value,
} from './graph.ts';
import { broadcast, product, sameShape } from './shape.ts';

// ---- elementwise

export const Add = binary('Add');
export const Sub = binary('Sub');
export const Mul = binary('Mul');
export const Div = binary('Div');
export const Max = binary('Max');
export const Min = binary('Min');
export const Pow = binary('Pow');
export const Greater = binary('Greater', 'bool');
export const Equal = binary('Equal', 'bool');
export const Neg = unary('Neg');
export const Abs = unary('Abs');
export const Exp = unary('Exp');
export const Log = unary('Log');
export const Sqrt = unary('Sqrt');
export const Reciprocal = unary('Reciprocal');
export const Erf = unary('Erf');
export const Tanh = unary('Tanh');
export const Sigmoid = unary('Sigmoid');
export const Cos = unary('Cos');
export const Sin = unary('Sin');
/** Exact (erf) GELU. Hendrycks and Gimpel 2016. */
export const Gelu = unary('Gelu');

/** `condition ? a : b`, broadcasting all three. */
export function Where(g: Graph, condition: Value, a: Value, b: Value): Value {
  const shape = broadcast(condition.shape, broadcastOrThrow('Where', a, b));
  if (!shape || condition.dtype !== 'bool') throw new GraphError('Where', 'condition does not fit', [condition, a, b]);
  return one(g, 'Where', [condition, a, b], {}, a.dtype, shape);
}

export function Cast(g: Graph, x: Value, to: DType): Value {
  if (x.dtype === to) return x;
  return one(g, 'Cast', [x], { to: ELEMENT_TYPE[to] }, to, x.shape);
}

/** x, held constant by `gradients`. */
export function stopGradient(g: Graph, x: Value): Value {
  return one(g, 'Identity', [x], {}, x.dtype, x.shape);
}

// ---- linear algebra

/** Matrix product over the last two axes, the others broadcast. [..., M, K] x [..., K, N] -> [..., M, N]. */
export function MatMul(g: Graph, a: Value, b: Value): Value {
  if (a.shape.length < 2 || b.shape.length < 2)
    throw new GraphError('MatMul', 'operands need two axes or more', [a, b]);
  const [m, k] = a.shape.slice(-2) as [Dim, Dim];
  const [k2, n] = b.shape.slice(-2) as [Dim, Dim];
  const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (k !== k2 || !batch || a.dtype !== b.dtype) throw new GraphError('MatMul', mismatch(a, b), [a, b]);
  return one(g, 'MatMul', [a, b], {}, a.dtype, [...batch, m, n]);
}

export interface GemmOptions {
  alpha?: number;
  beta?: number;
  transA?: boolean;
  transB?: boolean;
}

/** alpha op(A) op(B) + beta C for matrices; C broadcasts to [M, N]. B may be stored in 16 bits. */
export function Gemm(g: Graph, a: Value, stored: Value, c: Value | null, options: GemmOptions = {}): Value {
  const b = isHalf(stored) && !isHalf(a) ? widen(g, stored, a) : stored;
  const operands = c ? [a, b, c] : [a, b];
  if (a.shape.length !== 2 || b.shape.length !== 2) throw new GraphError('Gemm', 'operands must be matrices', operands);
  const [m, k] = options.transA ? [a.shape[1]!, a.shape[0]!] : [a.shape[0]!, a.shape[1]!];
  const [k2, n] = options.transB ? [b.shape[1]!, b.shape[0]!] : [b.shape[0]!, b.shape[1]!];
  if (k !== k2 || a.dtype !== b.dtype) throw new GraphError('Gemm', mismatch(a, b), operands);
  const shape = [m, n];
  if (c && !sameShape(broadcast(c.shape, shape) ?? [], shape)) throw new GraphError('Gemm', mismatch(a, c), operands);
  const attributes: Record<string, Attribute> = {};
  if (options.alpha !== undefined && options.alpha !== 1) attributes.alpha = { float: options.alpha };
  if (options.beta !== undefined && options.beta !== 1) attributes.beta = { float: options.beta };
  if (options.transA) attributes.transA = 1;
  if (options.transB) attributes.transB = 1;
  return one(g, 'Gemm', operands, attributes, a.dtype, shape);
}

/** Whether a value is stored in 16 bits. */
function isHalf({ dtype }: Value): boolean {
  return dtype === 'float16' || dtype === 'bfloat16';
}

/**
 * A stored matrix in the type of x, but not before x is there: it passes through a reshape to its own sizes, to which is added
 * what x's first size differs from itself. Else onnxruntime would widen all weights as it loads them, and hold them.
 */
function widen(g: Graph, stored: Value, x: Value): Value {
  const size = Shape(g, x, 0, 1);
  const sizes = Add(g, int64s(g, stored.shape as number[]), Sub(g, size, size));
  const later = one(g, 'Reshape', [stored, sizes], {}, stored.dtype, stored.shape);
  return Cast(g, later, x.dtype);
}

/** What `widen` was given for a value that it made; other values are themselves. */
export function storedAs(x: Value): Value {
  const later = x.producer?.op === 'Cast' ? x.producer.inputs[0]!.producer : null;
  const stored = later?.op === 'Reshape' ? later.inputs[0]! : null;
  return stored && stored.producer === null && isHalf(stored) ? stored : x;
}

// ---- movement

/** Permutes axes; a transpose of a transpose is one. */
export function Transpose(g: Graph, x: Value, perm: readonly number[]): Value {
  if (perm.length !== x.shape.length) throw new GraphError('Transpose', `perm [${perm}] for shape [${x.shape}]`, [x]);
  const inner = x.producer?.op === 'Transpose' ? (x.producer.attributes.perm as readonly number[]) : null;
  if (inner)
    return Transpose(
      g,
      x.producer!.inputs[0]!,
      perm.map((axis) => inner[axis]!),
    );
  if (perm.every((axis, i) => axis === i)) return x;
  return one(
    g,
    'Transpose',
    [x],
    { perm },
    x.dtype,
    perm.map((axis) => x.shape[axis]!),
  );
}

/** Same elements, another shape. Named sizes are kept, inferred, or read off the input that carries them. */
export function Reshape(g: Graph, x: Value, shape: Sizes): Value {
  if (sameShape(x.shape, shape)) return x;
  if (product(x.shape) !== product(shape)) throw new GraphError('Reshape', `[${x.shape}] to [${shape}]`, [x]);
  if (x.producer?.op === 'Reshape') return Reshape(g, x.producer.inputs[0]!, shape);
  const kept = shape.map((dim, i) => typeof dim === 'string' && dim === x.shape[i]);
  const open = shape.map((dim, i) => typeof dim === 'string' && !kept[i]);
  const product_ = shape.findIndex((dim, i) => open[i] && String(dim).includes('*'));
  const inferred = product_ >= 0 ? product_ : open.indexOf(true);
  const sizes = shape.map((dim, i) => (kept[i] ? 0 : i === inferred ? -1 : dim));
  const target = sizes.every((s) => typeof s === 'number') ? int64s(g, sizes as number[]) : sizesOf(g, sizes);
  return one(g, 'Reshape', [x, target], {}, x.dtype, shape);
}

export function Expand(g: Graph, x: Value, like: Value): Value {
  if (sameShape(x.shape, like.shape)) return x;
  if (!sameShape(broadcast(x.shape, like.shape) ?? [], like.shape))
    throw new GraphError('Expand', mismatch(x, like), [x, like]);
  return one(g, 'Expand', [x, Shape(g, like)], {}, x.dtype, like.shape);
}

/** The sizes of a tensor as an int64 vector, optionally of the axes [start, end) only. */
export function Shape(g: Graph, x: Value, start = 0, end = x.shape.length): Value {
  const attributes: Record<string, Attribute> = start === 0 && end === x.shape.length ? {} : { start, end };
  return one(g, 'Shape', [x], attributes, 'int64', [end - start]);
}

export function Unsqueeze(g: Graph, x: Value, axes: readonly number[]): Value {
  if (axes.length === 0) return x;
  const shape: Dim[] = [...x.shape];
  for (const axis of [...axes].sort((a, b) => a - b)) shape.splice(axis, 0, 1);
  return one(g, 'Unsqueeze', [x, int64s(g, axes)], {}, x.dtype, shape);
}

export function Squeeze(g: Graph, x: Value, axes: readonly number[]): Value {
  if (axes.some((axis) => x.shape[axis] !== 1)) throw new GraphError('Squeeze', `axes [${axes}] of [${x.shape}]`, [x]);
  return one(
    g,
    'Squeeze',
    [x, int64s(g, axes)],
    {},
    x.dtype,
    x.shape.filter((_, i) => !axes.includes(i)),
  );
}

/** Joins along an axis; the other axes must agree. Where sizes are open, `joined` names what they add up to. */
export function Concat(g: Graph, xs: readonly Value[], axis: number, joined?: Dim): Value {
  const first = xs[0];
  if (!first) throw new GraphError('Concat', 'nothing to join', []);
  const rest = (v: Value): Sizes => v.shape.filter((_, i) => i !== axis);
  if (xs.some((v) => v.dtype !== first.dtype || !sameShape(rest(v), rest(first)))) {
    throw new GraphError('Concat', `along axis ${axis}`, xs);
  }
  if (xs.length === 1) return first;
  const sizes = xs.map((v) => v.shape[axis]!);
  if (joined === undefined && sizes.some((s) => typeof s !== 'number'))
    throw new GraphError('Concat', 'the joined sizes must be numbers, or their sum be named', xs);
  const total = joined ?? (sizes as number[]).reduce((a, b) => a + b, 0);
  return one(
    g,
    'Concat',
    xs,
    { axis },
    first.dtype,
    first.shape.map((dim, i) => (i === axis ? total : dim)),
  );
}

/** Cuts along an axis into pieces of the given sizes. */
export function Split(g: Graph, x: Value, sizes: readonly number[], axis: number): readonly Value[] {
  if (sizes.reduce((a, b) => a + b, 0) !== x.shape[axis]) throw new GraphError('Split', `sizes [${sizes}]`, [x]);
  if (sizes.length === 1) return [x];
  const results = sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.map((dim, i) => (i === axis ? size : dim)) }));
  return emit(g, 'Split', [x, int64s(g, sizes)], { axis }, results);
}

/** The whole numbers from `start` up to `limit`, int64 scalars: [size]. */
export function Range(g: Graph, start: Value, limit: Value, size: Dim): Value {
  if (start.dtype !== 'int64' || limit.dtype !== 'int64' || start.shape.length + limit.shape.length > 0)
    throw new GraphError('Range', 'wanted two int64 scalars', [start, limit]);
  return one(g, 'Range', [start, limit, scalar(g, 1, 'int64')], {}, 'int64', [size]);
}

/** Rows of `data` [V, ...] by int64 `indices` (axis 0); of data stored in 16 bits as float32. */
export function Gather(g: Graph, data: Value, indices: Value): Value {
  if (indices.dtype !== 'int64') throw new GraphError('Gather', 'indices must be int64', [data, indices]);
  const rows = one(g, 'Gather', [data, indices], { axis: 0 }, data.dtype, [...indices.shape, ...data.shape.slice(1)]);
  return isHalf(data) ? Cast(g, rows, 'float32') : rows;
}

/** Adds `updates` [N, ...] into `data` [V, ...] at rows `indices` [N, 1]. */
export function ScatterND(g: Graph, data: Value, indices: Value, updates: Value): Value {
  const wanted = [...indices.shape.slice(0, -1), ...data.shape.slice(1)];
  if (indices.shape.at(-1) !== 1 || !sameShape(updates.shape, wanted)) {
    throw new GraphError('ScatterND', `updates [${updates.shape}], wanted [${wanted}]`, [data, indices, updates]);
  }
  return one(g, 'ScatterND', [data, indices, updates], { reduction: 'add' }, data.dtype, data.shape);
}

// ---- reductions and normalisation

export const ReduceSum = reduction('ReduceSum');
export const ReduceMean = reduction('ReduceMean');
export const ReduceMax = reduction('ReduceMax');

/** Softmax over the last axis. */
export function Softmax(g: Graph, x: Value): Value {
  return one(g, 'Softmax', [x], { axis: -1 }, x.dtype, x.shape);
}

/** Normalises the last axis [..., D], then scale [D] and bias [D]; also gives mean and 1/deviation [..., 1]. Ba et al. 2016. */
export function LayerNormalization(
  g: Graph,
  x: Value,
  scale: Value,
  bias: Value,
  epsilon: number,
): { y: Value; mean: Value; inverse: Value } {
  const width = x.shape.slice(-1);
  if (!sameShape(scale.shape, width) || !sameShape(bias.shape, width)) {
    throw new GraphError('LayerNormalization', `scale [${scale.shape}] for [${x.shape}]`, [x, scale, bias]);
  }
  const stats = { dtype: 'float32' as const, shape: [...x.shape.slice(0, -1), 1] };
  const attributes = { axis: -1, epsilon: { float: epsilon } };
  const results = [{ dtype: x.dtype, shape: x.shape }, stats, stats];
  const [y, mean, inverse] = emit(g, 'LayerNormalization', [x, scale, bias], attributes, results);
  return { y: y!, mean: mean!, inverse: inverse! };
}

// ---- helpers

/** ONNX TensorProto.DataType. */
export const ELEMENT_TYPE: Record<DType, number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
};

function one(
  g: Graph,
  op: string,
  inputs: readonly Value[],
  attributes: Readonly<Record<string, Attribute>>,
  dtype: DType,
  shape: Sizes,
): Value {
  return emit(g, op, inputs, attributes, [{ dtype, shape }])[0]!;
}

function unary(op: string): (g: Graph, x: Value) => Value {
  return (g, x) => one(g, op, [x], {}, x.dtype, x.shape);
}

function binary(op: string, result?: DType): (g: Graph, a: Value, b: Value) => Value {
  return (g, a, b) => one(g, op, [a, b], {}, result ?? a.dtype, broadcastOrThrow(op, a, b));
}

function reduction(op: string): (g: Graph, x: Value, axes: readonly number[], keepDims: boolean) => Value {
  return (g, x, axes, keepDims) => {
    if (axes.some((axis) => axis < 0 || axis >= x.shape.length)) throw new GraphError(op, `axes [${axes}]`, [x]);
    const shape = keepDims
      ? x.shape.map((dim, i) => (axes.includes(i) ? 1 : dim))
      : x.shape.filter((_, i) => !axes.includes(i));
    return one(g, op, [x, int64s(g, axes)], { keepdims: keepDims ? 1 : 0 }, x.dtype, shape);
  };
}

function broadcastOrThrow(op: string, a: Value, b: Value): Sizes {
  const shape = broadcast(a.shape, b.shape);
  if (!shape || a.dtype !== b.dtype) throw new GraphError(op, mismatch(a, b), [a, b]);
  return shape;
}

function mismatch(a: Value, b: Value): string {
  return `${a.dtype}[${a.shape.join(', ')}] does not fit ${b.dtype}[${b.shape.join(', ')}]`;
}

/** A shape vector some of whose sizes are read from the inputs that carry them. */
function sizesOf(g: Graph, sizes: Sizes): Value {
  const parts = sizes.map((size) => {
    if (typeof size === 'number') return int64s(g, [size]);
    const carrier = g.inputs.find((v) => v.shape.includes(size));
    if (!carrier) throw new GraphError('Reshape', `no input carries the size ${size}`, []);
    const axis = carrier.shape.indexOf(size);
    return Shape(g, carrier, axis, axis + 1);
  });
  return Concat(g, parts, 0);
}
