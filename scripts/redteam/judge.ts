/** @file One attack against a swarm: before, under and after it, and whether what must hold did. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseInvite } from '../../node/invite.ts';
import type { Example } from '../../node/texts/data.ts';
import type { Refusal } from '../../protocol/frame.ts';
import { type Attack, type Done, PLACES, type Target } from './attack.ts';
import type { Attacker } from './attacker.ts';
import { memoryIn, type Rounds, roundsIn, strayedIn } from './measure.ts';
import type { Place } from './places.ts';
import { addressOf, type Honest, type Swarm, startNewcomer, stateOf, stopOne } from './swarm.ts';

export interface Outcome {
  readonly name: string;
  readonly did: string;
  /** How long it took in all. */
  readonly seconds?: number;
  readonly held: boolean;
  /** What did not hold, in words; empty: all did. */
  readonly problems: readonly string[];
  readonly rounds?: { readonly before: Rounds; readonly under: Rounds; readonly after: Rounds };
  /** Of the honest, the one that grew most (MB). */
  readonly memory?: { readonly before: number; readonly more: number; readonly back: number };
  readonly refused?: Partial<Record<Refusal, number>>;
  /** From the first blow to the first refusal of it (ms). */
  readonly refusedMs?: number | null;
  readonly newcomerMs?: number | null;
  /** What else was measured, in words. */
  readonly more?: string;
  /** Whether that it does not hold is what is to be expected, and documented. */
  readonly isDocumented?: boolean;
}

/** How long is looked at what (ms). */
export interface Pace {
  readonly beforeMs: number;
  readonly underMs: number;
  /** The same, where it takes rounds, and where it is over as soon as somebody is refused. */
  readonly longMs: number;
  readonly refusedMs: number;
  readonly afterMs: number;
  /** Whether times are judged; else only that everybody goes on, and that what is refused is. */
  readonly isTimed: boolean;
}

export const FULL: Pace = {
  beforeMs: 10_000,
  underMs: 12_000,
  longMs: 36_000,
  refusedMs: 12_000,
  afterMs: 5000,
  isTimed: true,
};
export const SHORT: Pace = { beforeMs: 100, underMs: 600, longMs: 600, refusedMs: 250, afterMs: 100, isTimed: false };

/** Memory is given a minute to come back. */
const BACK_MS = 60_000;
/** How long the honest have to go on. */
const GO_ON_MS = 40_000;
/** Where times are not judged, the machine may be as busy as it likes (ms). */
const UNTIMED_MS = 120_000;

export interface Scene {
  readonly swarm: Swarm;
  readonly newcomer: { readonly place: Place; readonly texts: readonly Example[] };
  readonly attacker: Attacker;
  /** Where it is. */
  readonly host: string;
  readonly decoys: readonly string[];
  /** A folder for this attack. */
  readonly folder: string;
  readonly pace: Pace;
  readonly signal: AbortSignal;
}

/** Carries an attack out and judges it. */
export async function judge(name: string, attack: Attack, scene: Scene): Promise<Outcome> {
  const { swarm, attacker, pace, signal } = scene;
  const { peers } = swarm;
  const { bars } = attack;
  const began = performance.now();
  await sleep(pace.beforeMs, undefined, { signal });
  const before = roundsIn(peers, began, performance.now());
  const refusedBefore = sumRefused(peers);
  for (const peer of peers) peer.refusedAt.clear();
  let newcomer: Honest | null = null;
  try {
    await attacker.start(name, targetOf(scene, before.p50 ?? 100));
    const from = performance.now();
    const { codes } = bars;
    const wantsNewcomer = bars.newcomerMs !== undefined && (pace.isTimed || attack.isOfNewcomers);
    const comeIn = (): Honest => startNewcomer(swarm, { folder: join(scene.folder, 'newcomer'), ...scene.newcomer });
    if (wantsNewcomer && !pace.isTimed) newcomer = comeIn();
    await sleep(attack.isLong ? pace.longMs : codes ? pace.refusedMs : pace.underMs, undefined, { signal });
    const isRefused = (): boolean => !codes || firstRefusal(peers, codes) !== null;
    await until(isRefused, pace.isTimed ? (bars.refusedMs ?? 0) - pace.underMs : UNTIMED_MS, signal);
    const to = performance.now();
    if (wantsNewcomer) {
      newcomer ??= comeIn();
      await until(
        () => mixedAt(newcomer!) !== null || newcomer!.ended !== null,
        (pace.isTimed ? 4 : 0.4) * bars.newcomerMs!,
        signal,
      );
    }
    const cameIn = newcomer && mixedAt(newcomer);
    const newcomerMs = newcomer && cameIn !== null ? cameIn - newcomer.startedAt : null;
    const underEnd = performance.now();
    const done = await attacker.stop();
    const adopted = newcomer && /with the adapter of (\S+)/.exec(newcomer.notes)?.[1];
    if (newcomer) await stopOne(newcomer);
    const stopped = performance.now();
    await sleep(pace.afterMs, undefined, { signal });
    const goesOn = (): boolean => peers.every(({ rounds }) => rounds.some(({ at }) => at > stopped));
    await until(goesOn, pace.isTimed ? GO_ON_MS : UNTIMED_MS, signal);
    const after = roundsIn(peers, stopped, performance.now());
    const memory = await settle(scene, bars.backMb, { began, from, underEnd });
    const first = codes ? firstRefusal(peers, codes) : null;
    const whose = (id: string | null | undefined): string =>
      !id ? 'nobody' : peers.some((peer) => peer.id === id) ? 'an honest peer' : 'an attacker';
    const outcome = {
      name,
      did: done.text,
      rounds: { before, under: roundsIn(peers, from, to), after },
      memory,
      refused: difference(sumRefused(peers), refusedBefore),
      ...(codes ? { refusedMs: first === null ? null : Math.max(0, first - from) } : {}),
      ...(wantsNewcomer ? { newcomerMs } : {}),
      ...(wantsNewcomer ? { more: `it went on with the adapter of ${whose(adopted)}` } : {}),
    };
    const problems = [
      ...peers.flatMap(({ ended }, i) => (ended === null ? [] : [`peer ${i + 1} ended (${ended})`])),
      ...(goesOn() ? [] : ['the honest did not go on afterwards']),
      ...(strayedIn(peers, from) > 0 ? [`somebody went ${strayedIn(peers, from)} rounds beyond the others`] : []),
      ...(whose(adopted) === 'an attacker' ? ["a newcomer went on with an attacker's adapter"] : []),
      ...barred(attack, outcome, done, pace),
    ];
    return { ...outcome, held: problems.length === 0, problems };
  } finally {
    if (newcomer) await stopOne(newcomer);
  }
}

