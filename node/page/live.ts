/** @file What the server tells, kept up to date; and what a user asks of it. */
import { useEffect, useState } from 'preact/hooks';
import type { Patch, RoundRecord, Whole } from '../chronicle/record.ts';

/** A peer of this process, and what may be asked of it. */
export interface Source {
  readonly peer: number;
  readonly whole: Whole;
  readonly can: readonly string[];
}

/** What every view is given. */
export interface ViewProps {
  readonly sources: readonly Source[];
  /** The one that is looked at. */
  readonly source: Source;
  readonly nameOf: (id: string) => string;
}

interface Live {
  readonly sources: readonly Source[];
  /** Whether the peer answers. */
  readonly isConnected: boolean;
}

/** What is there now; drawn again as it changes, a few times a second at most. */
export function useLive(): Live {
  const [live, setLive] = useState<Live>({ sources: [], isConnected: false });
  useEffect(() => {
    const events = new EventSource('/api/events');
    let sources: Source[] = [];
    let isWaiting = false;
    const show = (): void => {
      isWaiting = false;
      setLive({ sources, isConnected: events.readyState === EventSource.OPEN });
    };
    const soon = (): void => {
      if (!isWaiting) setTimeout(show, 50);
      isWaiting = true;
    };
    const on = <T>(name: string, take: (data: T) => void): void =>
      events.addEventListener(name, (event) => {
        take(JSON.parse((event as MessageEvent<string>).data));
        soon();
      });
    on<Source>('whole', (source) => {
      sources = [...sources.filter(({ peer }) => peer !== source.peer), source].sort((a, b) => a.peer - b.peer);
    });
    on<{ peer: number; patch: Patch }>('patch', ({ peer, patch }) => {
      sources = sources.map((one) => (one.peer === peer ? { ...one, whole: patched(one.whole, patch) } : one));
    });
    events.addEventListener('error', soon);
    return () => events.close();
  }, []);
  return live;
}

export function patched(whole: Whole, { rounds, ...rest }: Patch): Whole {
  return { ...whole, ...rest, rounds: rounds ? merged(whole.rounds, rounds) : whole.rounds };
}

function merged(before: readonly RoundRecord[], changed: readonly RoundRecord[]): RoundRecord[] {
  const byRound = new Map(before.map((one) => [one.round, one]));
  for (const one of changed) byRound.set(one.round, one);
  return [...byRound.values()].sort((a, b) => a.round - b.round);
}

/** Asks it of a peer. Throws an Error that says in a line why it cannot be. */
export async function ask<T>(peer: number, action: string, given: object = {}): Promise<T> {
  const response = await fetch(`/api/${peer}/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(given),
  }).catch(() => {
    throw new Error('the peer does not answer: it may have ended');
  });
  const answer = (await response.json().catch(() => ({}))) as T & { problem?: string };
  if (!response.ok) throw new Error(answer.problem ?? `that failed (${response.status})`);
  return answer;
}
