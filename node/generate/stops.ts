/** @file Texts that end an answer: what may be the beginning of one is held back until it is not. */

export interface StopFilter {
  /** Takes text; gives what may be shown. */
  push(text: string): string;
  /** What was held back and is no stop after all. */
  end(): string;
  /** Whether one of the texts has come; nothing is shown from there on. */
  readonly isStopped: boolean;
}

export function createStopFilter(stops: readonly string[]): StopFilter {
  let [held, isStopped] = ['', false];
  return {
    push: (text) => {
      if (isStopped) return '';
      held += text;
      const found = stops.map((stop) => held.indexOf(stop)).filter((at) => at >= 0);
      isStopped = found.length > 0;
      const shown = isStopped ? Math.min(...found) : held.length - openLength(held, stops);
      const safe = held.slice(0, shown);
      held = isStopped ? '' : held.slice(shown);
      return safe;
    },
    end: () => {
      const rest = held;
      held = '';
      return rest;
    },
    get isStopped() {
      return isStopped;
    },
  };
}

/** How much of a text's end may be the beginning of a stop. */
function openLength(text: string, stops: readonly string[]): number {
  const longest = Math.min(text.length, Math.max(0, ...stops.map((stop) => stop.length - 1)));
  for (let length = longest; length > 0; length--)
    if (stops.some((stop) => stop.length > length && text.endsWith(stop.slice(0, length)))) return length;
  return 0;
}
