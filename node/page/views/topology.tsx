/** @file Who mixes with whom: a graph whose colours are states and whose widths are bytes, round by round. */

import { useMemo, useRef, useState } from 'preact/hooks';
import type { EdgeRecord, PeerRecord } from '../../chronicle/record.ts';
import { bytesText, figureText } from '../../figures.ts';
import type { Source, ViewProps } from '../live.ts';
import { type Placed, placesOf } from '../parts/layout.ts';
import { Card, Dot } from '../parts/mark.tsx';
import { Slider } from '../parts/slider.tsx';
import { STANDINGS, type Standing, spanText, standingOf } from '../words.ts';

interface Link {
  readonly a: string;
  readonly b: string;
  bytes: number;
  isMixed: boolean;
}

export function Topology({ sources, nameOf }: ViewProps) {
  // A round that has only begun has no exchange to show yet.
  const met = sources.flatMap(({ whole }) => whole.rounds.filter(({ edges }) => edges.length > 0));
  const last = Math.max(0, ...met.map(({ round }) => round));
  const [asked, setAsked] = useState<number | null>(null);
  const [chosen, setChosen] = useState<string | null>(null);
  const round = Math.min(asked ?? last, last);
  const standings = standingsOf(sources);
  const all = linksOf(sources, null);
  const links = linksOf(sources, round);
  const places = usePlaces([...standings.keys()], all);
  const width = (bytes: number): number => 1 + 7 * Math.sqrt(bytes / Math.max(1, ...links.map((l) => l.bytes)));
  const box = boxOf([...places.values()]);
  return (
    <>
      <Slider id="round" last={last} value={round} asked={asked} onAsk={setAsked}>
        Round {round + 1}
      </Slider>
      <div class="columns wide-first">
        <figure class="card graph">
          <svg viewBox={box.join(' ')} aria-label={`graph of round ${round + 1}`}>
            {links.map(({ a, b, bytes, isMixed }) => {
              const [from, to] = [places.get(a), places.get(b)];
              if (!from || !to) return null;
              return (
                <line
                  key={`${a} ${b}`}
                  {...{ x1: from.x, y1: from.y, x2: to.x, y2: to.y }}
                  class={isMixed ? 'mixed' : 'open'}
                  stroke-width={width(bytes)}
                >
                  <title>{`${nameOf(a)} and ${nameOf(b)}: ${bytesText(bytes)}`}</title>
                </line>
              );
            })}
            {[...places.values()].map(({ id, x, y }) => (
              <Node
                key={id}
                {...{ x, y, name: nameOf(id), standing: standings.get(id) ?? 'away', isChosen: id === chosen }}
                onChoose={() => setChosen(id === chosen ? null : id)}
              />
            ))}
          </svg>
          <figcaption>
            <ul class="key">
              {[...new Set(standings.values())].map((standing) => (
                <li key={standing}>
                  <Dot standing={standing} /> {STANDINGS[standing]}
                </li>
              ))}
              <li class="quiet">wider: more bytes; dashed: not mixed (yet)</li>
            </ul>
          </figcaption>
        </figure>
        {chosen ? (
          <Detail id={chosen} round={round} sources={sources} nameOf={nameOf} />
        ) : (
          <Card title={`Round ${round + 1}`}>
            <p>
              {links.length} {links.length === 1 ? 'exchange' : 'exchanges'},{' '}
              {bytesText(links.reduce((sum, { bytes }) => sum + bytes, 0))}.
            </p>
            <p class="quiet">Choose a peer to see what it exchanged.</p>
          </Card>
        )}
      </div>
    </>
  );
}

function Node(props: {
  x: number;
  y: number;
  name: string;
  standing: Standing;
  isChosen: boolean;
  onChoose: () => void;
}) {
  const { x, y, name, standing, isChosen, onChoose } = props;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a button cannot stand in an SVG
    <g
      role="button"
      tabindex={0}
      class={`node ${standing}${isChosen ? ' chosen' : ''}`}
      transform={`translate(${x} ${y})`}
      aria-label={`${name}, ${STANDINGS[standing]}`}
      aria-pressed={isChosen}
      onClick={onChoose}
      onKeyDown={(event) => {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        onChoose();
      }}
    >
      <circle r={standing === 'own' ? 15 : 11} />
      <text y={standing === 'own' ? 30 : 26}>{name}</text>
    </g>
  );
}

