/** @file A typed graph record: values with shapes, nodes in topological order, nothing else. The text print is stable. */

/** Weights may be stored in 16 bits or 8; what is computed is not. */
export type DType = 'float32' | 'float64' | 'float16' | 'bfloat16' | 'int64' | 'int8' | 'uint8' | 'bool';

/** A size: a number, or a product of named sizes such as `B` or `B*T`, bound when the session runs. */
export type Dim = number | string;
export type Shape = readonly Dim[];

export interface Value {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** The node that computes it; null for inputs and initializers. */
  readonly producer: Node | null;
}

export type Attribute = number | string | readonly number[] | { readonly float: number };

export interface Node {
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly outputs: readonly Value[];
}

type ConstantData = Float32Array | Float64Array | BigInt64Array | Uint8Array;

export type InitializerData =
  | { readonly type: 'inline'; readonly data: ConstantData }
  | {
      readonly type: 'external';
      readonly offset: number;
      readonly byteLength: number;
      /** Where it is another than that of the other weights. */
      readonly file?: string;
    };

export interface Graph {
  readonly inputs: Value[];
  readonly initializers: Map<Value, InitializerData>;
  readonly nodes: Node[];
  readonly outputs: { readonly name: string; readonly value: Value }[];
  /** Values between layers, in order, that are kept where what lies between them is computed again; recompute.ts. */
  readonly checkpoints: Value[];
  /** Hash-consing: one node per distinct (op, inputs, attributes), so gradients reuse what the forward pass computed. */
  readonly cache: Map<string, readonly Value[]>;
}

/** A mistake in building a graph: the message names the op and prints the subgraph that led to it. */
export class GraphError extends Error {
  constructor(op: string, problem: string, operands: readonly Value[]) {
    super(`${op}: ${problem}\n${printSubgraph(operands, 3)}`);
    this.name = 'GraphError';
  }
}

export function createGraph(): Graph {
  return { inputs: [], initializers: new Map(), nodes: [], outputs: [], checkpoints: [], cache: new Map() };
}

/** Declares an input, fed at run time. */
export function input(graph: Graph, name: string, dtype: DType, shape: Shape): Value {
  const value: Value = { name, dtype, shape, producer: null };
  graph.inputs.push(value);
  return value;
}

/** Constants of at most so many numbers are compared by content: rotary frequencies, norms' missing biases. */
const MERGED = 1024;

/** A constant tensor held in the model file; equal small constants are one. Throws if data and shape disagree. */
export function constant(graph: Graph, data: ConstantData, shape: readonly number[]): Value {
  const dtype = dtypeOf(data);
  const count = shape.reduce((a, b) => a * b, 1);
  if (count !== data.length) throw new GraphError('constant', `${data.length} numbers for shape [${shape}]`, []);
  const key =
    data.length <= MERGED
      ? `constant|${dtype}|${shape}|${Array.from(data as ArrayLike<number | bigint>, String)}`
      : null;
  const known = key === null ? undefined : graph.cache.get(key);
  if (known) return known[0]!;
  const value: Value = { name: `c${graph.initializers.size}`, dtype, shape, producer: null };
  graph.initializers.set(value, { type: 'inline', data });
  if (key !== null) graph.cache.set(key, [value]);
  return value;
}

function dtypeOf(data: ConstantData): DType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float64Array) return 'float64';
  return data instanceof Uint8Array ? 'uint8' : 'int64';
}

/** A scalar of the given float type. */
export function scalar(graph: Graph, x: number, dtype: DType): Value {
  if (dtype === 'int64') return constant(graph, BigInt64Array.of(BigInt(x)), []);
  return constant(graph, dtype === 'float64' ? Float64Array.of(x) : Float32Array.of(x), []);
}

/** A one-dimensional int64 constant, as ONNX wants for axes and shapes. */
export function int64s(graph: Graph, xs: readonly number[]): Value {
  return constant(graph, BigInt64Array.from(xs, BigInt), [xs.length]);
}

/** A tensor kept outside the model file: `byteLength` bytes at `offset` of its external data, or of another file beside. */
export function external(
  graph: Graph,
  name: string,
  shape: readonly number[],
  place: { offset: number; byteLength: number; file?: string },
  dtype: DType = 'float32',
): Value {
  const value: Value = { name, dtype, shape, producer: null };
  graph.initializers.set(value, { type: 'external', ...place });
  return value;
}

/** Marks a value between two layers, and gives it back. */
export function checkpoint(graph: Graph, x: Value): Value {
  graph.checkpoints.push(x);
  return x;
}

/** Names a value as a result of the graph. */
export function output(graph: Graph, name: string, value: Value): void {
  graph.outputs.push({ name, value });
}

/** Appends a node, or finds the equal one; returns its outputs. */
export function emit(
  graph: Graph,
  op: string,
  inputs: readonly Value[],
  attributes: Readonly<Record<string, Attribute>>,
  results: readonly { dtype: DType; shape: Shape }[],
): readonly Value[] {
  const key = `${op}|${inputs.map((v) => v.name)}|${JSON.stringify(attributes)}`;
  const known = graph.cache.get(key);
  if (known) return known;
  const outputs: Value[] = [];
  const node: Node = { op, inputs, attributes, outputs };
  results.forEach((result, i) => {
    const suffix = results.length === 1 ? '' : `_${i}`;
    outputs.push({ name: `v${graph.nodes.length}${suffix}`, ...result, producer: node });
  });
  graph.nodes.push(node);
  graph.cache.set(key, outputs);
  return outputs;
}

/** The same graph without nodes and initializers that no output needs. */
export function prune(graph: Graph): Graph {
  const wanted = new Set<Value>(graph.outputs.map((o) => o.value));
  const nodes: Node[] = [];
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!;
    if (!node.outputs.some((v) => wanted.has(v))) continue;
    for (const v of node.inputs) wanted.add(v);
    nodes.push(node);
  }
  nodes.reverse();
  const initializers = new Map([...graph.initializers].filter(([value]) => wanted.has(value)));
  return { ...graph, nodes, initializers };
}

/** One line per node, in order; equal graphs print equal text. */
export function print(graph: Graph): string {
  const lines = graph.inputs.map((v) => `input ${typed(v)}`);
  for (const [value, data] of graph.initializers) lines.push(`${data.type} ${typed(value)}`);
  lines.push(...graph.nodes.map(printNode));
  lines.push(...graph.outputs.map((o) => `output ${o.name} = ${o.value.name}`));
  return `${lines.join('\n')}\n`;
}

/** The nodes that computed `values`, `depth` steps back. */
function printSubgraph(values: readonly Value[], depth: number): string {
  const seen = new Set<Node>();
  const visit = (value: Value, left: number): void => {
    if (!value.producer || left === 0 || seen.has(value.producer)) return;
    for (const v of value.producer.inputs) visit(v, left - 1);
    seen.add(value.producer);
  };
  for (const v of values) visit(v, depth);
  const leaves = values.filter((v) => !v.producer).map((v) => `  ${typed(v)}`);
  return [...leaves, ...[...seen].map((node) => `  ${printNode(node)}`)].join('\n');
}

function printNode(node: Node): string {
  const attributes = Object.entries(node.attributes).map(([k, v]) => `${k}=${JSON.stringify(v)}`);
  const operands = [...node.inputs.map((v) => v.name), ...attributes].join(', ');
  return `${node.outputs.map(typed).join(', ')} = ${node.op}(${operands})`;
}

function typed(value: Value): string {
  return `${value.name}: ${value.dtype}[${value.shape.join(', ')}]`;
}
