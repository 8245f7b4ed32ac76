/**
 * @file Four real processes that mix over loopback while one after the other is killed (-9) and comes back, or stands still
 * for a while (SIGSTOP); what must hold.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { sha256 } from '../../node/train/run.ts';
import { parseSettings, type RunSettings } from '../../protocol/config.ts';
import { createPrng } from '../../protocol/prng.ts';
import { decodeSnapshot, type Snapshot } from '../../protocol/snapshot.ts';
import { endJournal, trainingsBy } from './journal.ts';
import type { Order, Report, Start } from './peer.ts';
import type { PointName } from './points.ts';

const [PEERS, SIZE] = [4, 4000];
/** Rounds at the end in which nobody is killed any more, so that all can finish together. */
const QUIET_ROUNDS = 6;
const WAIT_MS = 240_000;

/** What befalls a peer, one that is drawn unless it is named: a death at a point of a round, or a standstill of so many ms. */
export type Blow =
  | { readonly type: 'kill'; readonly point: PointName; readonly victim?: number }
  | { readonly type: 'freeze'; readonly ms: number };

export interface Struck {
  readonly blow: Blow;
  readonly victim: number;
  /** From the kill, or the end of the standstill, until it has mixed again; null where it had finished by then. */
  readonly backMs: number | null;
}

export interface Outcome {
  readonly struck: readonly Struck[];
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
  open: number;
  /** What it has trained in the lives it has ended, as far as that was saved. */
  trainings: number;
  /** Of a life that ended unasked. */
  ended: string | null;
}

interface ChaosOptions {
  readonly seed: string;
  readonly blows: readonly Blow[];
  readonly rounds: number;
  readonly deadlineMs?: number;
  /** How long a peer trains (100): with longer rounds there are fewer between two blows. */
  readonly trainMs?: number;
  readonly onBlow?: (struck: Struck) => void;
}

/** Swarm after swarm, until every blow has fallen, or one swarm takes none. */
export async function runSwarms(options: ChaosOptions & { folder: (swarm: number) => string }): Promise<Outcome> {
  const struck: Struck[] = [];
  const problems: string[] = [];
  for (let swarm = 0; struck.length < options.blows.length; swarm++) {
    const [folder, seed] = [options.folder(swarm), `${options.seed}-${swarm}`];
    const outcome = await runChaos({ ...options, folder, seed, blows: options.blows.slice(struck.length) });
    struck.push(...outcome.struck);
    problems.push(...outcome.problems.map((problem) => `swarm ${seed}: ${problem}; its files are in ${folder}`));
    if (outcome.struck.length === 0) break;
  }
  return { struck, problems };
}

/** Strikes in turn, until all blows have fallen or the run nears its end; then lets it end and adds up. */
export async function runChaos(
  options: ChaosOptions & {
    readonly folder: string;
    /** Told the state folder of a peer that is down, after it was looked at. */
    readonly whileDown?: (folder: string) => void;
  },
): Promise<Outcome> {
  const { folder, seed, blows, rounds, onBlow, whileDown, deadlineMs = 3000, trainMs = 100 } = options;
  const prng = createPrng(seed).fork('chaos');
  const settings = settingsOf(seed, rounds, deadlineMs);
  const seats: Seat[] = [];
  const struck: Struck[] = [];
  const problems: string[] = [];
  try {
    for (let place = 0; place < PEERS; place++) {
      const seat = createSeat({ place, root: folder, settings, trainMs });
      seats.push(seat); // so that it is stopped whatever happens
      await live(seat, seats[0]!.addresses);
    }
    for (const blow of blows) {
      const drawn = prng.below(PEERS);
      const victim = blow.type === 'kill' ? (blow.victim ?? drawn) : drawn;
      const isLate = (): boolean => Math.max(...seats.map((seat) => seat.round)) >= rounds - QUIET_ROUNDS;
      // Somebody who has come back is among the others again before the next falls.
      await until(() => isLate() || seats.every((seat) => seat.round > 0), 'everybody mixes');
      if (isLate()) break;
      const backMs =
        blow.type === 'freeze'
          ? await freezeOnce(seats[victim]!, blow.ms)
          : await killOnce(seats, { victim, point: blow.point, whileDown }, problems);
      if (backMs === null && blow.type === 'kill') break; // it had finished
      struck.push({ blow, victim, backMs });
      onBlow?.(struck.at(-1)!);
    }
    await until(() => seats.every((seat) => seat.finished), 'everybody finishes');
    problems.push(...(await sumProblems(seats)));
  } catch (error) {
    problems.push(`${error instanceof Error ? error.message : error}; rounds ${seats.map((seat) => seat.round)}`);
  } finally {
    await Promise.all(seats.map(({ child }) => stop(child)));
  }
  return { struck, problems };
}

