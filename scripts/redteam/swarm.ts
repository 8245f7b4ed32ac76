/** @file The honest: real `lorikeet up` and `join` processes with a few texts each, and what can be seen of them from outside. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { issueTicket } from '../../node/admission/ticket.ts';
import { formatInvite, parseInvite } from '../../node/invite.ts';
import { peekKey } from '../../node/store.ts';
import type { Example } from '../../node/texts/data.ts';
import type { Refusal } from '../../protocol/frame.ts';
import type { Place } from './places.ts';

/** Entered a round. */
interface Entered {
  readonly round: number;
  /** Neighbours it has mixed with in the one before. */
  readonly mixed: number;
  readonly at: number;
}

/** A process of the command line that takes part, as its lines of JSON show it. */
export interface Honest {
  readonly folder: string;
  readonly place: Place;
  /** Of `lorikeet`, less those about the machine. */
  readonly args: readonly string[];
  readonly child: ChildProcess;
  readonly startedAt: number;
  /** Once it has told. */
  invite: string;
  id: string;
  readonly rounds: Entered[];
  readonly memory: { readonly mb: number; readonly at: number }[];
  refused: Partial<Record<Refusal, number>>;
  /** When each code was counted first since that was asked for last. */
  readonly refusedAt: Map<Refusal, number>;
  /** What it says on the side. */
  notes: string;
  ended: string | null;
}

export interface SwarmOptions {
  readonly folder: string;
  readonly places: readonly Place[];
  readonly texts: readonly (readonly Example[])[];
  /** Settings and flags of `lorikeet up`. */
  readonly flags: readonly string[];
  /** Whether somebody is to come before the first round can begin. */
  readonly isWaiting?: boolean;
}

export interface Swarm {
  readonly peers: readonly Honest[];
  /** Makes an invite of the first peer's with so many places, for ever; of an open run, one for everybody. */
  invite(uses: number, expires?: number): string;
  stop(): Promise<void>;
}

export const MAIN = fileURLToPath(new URL('../../node/main.js', import.meta.url));
const MACHINE = ['--device', 'cpu', '--threads', '1', '--anyway', '--json', '--follow'];
const START_MS = 120_000;
const STOP_MS = 5000;
/** Between two looks at memory. */
const LOOK_MS = 200;
const MB = 2 ** 20;

/** Starts a swarm, one peer a place; resolves when all have entered the third round. */
export async function startSwarm({ folder, places, texts, flags, isWaiting = false }: SwarmOptions): Promise<Swarm> {
  const peers: Honest[] = [];
  try {
    for (const [i, place] of places.entries()) {
      const own = join(folder, `peer-${i + 1}`);
      writeTexts(own, texts[i]!);
      const words = i === 0 ? ['up', ...flags] : ['join', peers[0]!.invite];
      const peer = start(own, place, [...words, '--data', 'texts.tsv', '--host', place.host]);
      peers.push(peer);
      if (i === 0) await until(() => peer.invite !== '', peer, 'it gives an invite');
    }
    for (const peer of peers)
      await until(() => (isWaiting ? peer.invite !== '' : peer.rounds.length > 2), peer, 'it takes part');
  } catch (error) {
    await Promise.all(peers.map(stopOne));
    throw error;
  }
  return {
    peers,
    invite: (uses, expires = 0) => inviteOf(peers[0]!, uses, expires),
    stop: async () => {
      await Promise.all(peers.map(stopOne));
    },
  };
}

/** Somebody who comes later, by an invite. */
export function startNewcomer(
  swarm: Swarm,
  { folder, place, texts }: { folder: string; place: Place; texts: readonly Example[] },
): Honest {
  writeTexts(folder, texts);
  return start(folder, place, ['join', swarm.invite(1), '--data', 'texts.tsv', '--host', place.host]);
}

/** Starts somebody who has ended once more, as it was started before. */
export function startAgain({ folder, place, args }: Honest): Honest {
  return start(folder, place, args);
}

export async function stopOne({ child, ended }: Honest): Promise<void> {
  if (ended !== null) return;
  const over = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await over;
  clearTimeout(timer);
}

/** An invite by an honest peer who belongs from the beginning. */
function inviteOf(peer: Honest, uses: number, expires: number): string {
  const { addresses, runId, ticket } = parseInvite(peer.invite);
  const key = ticket && peekKey(stateOf(peer), () => {});
  return formatInvite({ addresses, runId, ticket: key && issueTicket({ runId, key, chain: [], uses, expires }) });
}

export function stateOf({ folder }: Honest): string {
  return join(folder, 'texts.tsv.lorikeet');
}

/** The address an honest peer listens at. */
export function addressOf({ invite }: Honest): string {
  return parseInvite(invite).addresses[0]!;
}

export function writeTexts(folder: string, texts: readonly Example[]): void {
  mkdirSync(folder, { recursive: true });
  const rows = texts.map(({ text, y }) => `${text.replace(/\s+/g, ' ')}\t${y}\n`);
  writeFileSync(join(folder, 'texts.tsv'), `text\tlabel\n${rows.join('')}`);
}

function start(folder: string, place: Place, args: readonly string[]): Honest {
  const [command, ...words] = [...place.by, process.execPath, MAIN, ...args, ...MACHINE];
  const child = spawn(command!, words, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const peer: Honest = {
    folder,
    place,
    args,
    child,
    startedAt: performance.now(),
    invite: '',
    id: '',
    rounds: [],
    memory: [],
    refused: {},
    refusedAt: new Map(),
    notes: '',
    ended: null,
  };
  createInterface({ input: child.stdout }).on('line', (line) => hear(peer, line));
  child.stderr.on('data', (chunk) => {
    peer.notes = `${peer.notes}${chunk}`.slice(-20_000);
  });
  const looking = setInterval(() => {
    const mb = memoryOf(child.pid!);
    if (mb !== null) peer.memory.push({ mb, at: performance.now() });
  }, LOOK_MS);
  child.on('error', (error) => {
    peer.ended ??= error.message;
  });
  child.on('exit', (code, signal) => {
    clearInterval(looking);
    peer.ended = signal ?? `exit ${code}`;
  });
  return peer;
}

function hear(peer: Honest, line: string): void {
  if (!line.startsWith('{"event"')) return;
  const event = JSON.parse(line);
  const at = performance.now();
  if (event.event === 'invite') Object.assign(peer, { invite: event.invite, id: event.id });
  else if (event.event === 'round') peer.rounds.push({ round: event.round, mixed: event.mixed, at });
  else if (event.event === 'refused') {
    for (const code of Object.keys(event.refused) as Refusal[])
      if (event.refused[code] !== peer.refused[code] && !peer.refusedAt.has(code)) peer.refusedAt.set(code, at);
    peer.refused = event.refused;
  }
}

/** Resident memory of a process (MB); null where it has gone. */
function memoryOf(pid: number): number | null {
  try {
    const [, kb] = /VmRSS:\s*(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kb === undefined ? null : (Number(kb) * 1024) / MB;
  } catch {
    return null;
  }
}

async function until(holds: () => boolean, peer: Honest, what: string): Promise<void> {
  const end = performance.now() + START_MS;
  while (!holds()) {
    if (peer.ended !== null || performance.now() > end)
      throw new Error(
        `the swarm did not start: ${peer.ended ?? 'too slow'}, until ${what}: ${peer.notes.slice(-2000)}`,
      );
    await sleep(20);
  }
}
