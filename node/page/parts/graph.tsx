/** @file The graphs of a simulation's rounds: who mixes with whom, by a slider. */
import { useId, useMemo, useState } from 'preact/hooks';
import type { GraphData } from '../report.ts';
import { placesOf } from './layout.ts';

export function Graph({ title, rounds }: GraphData) {
  const [round, setRound] = useState(0);
  const id = useId();
  const first = rounds[0] ?? [];
  const places = useMemo(() => {
    const ids = first.map((_, i) => String(i));
    const links = first.flatMap((neighbours, i) =>
      neighbours.filter((j) => j > i).map((j) => [ids[i]!, ids[j]!] as const),
    );
    return [...placesOf(ids, links, new Map()).values()];
  }, [rounds]);
  const graph = rounds[round] ?? [];
  const [xs, ys] = [places.map(({ x }) => x), places.map(({ y }) => y)];
  const [left, top] = [Math.min(...xs) - 24, Math.min(...ys) - 24];
  const box = [left, top, Math.max(...xs) + 24 - left, Math.max(...ys) + 24 - top];
  return (
    <figure class="card graph" aria-label={title}>
      <h3>{title}</h3>
      {rounds.length > 1 && (
        <div class="slider">
          <label for={id}>Round {round + 1}</label>
          <input
            id={id}
            type="range"
            min={0}
            max={rounds.length - 1}
            value={round}
            onInput={(event) => setRound(Number(event.currentTarget.value))}
          />
        </div>
      )}
      <svg viewBox={box.join(' ')} role="img" aria-label={`who mixes with whom in round ${round + 1}`}>
        {graph.flatMap((neighbours, i) =>
          neighbours
            .filter((j) => j > i)
            .map((j) => (
              <line key={`${i} ${j}`} x1={places[i]!.x} y1={places[i]!.y} x2={places[j]!.x} y2={places[j]!.y} />
            )),
        )}
        {places.map(({ x, y }, i) => (
          <g key={places[i]!.id} class="node own" transform={`translate(${x} ${y})`}>
            <title>{`peer ${i}, with ${(graph[i] ?? []).length} neighbours: ${(graph[i] ?? []).join(', ')}`}</title>
            <circle r={graph.length > 60 ? 5 : 9} />
          </g>
        ))}
      </svg>
    </figure>
  );
}
