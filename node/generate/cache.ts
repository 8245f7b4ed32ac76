/** @file Keys and values of the tokens a model has read, layer by layer: appended at the end, cut off at the end, never moved. */
import type { Feed, TensorData } from '../engine/session.ts';

export interface KeyCache {
  /** Tokens whose keys and values are kept. */
  readonly length: number;
  /** Everything kept, as the graph takes it: views, no copies. */
  feeds(): Record<string, Feed>;
  /** Names of what the graph gives back. */
  readonly outputs: readonly string[];
  /** Appends what the graph made for `tokens` more. */
  append(made: Readonly<Record<string, TensorData>>, tokens: number): void;
  /** Forgets all but the first `length` tokens. */
  truncate(length: number): void;
}

/** Heads of keys of a layer and their width. */
export interface LayerShape {
  readonly heads: number;
  readonly width: number;
}

/** Tokens there is room for at first; it doubles. */
const FIRST_TOKENS = 64;

/** An empty cache for one sequence of at most `maxTokens`. */
export function createKeyCache(layers: readonly LayerShape[], maxTokens: number): KeyCache {
  const slots = layers.flatMap(({ heads, width }, i) =>
    ['keys', 'values'].map((kind) => ({
      name: `${kind}.${i}`,
      dims: [heads, width],
      size: heads * width,
      data: new Float32Array(0),
    })),
  );
  let [length, room] = [0, 0];
  const grow = (wanted: number): void => {
    if (wanted <= room) return;
    room = Math.min(maxTokens, Math.max(wanted, 2 * room, FIRST_TOKENS));
    for (const slot of slots) {
      const larger = new Float32Array(room * slot.size);
      larger.set(slot.data.subarray(0, length * slot.size));
      slot.data = larger;
    }
  };
  return {
    get length() {
      return length;
    },
    outputs: slots.map(({ name }) => name),
    feeds: () =>
      Object.fromEntries(
        slots.map(({ name, dims, size, data }) => [
          `past_${name}`,
          { data: data.subarray(0, length * size), dims: [1, length, ...dims] },
        ]),
      ),
    append: (made, tokens) => {
      grow(length + tokens);
      for (const { name, size, data } of slots) data.set(made[name] as Float32Array, length * size);
      length += tokens;
    },
    truncate: (kept) => {
      length = Math.min(length, kept);
    },
  };
}
