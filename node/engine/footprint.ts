/** @file What training takes of memory and disk, told from the graph before there are weights: an estimate, to a quarter or so. */
import { placesOf } from '../checkpoint/weights.ts';
import type { Graph, Value } from '../graph/graph.ts';
import { peakBytes } from '../graph/memory.ts';
import { type Architecture, SIZES } from '../model/architecture.ts';
import type { PlacedModel } from '../model/base.ts';
import { type Trainable, trainableTensors, trainGraph } from '../model/program.ts';
import { elementCount } from '../model/tensors.ts';
import { ACTIVATION_BYTES, isPrepacked } from './engine.ts';
import { MICRO_BATCH_TOKENS } from './microbatch.ts';

/** Bytes. */
export interface Footprint {
  /** Of the mapped weights what a step touches, and what a session keeps packed of a small model's. */
  readonly weights: number;
  /** What the graph holds at most, of one micro-batch. */
  readonly layers: number;
  /** Whether layers are computed again for their gradients instead of held. */
  readonly recompute: boolean;
  /** Adapter, moments, mask, gradient: before and after a step. */
  readonly state: number;
  /** Node, onnxruntime, and this program. */
  readonly program: number;
  readonly total: number;
  /** Weights in float32, in the cache folder. */
  readonly disk: number;
}

/** A row of the embeddings brings the pages around it into memory. */
const READ_AHEAD_BYTES = 524_288;
/** The mapped matrices, and two copies, packed for the forward and for the backward pass. */
const MAPPED_AND_PACKED = 3;
/** Measured with a model of a few megabytes. */
const PROGRAM_BYTES = 120e6;
/**
 * What onnxruntime holds for each byte that the nodes hold in their order in the graph: it computes some again earlier than it
 * might. And for each node, whatever it holds. Fitted to SmolLM2-135M and Gemma 3 270M, 1 x 32 to 8 x 256 tokens.
 */
const HOLDS = { held: 1.15, recomputed: 2.3 };
const NODE_BYTES = 25_000;

/** One optimiser step on `batch` texts of `tokens` tokens: of next tokens with a causal model, of a word a text with a masked one. */
export function footprint(
  architecture: Architecture,
  trainable: Trainable,
  { batch, tokens }: { batch: number; tokens: number },
): Footprint {
  const places = placesOf(architecture);
  const model: PlacedModel = { architecture, places };
  const question = architecture.isCausal ? 'tokens' : 'labels';
  const rows = Math.min(batch, Math.max(1, Math.floor(MICRO_BATCH_TOKENS / tokens)));
  const bindings = {
    [SIZES.batch]: rows,
    [SIZES.tokens]: tokens,
    [SIZES.keys]: tokens,
    [SIZES.rows]: 1,
    [SIZES.scored]: rows * (tokens - 1),
    [SIZES.labels]: 2,
  };
  const held = trainGraph(model, trainable, { question });
  const heldBytes = peakBytes(held)(bindings);
  const recompute = heldBytes > ACTIVATION_BYTES;
  const graph = recompute ? trainGraph(model, trainable, { question, recompute }) : held;
  const layers = recompute ? HOLDS.recomputed * peakBytes(graph)(bindings) : HOLDS.held * heldBytes;
  const program = PROGRAM_BYTES + NODE_BYTES * graph.nodes.length;
  const weights = touchedBytes(graph, rows * tokens) * (isPrepacked(places) ? MAPPED_AND_PACKED : 1);
  const state = 4 * elementCount(trainableTensors(model, trainable)) * STATE_VECTORS;
  const disk = [...places.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  return {
    weights,
    layers,
    recompute,
    state,
    program,
    total: weights + layers + state + program,
    disk,
  };
}

/** Adapter, two moments and mask, each as JavaScript has it; what comes out is the graph's. */
const STATE_VECTORS = 8;

/** Bytes of the weights that a step reads; of a table that is only looked up in, the pages of the rows. */
function touchedBytes(graph: Graph, lookups: number): number {
  const readWhole = new Set<Value>();
  for (const { op, inputs } of graph.nodes)
    for (const [i, value] of inputs.entries()) if (op !== 'Gather' || i > 0) readWhole.add(value);
  let bytes = 0;
  // A head in pieces is mapped apart from the embeddings it shares.
  for (const [value, data] of graph.initializers) {
    if (data.type !== 'external') continue;
    const row = data.byteLength / Number(value.shape[0]);
    const looked = Math.min(data.byteLength, lookups * Math.max(row, READ_AHEAD_BYTES));
    bytes += readWhole.has(value) ? data.byteLength : looked;
  }
  return bytes;
}