function Detail({ id, round, sources, nameOf }: { id: string; round: number } & Pick<ViewProps, 'sources' | 'nameOf'>) {
  // A peer of this machine tells of its own exchanges; of another those tell that met it.
  const isOwn = sources.some(({ whole }) => whole.subject.id === id);
  const edges = edgesOf(sources, round).filter(({ from, edge }) => (isOwn ? from : edge.id) === id);
  const peer = sources.flatMap(({ whole }) => whole.peers).find((one) => one.id === id);
  return (
    <Card title={nameOf(id)} about={id}>
      {peer && <Known peer={peer} />}
      <h4>Round {round + 1}</h4>
      {edges.length === 0 && <p class="quiet">No exchange that is known here.</p>}
      <ul class="plain">
        {edges.map(({ from, edge }) => (
          <li key={`${from} ${edge.id}`}>
            with {nameOf(from === id ? edge.id : from)}: {edge.outcome}, {bytesText(edge.sentBytes)} sent,{' '}
            {bytesText(edge.receivedBytes)} received
            {edge.distance !== null && `, distance ${figureText(edge.distance)}`}
            {edge.isClipped && ', clipped'}
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Known({ peer }: { peer: PeerRecord }) {
  const { mixed, late, clipped, given, waitMs } = peer;
  return (
    <p>
      <Dot standing={standingOf(peer)} /> {STANDINGS[standingOf(peer)]}; mixed {mixed} times, {late} of them late,{' '}
      {clipped} clipped; {given} came to nothing{waitMs === null ? '' : `; usually ${spanText(waitMs)} after one's own`}
      .
    </p>
  );
}

function standingsOf(sources: readonly Source[]): Map<string, Standing> {
  const standings = new Map<string, Standing>();
  for (const { whole } of sources)
    for (const peer of whole.peers) {
      const isPart = peer.isConnected || peer.mixed > 0 || peer.isBanned;
      if (isPart) standings.set(peer.id, standingOf(peer));
    }
  for (const { whole } of sources) standings.set(whole.subject.id, 'own');
  return standings;
}

/** Exchanges of a round, or of all, each as one end tells it. */
function edgesOf(sources: readonly Source[], round: number | null): { from: string; edge: EdgeRecord }[] {
  return sources.flatMap(({ whole: { subject, rounds } }) =>
    rounds
      .filter((one) => round === null || one.round === round)
      .flatMap(({ edges }) => edges.map((edge) => ({ from: subject.id, edge }))),
  );
}

/** One link for both directions; where both ends are of this machine, both tell of it, and one of them is believed. */
function linksOf(sources: readonly Source[], round: number | null): Link[] {
  const links = new Map<string, Link>();
  for (const { from, edge } of edgesOf(sources, round)) {
    const [a, b] = [from, edge.id].sort() as [string, string];
    const link = links.get(`${a} ${b}`) ?? { a, b, bytes: 0, isMixed: false };
    link.bytes = Math.max(link.bytes, edge.sentBytes + edge.receivedBytes);
    link.isMixed ||= edge.outcome === 'mixed' || edge.outcome === 'late';
    links.set(`${a} ${b}`, link);
  }
  return [...links.values()];
}

/** Places that stay while the graph is the same. */
function usePlaces(ids: readonly string[], links: readonly Link[]): Map<string, Placed> {
  const before = useRef(new Map<string, Placed>());
  return useMemo(() => {
    const known = new Set(ids);
    const pairs = links.flatMap(({ a, b }) => (known.has(a) && known.has(b) ? [[a, b] as const] : []));
    before.current = placesOf(ids, pairs, before.current);
    return before.current;
  }, [ids.join(), links.length]);
}

function boxOf(places: readonly Placed[]): [number, number, number, number] {
  const [xs, ys] = [places.map(({ x }) => x), places.map(({ y }) => y)];
  const [left, top] = [Math.min(-250, ...xs) - 50, Math.min(-150, ...ys) - 40];
  return [left, top, Math.max(250, ...xs) + 50 - left, Math.max(150, ...ys) + 50 - top];
}
