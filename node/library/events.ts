/** @file What happens to a peer, one event after the other, for programs to read at their own pace; kept within bounds. */
import type { Metric } from '../../protocol/events.ts';
import type { Refusal } from '../../protocol/frame.ts';
import type { Score } from '../train/score.ts';

/** Ids are those of peers; rounds are counted from 0. */
export type SwarmEvent =
  /** A connection to another member is there, or has gone. */
  | { readonly type: 'joined' | 'left'; readonly id: string }
  /** Local steps are done; `loss` is their mean, null where none were taken. */
  | { readonly type: 'trained'; readonly round: number; readonly loss: number | null }
  | {
      readonly type: 'mixed';
      readonly round: number;
      /** Whose adapters were mixed in. */
      readonly with: readonly string[];
      /** Neighbours whose adapter had not come in time. */
      readonly missed: number;
      /** Mean distance of theirs, relative; null without any. */
      readonly distance: number | null;
    }
  /** The adapter mixed last, on the texts to watch. */
  | { readonly type: 'scored'; readonly round: number; readonly score: Score }
  /** Something of another peer was not taken in. */
  | { readonly type: 'refused'; readonly id: string; readonly code: Refusal }
  /** What the command line would print: one line for a person. */
  | { readonly type: 'notice'; readonly text: string }
  /** Events that came while nobody read, more than are kept. */
  | { readonly type: 'skipped'; readonly count: number }
  /** The run is over for this peer. */
  | { readonly type: 'finished'; readonly round: number };

/** Events that are kept for whoever reads slowly, or begins to read late. */
const MAX_KEPT = 1000;

export interface Feed {
  push(event: SwarmEvent): void;
  /** Nothing more will come. */
  end(): void;
  /** From the first event that is kept to the end. Throws what the signal is aborted with. */
  read(signal?: AbortSignal): AsyncGenerator<SwarmEvent, void>;
}

export function createFeed(): Feed {
  const kept: SwarmEvent[] = [];
  let dropped = 0;
  let isOver = false;
  let news = Promise.withResolvers<void>();
  const stir = (): void => {
    news.resolve();
    news = Promise.withResolvers();
  };
  return {
    push: (event) => {
      if (isOver) return;
      kept.push(event);
      if (kept.length > MAX_KEPT) {
        kept.shift();
        dropped += 1;
      }
      stir();
    },
    end: () => {
      isOver = true;
      stir();
    },
    read: async function* (signal) {
      signal?.addEventListener('abort', stir);
      try {
        for (let next = 0; ; ) {
          signal?.throwIfAborted();
          const event = kept[next - dropped];
          if (next < dropped) {
            yield { type: 'skipped', count: dropped - next };
            next = dropped;
          } else if (event) {
            next += 1;
            yield event;
          } else if (isOver) return;
          else await news.promise;
        }
      } finally {
        signal?.removeEventListener('abort', stir);
      }
    },
  };
}

/** What a metric is as an event; null where it is none. */
export function eventOf(metric: Metric): SwarmEvent | null {
  switch (metric.type) {
    case 'trained':
      return { type: 'trained', round: metric.round, loss: metric.loss };
    case 'mixed': {
      const { round, late: missed, distance } = metric;
      return { type: 'mixed', round, with: metric.with.map(({ id }) => id), missed, distance };
    }
    case 'gathering':
    case 'skipped':
    case 'adopted':
    case 'late':
    case 'cancelled':
    case 'abandoned':
    case 'crowded':
    case 'undecided':
    case 'diverged':
      return null;
  }
}
