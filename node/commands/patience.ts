/** @file How long a peer waits for company before it gives up, and how often it says why nobody comes. */
import { durationText } from '../figures.ts';
import type { ParticipantView } from '../participant-view.ts';

/** Pause between two lines that say the same. */
const REPEAT_MS = 30_000;

export interface Patience {
  look(view: Pick<ParticipantView, 'phase' | 'standing'>): void;
  /** When it gives up (ms since 1970); null: it does not wait, or does so for ever. */
  untilMs(): number | null;
  /** The time left, to follow a line; '' where there is no end. */
  left(): string;
  /** Lets a reason through at once, and again after a while. */
  tell(say: (reason: string) => void): (reason: string) => void;
  readonly end: Promise<false>;
}

/** Looks after how long a peer has waited for its first company; `end` resolves to false when that is too long. 0 s: for ever. */
export function createPatience(seconds: number): Patience {
  const { promise: end, resolve } = Promise.withResolvers<false>();
  let timer: NodeJS.Timeout | undefined;
  let until: number | null = seconds > 0 ? Date.now() + 1000 * seconds : null;
  const stop = (): void => {
    clearTimeout(timer);
    timer = undefined;
    until = null;
  };
  return {
    end,
    look: ({ phase, standing }) => {
      const isWaiting = phase === 'gathering' && standing.untilMs === null && seconds > 0;
      if (!isWaiting) return stop();
      if (timer) return;
      until = Date.now() + 1000 * seconds;
      timer = setTimeout(() => resolve(false), 1000 * seconds).unref();
    },
    untilMs: () => until,
    left: () => (until === null ? '' : `, ${durationText(Math.max(0, until - Date.now()) / 1000)} left`),
    tell: (say) => {
      let last = Number.NEGATIVE_INFINITY;
      return (reason) => {
        if (Date.now() - last < REPEAT_MS) return;
        last = Date.now();
        say(reason);
      };
    },
  };
}
