/** @file Who holds a lock: a process told from any other that has, had or will have its number; whether it still runs. A leaf. */
import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { codeOf } from './errors.ts';

/** Written and read as words in this order; "-" is what the system does not tell. */
export interface Holder {
  readonly pid: number;
  /** When it began, in clock ticks after the start of the machine. */
  readonly start: string;
  /** This start of the machine, and the space that its process numbers are of: a container has its own. */
  readonly boot: string;
  readonly space: string;
  readonly host: string;
}

const NONE = '-';
const SELF: Holder = {
  pid: process.pid,
  start: statOf(process.pid)?.start ?? NONE,
  boot: asked(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
  space: asked(() => readlinkSync('/proc/self/ns/pid')),
  host: hostname(),
};
/** Tells the lives of a process number where the system does not. */
const LIFE = randomBytes(8).toString('hex');

/** This process, for a file; every time another text. */
export function describeSelf(): string {
  const { pid, start, boot, space, host } = SELF;
  return [pid, start, boot, space, host, LIFE, randomBytes(8).toString('hex')].join(' ');
}

/** Whom a text names; null: nobody. Earlier versions wrote the number alone, or the number and the machine. */
export function holderFrom(text: string): Holder | null {
  const words = text.trim().split(' ');
  const pid = Number(words[0]);
  if (words[0] === '' || !Number.isSafeInteger(pid) || pid <= 0) return null;
  if (words.length < 7) {
    const { boot, space, host } = SELF;
    const isHere = (words[1] ?? host) === host;
    return { pid, start: NONE, boot: isHere ? boot : NONE, space, host: words[1] ?? host };
  }
  const [, start, boot, space, host] = words as [string, string, string, string, string];
  return { pid, start, boot, space, host };
}

/** Whether the process that a text names is running; null where nobody here can know, as of another machine or container. */
export function isAlive(text: string): boolean | null {
  const holder = holderFrom(text);
  if (!holder) return null;
  if (text.includes(` ${LIFE} `)) return true;
  const { pid, start, boot, space, host } = holder;
  if (boot !== SELF.boot || (boot === NONE && host !== SELF.host)) return host === SELF.host ? false : null;
  if (space !== SELF.space) return null;
  if (!isNumberTaken(pid)) return false;
  const found = statOf(pid);
  if (found?.isOver) return false;
  // A number that is this process's own names an earlier life where nothing else tells them apart.
  return start === NONE || !found ? pid !== process.pid : found.start === start;
}

function isNumberTaken(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/** State and start of a process, as Linux tells them (proc(5): fields 3 and 22, counted after the name in brackets). */
function statOf(pid: number): { readonly isOver: boolean; readonly start: string } | null {
  const text = asked(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields.length < 20 ? null : { isOver: /^[ZX]/.test(fields[0]!), start: fields[19]! };
}

function asked(ask: () => string): string {
  try {
    return ask() || NONE;
  } catch {
    return NONE;
  }
}
