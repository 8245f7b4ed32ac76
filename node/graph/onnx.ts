/** @file Writes a graph as an ONNX model (opset 20), large weights by reference. Field numbers: onnx.proto3, ONNX 1.16. */
import type { Attribute, Dim, Graph, InitializerData, Node, Value } from './graph.ts';
import { ELEMENT_TYPE } from './ops.ts';

const IR_VERSION = 9;
const OPSET = 20;
const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, ints: 7 };

/** The model's bytes; external tensors refer to the file `externalData`, which must lie in the model's folder. */
export function encodeOnnx(graph: Graph, externalData = 'weights.bin'): Uint8Array {
  const message = new Message();
  message.int(1, IR_VERSION).string(2, 'lorikeet');
  message.message(7, encodeGraph(graph, externalData));
  message.message(8, new Message().string(1, '').int(2, OPSET));
  for (const domain of new Set(graph.nodes.map(({ op }) => domainOf(op))))
    if (domain !== '') message.message(8, new Message().string(1, domain).int(2, 1));
  return message.finish();
}

function encodeGraph(graph: Graph, externalData: string): Message {
  const message = new Message();
  graph.nodes.forEach((node, i) => {
    message.message(1, encodeNode(node, i));
  });
  // A graph output is a tensor name; an identity gives each the name it was declared with.
  for (const { name, value } of graph.outputs) {
    message.message(
      1,
      new Message().string(1, value.name).string(2, name).string(3, `out_${name}`).string(4, 'Identity'),
    );
  }
  message.string(2, 'step');
  for (const [value, data] of graph.initializers) message.message(5, encodeTensor(value, data, externalData));
  for (const value of graph.inputs) message.message(11, encodeValue(value.name, value));
  for (const { name, value } of graph.outputs) message.message(12, encodeValue(name, value));
  return message;
}

function encodeNode(node: Node, index: number): Message {
  const message = new Message();
  for (const v of node.inputs) message.string(1, v.name);
  for (const v of node.outputs) message.string(2, v.name);
  const domain = domainOf(node.op);
  message.string(3, `n${index}`).string(4, domain === '' ? node.op : node.op.slice(domain.length + 1));
  if (domain !== '') message.string(7, domain);
  for (const [name, value] of Object.entries(node.attributes)) message.message(5, encodeAttribute(name, value));
  return message;
}

/** Of an operator that is not ONNX's own, what stands before its last dot. */
function domainOf(op: string): string {
  return op.includes('.') ? op.slice(0, op.lastIndexOf('.')) : '';
}

function encodeAttribute(name: string, value: Attribute): Message {
  const message = new Message().string(1, name);
  if (typeof value === 'number') return message.int(3, value).int(20, ATTRIBUTE_TYPE.int);
  if (typeof value === 'string') return message.string(4, value).int(20, ATTRIBUTE_TYPE.string);
  if ('float' in value) return message.float(2, value.float).int(20, ATTRIBUTE_TYPE.float);
  for (const x of value) message.int(8, x);
  return message.int(20, ATTRIBUTE_TYPE.ints);
}

function encodeTensor(value: Value, initializer: InitializerData, externalData: string): Message {
  const message = new Message();
  for (const dim of value.shape) message.int(1, dim as number);
  message.int(2, ELEMENT_TYPE[value.dtype]).string(8, value.name);
  if (initializer.type === 'inline') {
    const { buffer, byteOffset, byteLength } = initializer.data;
    return message.bytes(9, new Uint8Array(buffer, byteOffset, byteLength));
  }
  const entry = (key: string, text: string): Message => new Message().string(1, key).string(2, text);
  message.message(13, entry('location', initializer.file ?? externalData));
  message.message(13, entry('offset', String(initializer.offset)));
  message.message(13, entry('length', String(initializer.byteLength)));
  return message.int(14, 1);
}

function encodeValue(name: string, value: Value): Message {
  const shape = new Message();
  for (const dim of value.shape) shape.message(1, encodeDim(dim));
  const tensor = new Message().int(1, ELEMENT_TYPE[value.dtype]).message(2, shape);
  return new Message().string(1, name).message(2, new Message().message(1, tensor));
}

function encodeDim(dim: Dim): Message {
  return typeof dim === 'number' ? new Message().int(1, dim) : new Message().string(2, dim);
}

/** A protobuf message under construction: field by field, nested messages length-prefixed. */
class Message {
  private readonly chunks: Uint8Array[] = [];
  private length = 0;

  int(field: number, value: number): this {
    return this.varint(BigInt(field << 3)).varint(BigInt.asUintN(64, BigInt(value)));
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.varint(BigInt((field << 3) | 5)).push(bytes);
  }

  string(field: number, text: string): this {
    return this.bytes(
      field,
      Uint8Array.from(text, (c) => c.charCodeAt(0)),
    );
  }

  bytes(field: number, bytes: Uint8Array): this {
    return this.varint(BigInt((field << 3) | 2))
      .varint(BigInt(bytes.length))
      .push(bytes);
  }

  message(field: number, message: Message): this {
    this.varint(BigInt((field << 3) | 2)).varint(BigInt(message.length));
    for (const chunk of message.chunks) this.push(chunk);
    return this;
  }

  finish(): Uint8Array {
    const out = new Uint8Array(this.length);
    let at = 0;
    for (const chunk of this.chunks) {
      out.set(chunk, at);
      at += chunk.length;
    }
    return out;
  }

  private varint(value: bigint): this {
    const bytes: number[] = [];
    let rest = value;
    while (rest > 127n) {
      bytes.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    return this.push(Uint8Array.from(bytes));
  }

  private push(bytes: Uint8Array): this {
    this.chunks.push(bytes);
    this.length += bytes.length;
    return this;
  }
}
