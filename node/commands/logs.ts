/** @file `lorikeet logs`: what the peer of a state folder has done, line by line; also as it goes on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Entry, followLog, readLog } from '../control/log.ts';
import { type Flags, integerFlag, interruptSignal, stateFolder } from './flags.ts';

const LOOK_MS = 300;
const MOST_LINES = 1_000_000;

export async function logs(flags: Flags): Promise<void> {
  const folder = stateFolder(flags.state);
  const count = integerFlag(flags, 'lines', 0, MOST_LINES);
  const say = (entry: Entry): void => console.log(flags.json ? JSON.stringify(entry) : lineOf(entry));
  const next = followLog(folder);
  const found = count > 0 ? readLog(folder, count) : [];
  found.forEach(say);
  if (found.length === 0) console.error(`${folder}: nothing has been written down yet`);
  if (!flags.follow) return;
  const interrupt = interruptSignal(() => {});
  try {
    while (!interrupt.signal.aborted) {
      next().forEach(say);
      await sleep(LOOK_MS, undefined, { signal: interrupt.signal }).catch(() => {});
    }
  } finally {
    interrupt.dispose();
  }
}

/** An entry as people read it: when, what, and the facts that are single words. */
function lineOf({ time, event, ...facts }: Entry): string {
  const { text, ...others } = facts;
  const words = Object.entries(others).flatMap(([name, value]) => {
    const shown = shownAs(value);
    return shown === null ? [] : [`${name} ${shown}`];
  });
  return [
    `${time.slice(0, 19)}Z`,
    event === 'notice' ? String(text) : [...(event in facts ? [] : [event]), ...words].join(', '),
  ].join('  ');
}

function shownAs(value: unknown): string | null {
  if (value === null) return null;
  if (Array.isArray(value)) return String(value.length);
  if (typeof value === 'object')
    return (
      Object.entries(value)
        .map((pair) => pair.join(': '))
        .join(' ') || null
    );
  return typeof value === 'number' && !Number.isInteger(value) ? value.toPrecision(4) : String(value);
}
