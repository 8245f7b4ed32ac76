/** @file A swarm that runs for long: two peers that are let be and looked at, two that are struck in turn. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPrng } from '../../protocol/prng.ts';
import { openPlaces, type Places } from '../redteam/places.ts';
import { type Honest, startAgain, startSwarm, stateOf, stopOne } from '../redteam/swarm.ts';
import { labelledTexts, PEERS } from '../redteam/texts.ts';
import { type Blow, type Course, median, medianSlope, type Soaked } from './judge.ts';

interface Look {
  readonly seconds: number;
  readonly files: number;
  readonly stateKb: number;
  readonly memory: number;
}

export interface SoakOptions {
  readonly seconds: number;
  readonly seed: string;
  readonly signal: AbortSignal;
  readonly onTick: (passed: number, what: string) => void;
}

const LET_BE = 2;
const LOOK_MS = 5000;
/** Of a run, at its beginning, in which memory grows by itself. */
const WARM_SHARE = 0.2;
/** A slope of less says nothing. */
const SLOPE_SECONDS = 300;
/** Pause between two blows, how long somebody is away, and when it has to be back (s). */
const [PAUSE, MOST_AWAY, DUE] = [8, 60, 120];

/** Runs for so many seconds, or until it is interrupted. */
export async function runSoak({ seconds, seed, signal, onTick }: SoakOptions): Promise<Soaked> {
  const root = mkdtempSync(join(tmpdir(), 'lorikeet-soak-'));
  const places = await openPlaces(PEERS);
  const seats: Honest[] = [];
  const looks: Look[][] = Array.from({ length: LET_BE }, () => []);
  const blows: Blow[] = [];
  const began = performance.now();
  const passed = (): number => (performance.now() - began) / 1000;
  const isOver = (): boolean => signal.aborted || passed() >= seconds;
  let doing = '';
  const looking = setInterval(() => {
    onTick(Math.min(seconds, Math.round(passed())), doing);
    for (const [i, own] of looks.entries()) if (seats[i]) own.push(lookAt(seats[i], passed()));
  }, LOOK_MS);
  try {
    seats.push(...(await startSwarm({ folder: root, places: places.all, texts: labelledTexts(false), flags })).peers);
    const prng = createPrng(seed).fork('soak');
    for (let turn = 0; !isOver(); turn++) {
      await pauseFor(PAUSE * (0.5 + prng.random()), isOver);
      if (isOver()) break;
      const place = LET_BE + (turn % (PEERS - LET_BE));
      const type = prng.shuffle(['kill', 'sleep', 'cut'] as const)[0]!;
      const away = MOST_AWAY ** prng.random(); // each doubling is as likely
      doing = `${type} of peer ${place + 1} for ${away.toFixed(0)} s`;
      const blow = await strike(seats, { place, type, away }, places, isOver);
      if (blow) blows.push(blow);
    }
    const ended = seats.flatMap((peer, i) =>
      peer.ended === null ? [] : [`peer ${i + 1} ended: ${peer.ended}: ${peer.notes.slice(-500)}`],
    );
    const rounds = Math.min(...seats.slice(0, LET_BE).map((peer) => peer.rounds.length));
    const peers = looks.map((own, i) => courseOf(i + 1, own));
    return { seconds: passed(), rounds, blows, peers, ended };
  } finally {
    clearInterval(looking);
    await Promise.all(seats.map(stopOne));
    places.close();
    rmSync(root, { recursive: true, force: true });
  }
}

const flags = Object.entries({ rounds: 1_000_000, 'local-steps': 3, 'label-prior': 'off', 'min-peers': PEERS }).flatMap(
  ([name, value]) => [`--${name}`, String(value)],
);

/** Strikes one, brings it back, and waits until it has mixed; null where the end came first. */
async function strike(
  seats: Honest[],
  { place, type, away }: { place: number; type: Blow['type']; away: number },
  places: Places,
  isOver: () => boolean,
): Promise<Blow | null> {
  const peer = seats[place]!;
  if (type === 'kill') {
    const over = new Promise((resolve) => peer.child.once('exit', resolve));
    peer.child.kill('SIGKILL');
    await over;
    await pauseFor(away, isOver);
    seats[place] = startAgain(peer);
  } else if (type === 'sleep') {
    peer.child.kill('SIGSTOP');
    await pauseFor(away, isOver);
    peer.child.kill('SIGCONT');
  } else {
    if (!places.cut(place, true)) return null;
    await pauseFor(away, isOver);
    places.cut(place, false);
  }
  const since = performance.now();
  const backAt = (): number | null => seats[place]!.rounds.find(({ at, mixed }) => at > since && mixed > 0)?.at ?? null;
  while (backAt() === null && !isOver() && performance.now() - since < 1000 * DUE) await sleep(100);
  const at = backAt();
  if (at === null && isOver()) return null;
  return { type, place: place + 1, seconds: away, backSeconds: at === null ? null : (at - since) / 1000 };
}

async function pauseFor(seconds: number, isOver: () => boolean): Promise<void> {
  const end = performance.now() + 1000 * seconds;
  while (!isOver() && performance.now() < end) await sleep(100);
}

function lookAt(peer: Honest, seconds: number): Look {
  const memory = peer.memory.at(-1)?.mb ?? 0;
  peer.memory.splice(0); // an hour of them is long
  return { seconds, memory, files: countOf(`/proc/${peer.child.pid}/fd`), stateKb: sizeOf(stateOf(peer)) };
}

function countOf(folder: string): number {
  try {
    return readdirSync(folder).length;
  } catch {
    return 0; // it has ended, or this is no Linux
  }
}

/** In kB; a file that goes away meanwhile counts for nothing. */
function sizeOf(folder: string): number {
  try {
    const files = readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name)));
    return Math.round(
      files.reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0) / 1024,
    );
  } catch {
    return 0;
  }
}

function courseOf(place: number, looks: readonly Look[]): Course {
  const warm = looks.slice(Math.floor(WARM_SHARE * looks.length));
  const [first, last] = [warm.slice(0, 10), warm.slice(-10)];
  const of = (part: readonly Look[], what: keyof Look): number => median(part.map((look) => look[what])) ?? 0;
  const isLong = warm.length > 1 && warm.at(-1)!.seconds - warm[0]!.seconds >= SLOPE_SECONDS;
  const slope = isLong ? medianSlope(warm.map(({ seconds, memory }) => [seconds / 600, memory] as const)) : null;
  return {
    place,
    slope,
    memory: Math.round(of(first, 'memory')),
    files: [of(first, 'files'), of(last, 'files')],
    state: [of(first, 'stateKb'), of(last, 'stateKb')],
  };
}