function settingsOf(seed: string, rounds: number, roundDeadlineMs: number): RunSettings {
  const parsed = parseSettings({
    seed,
    rounds,
    codec: 'f32',
    maxNorm: 0,
    minPeers: PEERS,
    latecomers: 'keep', // what another's adapter replaces would leave the sums
    closingRounds: 2,
    roundDeadlineMs,
    retryMs: 300,
    announceMs: 500,
    rejoinMs: 1500,
    aloneAfterMs: 0,
  });
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.settings;
}

function createSeat(given: Pick<Start, 'place' | 'settings' | 'trainMs'> & { root: string }): Seat {
  const { root, ...rest } = given;
  const folder = join(root, `peer-${given.place}`);
  mkdirSync(folder, { recursive: true });
  const start = { ...rest, folder, peers: PEERS, size: SIZE };
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
    open: 0,
    trainings: 0,
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
    else if (report.type === 'adapter') Object.assign(seat, { adapter: report.adapter, open: report.open });
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
  { victim, point, whileDown }: { victim: number; point: PointName; whileDown: ((folder: string) => void) | undefined },
  problems: string[],
): Promise<number | null> {
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
  seat.trainings += endLife(seat.start.folder);
  whileDown?.(seat.start.folder);
  seat.child = spawn();
  seat.mixedAt = 0;
  await live(seat, seats[(victim + 1) % PEERS]!.addresses);
  await until(() => seat.mixedAt > 0 || seat.finished, `peer ${victim} mixes again`);
  return seat.mixedAt > 0 ? seat.mixedAt - killedAt : 0;
}

/** Lets a process stand still, as one that is stopped, swapped out or asleep; its connections stay open. */
async function freezeOnce(seat: Seat, ms: number): Promise<number | null> {
  seat.child.kill('SIGSTOP');
  await sleep(ms);
  seat.mixedAt = 0;
  const thawedAt = performance.now();
  seat.child.kill('SIGCONT');
  await until(() => seat.mixedAt > 0 || seat.finished || seat.ended !== null, 'a peer that stood still mixes again');
  if (seat.ended !== null) throw new Error(`peer ${seat.start.place} ended by ${seat.ended} after it stood still`);
  return seat.mixedAt > 0 ? seat.mixedAt - thawedAt : null;
}

/** How often the life that has ended had trained by the snapshot it left; the next life has a journal of its own. */
function endLife(folder: string): number {
  const trainings = savedTrainings(folder);
  endJournal(folder);
  return trainings;
}

/** Trainings of this life in the snapshot that is on the disk. */
function savedTrainings(folder: string): number {
  return trainingsBy(folder, Buffer.from(sha256(readFileSync(join(folder, 'snapshot.bin')))).toString('hex'));
}

function snapshotIn(folder: string): Snapshot | null {
  const path = join(folder, 'snapshot.bin');
  return existsSync(path) ? decodeSnapshot(readFileSync(path), 'f32', sha256) : null;
}

/**
 * Every training adds 1 to the numbers of its peer and mixing only moves it about, so the sum over peers of each number is
 * how often its peer has trained.
 */
async function sumProblems(seats: readonly Seat[]): Promise<string[]> {
  await until(() => {
    for (const { child } of seats) order(child, { type: 'tell' });
    return seats.every((seat) => seat.adapter !== null && seat.open === 0);
  }, 'everybody tells its adapter and knows how every exchange has ended');
  const abandoned = seats.reduce((sum, seat) => sum + seat.abandoned, 0);
  const problems = abandoned > 0 ? [`${abandoned} exchanges were given up`] : [];
  const wanted = seats.map((seat) => seat.trainings + savedTrainings(seat.start.folder));
  for (let i = 0; i < SIZE; i++) {
    const sum = seats.reduce((total, { adapter }) => total + adapter![i]!, 0);
    if (Math.abs(sum - wanted[i % PEERS]!) > 1e-3)
      return [
        ...problems,
        `number ${i} sums to ${sum}, not ${wanted[i % PEERS]}: something was lost, or mixed in twice`,
      ];
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
    await sleep(20);
  }
}
