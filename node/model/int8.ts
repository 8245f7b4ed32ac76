/** @file Linear layers whose frozen weights are multiplied with in 7 bits: faster, and not exact. Dettmers et al. 2022, arXiv:2208.07339. */
import { external, type Graph, type Value } from '../graph/graph.ts';
import { type Int8Matrix, int8MatMul } from '../graph/quantised.ts';
import type { Product } from './architecture.ts';
import type { Int8Place, PlacedModel } from './base.ts';

/** Products in 7 bits for the layers that have them; null: the base has none. */
export function int8Product({ int8 }: PlacedModel): Product | undefined {
  if (!int8) return undefined;
  const { file, layers } = int8;
  const known = new Map<string, { forward: Int8Matrix; backward: Int8Matrix }>();
  const open = (g: Graph, name: string, { shape, values, scales }: Int8Place): Int8Matrix => ({
    values: external(g, `${name}.values`, shape, { ...values, file }, 'int8'),
    scales: external(g, `${name}.scales`, [shape[1]], { ...scales, file }),
  });
  return (g: Graph, x: Value, name: string): Value | null => {
    const pair = layers.get(name.replace(/\.weight$/, ''));
    if (!pair) return null;
    const made = known.get(name) ?? {
      forward: open(g, `${name}.forward`, pair.forward),
      backward: open(g, `${name}.backward`, pair.backward),
    };
    known.set(name, made);
    return int8MatMul(g, x, made.forward, made.backward);
  };
}
