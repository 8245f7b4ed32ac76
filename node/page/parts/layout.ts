/** @file Where the nodes of a graph stand: springs and charges until they rest; the one door to d3-force. */
import { forceCollide, forceLink, forceManyBody, forceSimulation, forceX, forceY } from 'd3-force';

export interface Placed {
  readonly id: string;
  readonly x: number;
  readonly y: number;
}

/** The same places for the same graph; those that stood somewhere stay near it. */
export function placesOf(
  ids: readonly string[],
  links: readonly (readonly [string, string])[],
  before: ReadonlyMap<string, Placed>,
): Map<string, Placed> {
  const nodes = ids.map((id, i) => {
    const angle = (2 * Math.PI * i) / ids.length;
    const { x, y } = before.get(id) ?? { x: 120 * Math.cos(angle), y: 120 * Math.sin(angle) };
    return { id, x, y };
  });
  const many = Math.sqrt(Math.max(1, ids.length));
  const simulation = forceSimulation(nodes)
    .force('charge', forceManyBody().strength(-1400 / many))
    .force(
      'links',
      forceLink<(typeof nodes)[number], { source: string; target: string }>(
        links.map(([source, target]) => ({ source, target })),
      )
        .id(({ id }) => id)
        .distance(360 / many)
        .strength(0.25),
    )
    .force('apart', forceCollide(22))
    .force('x', forceX(0).strength(0.09))
    .force('y', forceY(0).strength(0.14))
    .stop();
  simulation.tick(before.size > 0 ? 60 : 300);
  return new Map(nodes.map(({ id, x, y }) => [id, { id, x, y }]));
}
