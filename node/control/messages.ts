/** @file What is said over a control socket: a line of JSON each way, bounded, with a version. */
import { StringDecoder } from 'node:string_decoder';

/** Of requests and answers. A peer that speaks another says so. */
export const VERSION = 1;

/** What can be asked of a peer at work. */
export const REQUESTS = ['status', 'invite', 'pause', 'resume', 'leave'] as const;
export type Request = (typeof REQUESTS)[number];

export type Answer =
  | { readonly v: number; readonly ok: true; readonly answer: unknown }
  | { readonly v: number; readonly ok: false; readonly problem: string };

/** Characters of a request, and of an answer. */
export const MAX_REQUEST = 1000;
export const MAX_ANSWER = 4_000_000;

export function lineOf(message: object): string {
  return `${JSON.stringify(message)}\n`;
}

/** What a request asks for; a text says why it is none. */
export function readRequest(line: string): { readonly ask: Request } | string {
  let read: unknown;
  try {
    read = JSON.parse(line);
  } catch {
    return 'not a line of JSON';
  }
  const { v, ask } = (read ?? {}) as { v?: unknown; ask?: unknown };
  if (v !== VERSION) return `got version ${JSON.stringify(v)}; this peer speaks ${VERSION}`;
  const known = REQUESTS.find((name) => name === ask);
  return known ? { ask: known } : `got ${JSON.stringify(ask)?.slice(0, 40)}; wanted one of ${REQUESTS.join(', ')}`;
}

/** Takes pieces and gives lines to `onLine`; a line longer than `max` characters is not kept: `onTooLong` is told once. */
export function createLines(
  max: number,
  onLine: (line: string) => void,
  onTooLong: () => void,
): (piece: Buffer) => void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let isOver = false;
  return (piece) => {
    if (isOver) return;
    const lines = (rest + decoder.write(piece)).split('\n');
    rest = lines.pop()!;
    if ([...lines, rest].some((line) => line.length > max)) {
      isOver = true;
      rest = '';
      onTooLong();
      return;
    }
    lines.forEach(onLine);
  };
}
