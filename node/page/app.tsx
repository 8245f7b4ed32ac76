/** @file The live page: its views, which of several peers is looked at, and whether anybody still tells. */
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { useLive, type ViewProps } from './live.ts';
import { Mark } from './parts/mark.tsx';
import { Adapter } from './views/adapter.tsx';
import { Invite } from './views/invite.tsx';
import { Overview } from './views/overview.tsx';
import { Peers } from './views/peers.tsx';
import { Privacy } from './views/privacy.tsx';
import { Rounds } from './views/rounds.tsx';
import { Texts } from './views/texts.tsx';
import { Topology } from './views/topology.tsx';
import { namesOf } from './words.ts';

interface View {
  readonly name: string;
  readonly title: string;
  readonly show: ComponentType<ViewProps>;
  /** What the peer must be able to do. */
  readonly needs?: string;
  /** Whether it is of one peer, where there are several. */
  readonly isOfOne?: boolean;
}

const VIEWS: readonly View[] = [
  { name: 'overview', title: 'Overview', show: Overview },
  { name: 'topology', title: 'Topology', show: Topology },
  { name: 'peers', title: 'Peers', show: Peers, isOfOne: true },
  { name: 'rounds', title: 'Rounds', show: Rounds, isOfOne: true },
  { name: 'texts', title: 'Texts', show: Texts, needs: 'texts' },
  { name: 'adapter', title: 'Adapter', show: Adapter, needs: 'export' },
  { name: 'invite', title: 'Invite', show: Invite, needs: 'invite' },
  { name: 'privacy', title: 'Privacy', show: Privacy, isOfOne: true },
];

export function App() {
  const { sources, isConnected } = useLive();
  const [chosen, setChosen] = useState(0);
  const name = useHash();
  const source = sources[chosen] ?? sources[0];
  if (!source)
    return (
      <main class="empty" aria-live="polite">
        <Mark />
        <p>Waiting for the peer ...</p>
      </main>
    );
  const views = VIEWS.filter(({ needs }) => needs === undefined || source.can.includes(needs));
  const view = views.find((one) => one.name === name) ?? views[0]!;
  const nameOf = namesOf(sources);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <span class="brand">
          <Mark /> Lorikeet
        </span>
        <nav aria-label="views">
          {views.map((one) => (
            <a key={one.name} href={`#${one.name}`} aria-current={one === view ? 'page' : undefined}>
              {one.title}
            </a>
          ))}
        </nav>
        <span class={isConnected ? 'light on' : 'light'} role="status">
          {isConnected ? 'live' : 'not connected'}
        </span>
      </header>
      <main id="main" tabIndex={-1}>
        <div class="title">
          <h1>{view.title}</h1>
          {view.isOfOne && sources.length > 1 && (
            <label>
              of{' '}
              <select value={source.peer} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
                {sources.map(({ peer, whole }) => (
                  <option key={peer} value={peer}>
                    {nameOf(whole.subject.id)}
                  </option>
                ))}
              </select>
            </label>
          )}
        </div>
        {!isConnected && (
          <p class="said" role="status">
            The peer does not answer: it has ended, or is starting again. This is what it said last.
          </p>
        )}
        <view.show sources={sources} source={source} nameOf={nameOf} />
      </main>
    </>
  );
}

/** Which view the address names; its title becomes the page's. */
function useHash(): string {
  const [hash, setHash] = useState(location.hash.slice(1));
  useEffect(() => {
    const hear = (): void => {
      if (location.hash !== '#main') setHash(location.hash.slice(1));
    };
    addEventListener('hashchange', hear);
    return () => removeEventListener('hashchange', hear);
  }, []);
  return hash;
}
