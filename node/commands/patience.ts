/** @file How long a peer waits for company before it gives up, and how often it says why nobody comes. */
import type { ParticipantView } from '../participant-view.ts';

/** Pause between two lines that say the same. */
const REPEAT_MS = 30_000;

/** Looks after how long a peer has waited for its first company; `end` resolves to false when that is too long. */
export function createPatience(seconds: number): {
  readonly look: (view: ParticipantView) => void;
  readonly left: () => string;
  /** Lets a reason through at once, and again after a while. */
  readonly tell: (say: (reason: string) => void) => (reason: string) => void;
  readonly end: Promise<false>;
} {
  const { promise: end, resolve } = Promise.withResolvers<false>();
  let timer: NodeJS.Timeout | undefined;
  let until: number | null = Date.now() + 1000 * seconds;
  return {
    end,
    look: ({ phase, standing }) => {
      const isWaiting = phase === 'gathering' && standing.untilMs === null && seconds > 0;
      if (!isWaiting) clearTimeout(timer);
      else if (!timer) {
        until = Date.now() + 1000 * seconds;
        timer = setTimeout(() => resolve(false), 1000 * seconds).unref();
        return;
      }
      if (isWaiting) return;
      timer = undefined;
      until = null;
    },
    left: () =>
      until !== null && seconds > 0 ? `, ${Math.max(0, Math.round((until - Date.now()) / 1000))} s left` : '',
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
