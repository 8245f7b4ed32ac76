/** @file Four real processes that mix over loopback while one after the other is killed (-9) and comes back; what must hold. */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sha256 } from '../../node/train/run.ts';
import { parseSettings, type RunSettings } from '../../protocol/config.ts';
import { createPrng } from '../../protocol/prng.ts';
import { decodeSnapshot, type Snapshot } from '../../protocol/snapshot.ts';
import type { Order, Report, Start } from './peer.ts';
import type { PointName } from './points.ts';

const [PEERS, SIZE, TRAIN_MS] = [4, 4000, 150];
/** Rounds at the end in which nobody is killed any more, so that all can finish together. */
const QUIET_ROUNDS = 6;
const RESTART_DEADLINE_MS = 10_000;
const WAIT_MS = 60_000;

export interface Kill {
  readonly point: PointName;
  readonly victim: number;
  /** From the kill until it has mixed again. */
  readonly restartMs: number;
}

export interface Outcome {
  readonly kills: readonly Kill[];
  /** What did not hold; empty: all did. */
  readonly problems: readonly string[];
}

/** A peer, over all its lives. */
interface Seat {
  readonly start: Omit<Start, 'bootstrap' | 'port'>;
  child: ChildProcess;
  addresses: readonly string[];
  saved: { round: number; exchanged: number; boot: number };
  round: number;
  mixedAt: number;
  finished: boolean;
  abandoned: number;
  adapter: readonly number[] | null;
  /** Of a life that ended unasked. */
  ended: string | null;
}

/** Swarm after swarm, until there has been a kill at every point, or one brings none. */
export async function runSwarms(options: {
  folder: (swarm: number) => string;
  seed: string;
  points: readonly PointName[];
  rounds: number;
  onKill?: (kill: Kill) => void;
}): Promise<Outcome> {
  const kills: Kill[] = [];
  const problems: string[] = [];
  for (let swarm = 0; kills.length < options.points.length; swarm++) {
    const [folder, seed] = [options.folder(swarm), `${options.seed}-${swarm}`];
    const outcome = await runChaos({ ...options, folder, seed, points: options.points.slice(kills.length) });
    kills.push(...outcome.kills);
    problems.push(...outcome.problems.map((problem) => `swarm ${seed}: ${problem}; its files are in ${folder}`));
    if (outcome.kills.length === 0) break;
  }
  return { kills, problems };
}

/** Kills at the points in turn, until they are done or the run nears its end; then lets it end and adds up. */
export async function runChaos(options: {
  folder: string;
  seed: string;
  points: readonly PointName[];
  rounds: number;
  onKill?: (kill: Kill) => void;
  /** Told the state folder of a peer that is down, after it was looked at. */
  whileDown?: (folder: string) => void;
}): Promise<Outcome> {
  const { folder, seed, points, rounds, onKill, whileDown } = options;
  const prng = createPrng(seed).fork('chaos');
  const settings = settingsOf(seed, rounds);
  const seats: Seat[] = [];
  const kills: Kill[] = [];
  const problems: string[] = [];
  try {
    for (let place = 0; place < PEERS; place++) {
      const seat = createSeat(place, folder, settings);
      seats.push(seat); // so that it is stopped whatever happens
      await live(seat, seats[0]!.addresses);
    }
    for (const point of points) {
      const victim = prng.below(PEERS);
      const isLate = (): boolean => Math.max(...seats.map((seat) => seat.round)) >= rounds - QUIET_ROUNDS;
      // Somebody who has come back is among the others again before the next falls.
      await until(() => isLate() || seats.every((seat) => seat.round > 0), 'everybody mixes');
      if (isLate()) break;
      const kill = await killOnce(seats, { victim, point, whileDown }, problems);
      if (!kill) break;
      kills.push(kill);
      onKill?.(kill);
    }
    await until(() => seats.every((seat) => seat.finished), 'everybody finishes');
    problems.push(...(await sumProblems(seats, rounds)));
  } catch (error) {
    problems.push(`${error instanceof Error ? error.message : error}; rounds ${seats.map((seat) => seat.round)}`);
  } finally {
    await Promise.all(seats.map(({ child }) => stop(child)));
  }
  return { kills, problems };
}

function settingsOf(seed: string, rounds: number): RunSettings {
  const parsed = parseSettings({
    seed,
    rounds,
    codec: 'f32',
    maxNorm: 0,
    minPeers: PEERS,
    latecomers: 'keep', // what another's adapter replaces would leave the sums
    closingRounds: 2,
    roundDeadlineMs: 3000,
    retryMs: 300,
    announceMs: 500,
    rejoinMs: 1500,
    maxOpenRounds: 64,
  });
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.settings;
}