/** Which bars are not met. */
function barred(
  { bars }: Attack,
  { rounds, memory, refusedMs, newcomerMs }: Pick<Outcome, 'rounds' | 'memory' | 'refusedMs' | 'newcomerMs'>,
  { dialled, letIn = 0 }: Done,
  { isTimed }: Pace,
): string[] {
  const problems: string[] = [];
  const { before, under } = rounds!;
  const over = (what: string, got: number | null, wanted: number | undefined, unit: string): void => {
    if (wanted !== undefined && got !== null && got > wanted)
      problems.push(`${what} ${got.toFixed(unit === ' x' ? 2 : 0)}${unit}, wanted ${wanted}${unit} at most`);
  };
  if (isTimed) {
    const ratio = (which: 'p50' | 'p95'): number => (under[which] ?? Number.POSITIVE_INFINITY) / before[which]!;
    over('median round', ratio('p50'), bars.median, ' x');
    over('p95 of rounds', ratio('p95'), bars.p95, ' x');
    over('memory grew by', memory!.more, bars.moreMb, ' MB');
    over('memory kept', memory!.back, bars.backMb, ' MB');
    over('a newcomer took', newcomerMs ?? null, bars.newcomerMs, ' ms');
    over('refused after', refusedMs ?? null, bars.refusedMs, ' ms');
  }
  if (isTimed && newcomerMs === null) problems.push('a newcomer did not come in');
  if (refusedMs === null) problems.push(`none of ${bars.codes!.join(', ')} was counted`);
  if (letIn > 0) problems.push(`somebody was let in ${letIn} times`);
  over('hosts dialled:', dialled ?? null, bars.dialled, '');
  return problems;
}

/** Memory before, at most, and once it has come back or a minute has passed: of the peer that grew most. */
async function settle(
  { swarm: { peers }, pace, signal }: Scene,
  backMb: number | undefined,
  { began, from, underEnd }: { began: number; from: number; underEnd: number },
): Promise<NonNullable<Outcome['memory']>> {
  const ended = performance.now();
  const before = (peer: Honest): number => memoryIn(peer, began, from);
  const left = (): number =>
    Math.max(...peers.map((p) => memoryIn(p, ended - pace.afterMs, Infinity, 'least') - before(p)));
  if (pace.isTimed && backMb !== undefined) await until(() => left() <= backMb, BACK_MS - pace.afterMs, signal);
  return {
    before: Math.max(...peers.map(before)),
    more: Math.max(...peers.map((peer) => memoryIn(peer, from, underEnd) - before(peer))),
    back: left(),
  };
}

/** When somebody mixed for the first time; null: not yet. */
function mixedAt({ rounds }: Honest): number | null {
  return rounds.find(({ mixed }) => mixed > 0)?.at ?? null;
}

function firstRefusal(peers: readonly Honest[], codes: readonly Refusal[]): number | null {
  const times = peers.flatMap(({ refusedAt }) => codes.flatMap((code) => refusedAt.get(code) ?? []));
  return times.length > 0 ? Math.min(...times) : null;
}

function sumRefused(peers: readonly Honest[]): Partial<Record<Refusal, number>> {
  const sum: Partial<Record<Refusal, number>> = {};
  for (const { refused } of peers)
    for (const [code, count] of Object.entries(refused) as [Refusal, number][]) sum[code] = (sum[code] ?? 0) + count;
  return sum;
}

function difference(
  after: Partial<Record<Refusal, number>>,
  before: Partial<Record<Refusal, number>>,
): Partial<Record<Refusal, number>> {
  const entries = (Object.entries(after) as [Refusal, number][]).map(([code, n]) => [code, n - (before[code] ?? 0)]);
  return Object.fromEntries(entries.filter(([, n]) => Number(n) > 0));
}

/** What the attackers are told. */
export function targetOf({ swarm, host, decoys, pace }: Omit<Scene, 'newcomer'>, roundMs: number): Target {
  const invite = swarm.invite(PLACES);
  return {
    invite,
    expired: swarm.invite(PLACES, Math.floor(Date.now() / 1000) - 3600),
    runId: parseInvite(invite).runId,
    folders: swarm.peers.map(stateOf),
    addresses: swarm.peers.map(addressOf),
    host,
    decoys,
    roundMs,
    isShort: !pace.isTimed,
  };
}

async function until(holds: () => boolean, withinMs: number, signal: AbortSignal): Promise<void> {
  const end = performance.now() + withinMs;
  while (!holds() && performance.now() < end) await sleep(20, undefined, { signal });
}
