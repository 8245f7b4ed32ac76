/** @file When a wait that goes on is worth another line: soon at first, then ever more rarely, at least once a minute. */

const [FIRST_MS, LONGEST_MS] = [10_000, 60_000];

/** Told which wait is on, as often as one likes ('' for none), says when a line on it is due. */
export function createReminder(firstMs = FIRST_MS): (wait: string, nowMs: number) => boolean {
  let current = { wait: '', toldAt: 0, pauseMs: firstMs };
  return (wait, nowMs) => {
    if (wait !== current.wait) {
      current = { wait, toldAt: nowMs, pauseMs: firstMs };
      return false;
    }
    if (wait === '' || nowMs - current.toldAt < current.pauseMs) return false;
    current = { wait, toldAt: nowMs, pauseMs: Math.min(LONGEST_MS, 2 * current.pauseMs) };
    return true;
  };
}

/** Does what may take long, and says now and again for what it waits; `text` takes how long it has so far (ms), '': nothing. */
export async function reminding<T>(
  say: (line: string) => void,
  text: (waitedMs: number) => string,
  act: () => Promise<T>,
  firstMs = FIRST_MS,
): Promise<T> {
  const isDue = createReminder(firstMs);
  const beganAt = performance.now();
  const look = (): void => {
    if (!isDue('it', performance.now())) return;
    const line = text(performance.now() - beganAt);
    if (line !== '') say(line);
  };
  look();
  const timer = setInterval(look, 1000);
  try {
    return await act();
  } finally {
    clearInterval(timer);
  }
}