function createSeat(place: number, root: string, settings: RunSettings): Seat {
  const folder = join(root, `peer-${place}`);
  mkdirSync(folder, { recursive: true });
  const start = { folder, place, peers: PEERS, size: SIZE, settings, trainMs: TRAIN_MS };
  return {
    start,
    child: spawn(),
    addresses: [],
    saved: { round: 0, exchanged: -1, boot: 0 },
    round: 0,
    mixedAt: 0,
    finished: false,
    abandoned: 0,
    adapter: null,
    ended: null,
  };
}

function spawn(): ChildProcess {
  return fork(fileURLToPath(new URL('./peer.js', import.meta.url)), [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

/** Starts a life and waits until it listens. */
async function live(seat: Seat, bootstrap: readonly string[]): Promise<void> {
  const { child } = seat;
  let isReady = false;
  seat.ended = null;
  child.on('exit', (code, signal) => {
    seat.ended = signal ?? `exit ${code}`;
  });
  child.on('message', (report: Report) => {
    if (report.type === 'ready') {
      seat.addresses = report.addresses;
      isReady = true;
    } else if (report.type === 'saved') seat.saved = report;
    else if (report.type === 'abandoned') seat.abandoned += 1;
    else if (report.type === 'finished') seat.finished = true;
    else if (report.type === 'adapter') seat.adapter = report.adapter;
    else {
      seat.round = report.round;
      if (report.mixed > 0) seat.mixedAt = performance.now();
    }
  });
  // Where it was before, so that the others find it again.
  const port = Number(/\/tcp\/(\d+)/.exec(seat.addresses[0] ?? '')?.[1] ?? 0);
  order(child, { type: 'start', start: { ...seat.start, port, bootstrap } });
  await until(() => isReady || seat.ended !== null, 'a peer starts');
  if (!isReady) throw new Error(`peer ${seat.start.place} did not come back: ${seat.ended}`);
}

/** Arms the victim, waits for its death, looks at what it left, and brings it back. Null where it finished instead. */
async function killOnce(
  seats: readonly Seat[],
  { victim, point, whileDown }: Pick<Kill, 'victim' | 'point'> & { whileDown: ((folder: string) => void) | undefined },
  problems: string[],
): Promise<Kill | null> {
  const seat = seats[victim]!;
  const wrong = (what: string): void => {
    problems.push(`peer ${victim}, killed when ${point}: ${what}`);
  };
  order(seat.child, { type: 'arm', point });
  await until(() => seat.ended !== null || seat.finished, `peer ${victim} is killed when ${point}`);
  if (seat.ended === null) return null;
  if (seat.ended !== 'SIGKILL') wrong(`ended by ${seat.ended}`);
  const killedAt = performance.now();
  const left = snapshotIn(seat.start.folder);
  if (!left) wrong('its snapshot is torn');
  else if (left.round < seat.saved.round || left.exchanged < seat.saved.exchanged || left.boot < seat.saved.boot)
    wrong(`round ${seat.saved.round} was saved, ${left.round} is left`);
  whileDown?.(seat.start.folder);
  seat.child = spawn();
  seat.mixedAt = 0;
  await live(seat, seats[(victim + 1) % PEERS]!.addresses);
  await until(() => seat.mixedAt > 0 || seat.finished, `peer ${victim} mixes again`);
  const restartMs = seat.mixedAt - killedAt;
  if (restartMs > RESTART_DEADLINE_MS) wrong(`mixed again after ${Math.round(restartMs)} ms`);
  return { point, victim, restartMs };
}

function snapshotIn(folder: string): Snapshot | null {
  const path = join(folder, 'snapshot.bin');
  return existsSync(path) ? decodeSnapshot(readFileSync(path), 'f32', sha256) : null;
}

/** Every training adds 1 to the numbers of its peer and mixing only moves it about, so the sums over peers are whole. */
async function sumProblems(seats: readonly Seat[], rounds: number): Promise<string[]> {
  for (const { child } of seats) order(child, { type: 'tell' });
  await until(() => seats.every((seat) => seat.adapter !== null), 'everybody tells its adapter');
  const abandoned = seats.reduce((sum, seat) => sum + seat.abandoned, 0);
  const problems = abandoned > 0 ? [`${abandoned} exchanges were given up`] : [];
  for (let i = 0; i < SIZE; i++) {
    const sum = seats.reduce((total, { adapter }) => total + adapter![i]!, 0);
    const isWhole = Math.abs(sum - Math.round(sum)) < 1e-3 && sum > 0.5 && sum < rounds + 0.5;
    if (!isWhole) return [...problems, `number ${i} sums to ${sum}: something was lost, or mixed in twice`];
  }
  return problems;
}

function order(child: ChildProcess, message: Order): void {
  if (child.connected) child.send(message);
}

/** Ends a process by its own id, if it has not ended. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  order(child, { type: 'stop' });
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
  await ended;
  clearTimeout(timer);
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`waited ${WAIT_MS / 1000} s in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
