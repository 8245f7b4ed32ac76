/** @file What a step hands to the next: adapter and AdamW's moments, on the device where its back end keeps outputs there. */
import { type Feed, isKept, type Kept, type Session, type TensorData } from './session.ts';

/** A vector [P]: here, or on the device. */
export type Held = Feed | Kept;
export type EngineSession = Session<TensorData | Kept>;

export interface TrainState {
  readonly vector: Held;
  readonly first: Held;
  readonly second: Held;
  readonly mask: Held;
}

/** What a step gives, by the names of the graph's outputs. */
export const STATE = ['vector_next', 'first_moment_next', 'second_moment_next'] as const;

/** Brings vectors to where the steps take them from, and back. */
export interface Carrier {
  hold(vector: Float32Array): Promise<Held>;
  /** Its numbers; it stays where it is. */
  read(held: Held): Promise<Float32Array>;
}

/** Steps that take and give what the program itself has. */
export const HERE: Carrier = {
  hold: async (data) => ({ data, dims: [data.length] }),
  read: async (held) => (held as Feed).data as Float32Array,
};

/**
 * Carries to a device and back by sessions that change nothing, since onnxruntime-node ends the process where a tensor on a
 * device is asked for its data.
 */
export function deviceCarrier(upload: () => Promise<EngineSession>, download: () => Promise<EngineSession>): Carrier {
  return {
    hold: async (data) => {
      const { same } = await (await upload()).run({ vector: { data, dims: [data.length] } }, ['same']);
      return same as Kept;
    },
    read: async (held) => {
      const { same } = await (await download()).run({ vector: held }, ['same']);
      return same as Float32Array;
    },
  };
}

/** Zero moments beside an adapter; where the mask [P] is 0 nothing changes. */
export async function startState(
  carrier: Carrier,
  { vector, mask }: { vector: Float32Array; mask: Float32Array },
): Promise<TrainState> {
  return {
    vector: await carrier.hold(vector),
    first: await carrier.hold(new Float32Array(vector.length)),
    second: await carrier.hold(new Float32Array(vector.length)),
    mask: await carrier.hold(mask),
  };
}

/** The state after a step, under the same mask. */
export function nextState({ mask }: TrainState, out: Record<string, TensorData | Kept>): TrainState {
  const [vector, first, second] = STATE.map((name) => heldOf(out[name]!));
  return { vector: vector!, first: first!, second: second!, mask };
}

/** Gives up what a step took or gave; the mask serves the next. */
export function dropStep({ vector, first, second }: TrainState): void {
  for (const held of [vector, first, second]) drop(held);
}

export function drop(held: Held): void {
  if (isKept(held)) held.dispose();
}

export function heldOf(result: TensorData | Kept): Held {
  return isKept(result) ? result : { data: result, dims: [result.length] };
}

export function stateFeeds({ vector, first, second, mask }: TrainState): Record<string, Held> {
  return { vector, first_moment: first, second_moment: second, mask };
}
