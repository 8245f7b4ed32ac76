/** @file The step compiler for others: build a graph, differentiate it, write it as ONNX. */
export { matMulFlops } from './flops.ts';
export { gradients, ruleNames } from './grad.ts';
export {
  checkpoint,
  constant,
  createGraph,
  external,
  type Graph,
  GraphError,
  input,
  output,
  print,
  prune,
  scalar,
  type Value,
} from './graph.ts';
export { encodeOnnx } from './onnx.ts';
export * as ops from './ops.ts';
