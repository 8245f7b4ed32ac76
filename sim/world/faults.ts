/** @file What goes wrong with peers: crashes at any point, full disks, spoilt snapshots, clocks that jump, and peers that lie. */
import { CODECS, type CodecName, decode } from '../../protocol/codec.ts';
import type { RunSettings } from '../../protocol/config.ts';
import { decodeFrame, encodeFrame } from '../../protocol/frame.ts';
import { createPrng, type Prng } from '../../protocol/prng.ts';
import { radiusOf } from '../../protocol/reach.ts';
import { norm } from '../../protocol/vector.ts';
import { ATTACKS, type Sight } from './attacks.ts';
import { quickHash } from './digest.ts';
import type { Scenario } from './run.ts';
import type { Seat, World } from './world.ts';

/** Effects of a step a peer may still carry out before it crashes, and how far a clock jumps (ms), at most. */
const [MAX_FUSE, MAX_JUMP_MS] = [12, 600_000];

/** Lets the faults happen, in an order drawn from the seed; gives how often a peer came back. */
export async function befall(
  world: World,
  { scenario, seed }: { scenario: Scenario; seed: string },
  untilMs: number,
): Promise<number> {
  const prng = createPrng(seed).fork('faults');
  const kinds = (['crashes', 'fullDisks', 'spoiltSnapshots', 'clockJumps', 'freezes'] as const).flatMap((kind) =>
    Array.from({ length: scenario[kind] }, () => kind),
  );
  const pass = (ms: number): Promise<void> => world.settle(Math.min(untilMs, world.now() + ms));
  let restarts = 0;
  for (const kind of prng.shuffle(kinds)) {
    const victim = prng.below(scenario.peers);
    const seat = world.seats[victim]!;
    await pass(prng.below(2 * scenario.downMs + 1));
    if (world.now() >= Math.min(untilMs, scenario.untilMs)) break;
    if (!seat.alive || seat.finished || seat.disk === null) continue;
    if (kind === 'clockJumps') {
      seat.ahead += prng.below(MAX_JUMP_MS);
      continue;
    }
    if (kind === 'freezes') {
      seat.frozenUntil = world.now() + 1 + prng.below(scenario.freezeMs);
      continue;
    }
    if (kind === 'fullDisks') seat.diskFull = true;
    else seat.fuse = prng.below(MAX_FUSE);
    await pass(scenario.downMs);
    if (world.now() >= untilMs) break;
    if (seat.alive) world.kill(victim);
    await pass(scenario.downMs);
    if (world.now() >= untilMs) break;
    const at = prng.random();
    world.restart(victim, kind === 'spoiltSnapshots' ? (bytes) => spoil(bytes, at) : undefined);
    restarts += 1;
  }
  return restarts;
}

/** One bit turned, or the end cut off. */
function spoil(bytes: Uint8Array, at: number): Uint8Array {
  const place = Math.floor(at * bytes.length);
  return place % 2 === 0 ? bytes.subarray(0, place) : bytes.map((b, i) => (i === place ? b ^ 1 : b));
}

/** What a frame of a liar turns into. */
export type Lie = (to: number, bytes: Uint8Array) => readonly Uint8Array[];

interface Liar {
  readonly prng: Prng;
  readonly runId: string;
  readonly settings: RunSettings;
  /** Numbers of an adapter. */
  readonly size: number;
}

/** One entry a kind of liar. */
export const LIARS: Readonly<Record<string, (liar: Liar) => Lie>> = {
  /** Says that it is there and nothing else: what the others do without it is what they can do at best. */
  silent:
    ({ runId, settings, size }) =>
    (_to, bytes) => {
      const decoded = decodeFrame(bytes, { runId, count: size, codec: settings.codec as CodecName }, quickHash);
      return decoded.ok && decoded.frame.message.type === 'announce' ? [bytes] : [];
    },
  /** Half of what it sends is cut, altered or noise. */
  garbage:
    ({ prng }) =>
    (_to, bytes) => {
      if (prng.random() < 0.5) return [bytes];
      const noise = Uint8Array.from(bytes, () => prng.below(256));
      return [prng.random() < 0.2 ? noise : spoil(bytes, prng.random())];
    },
  /** Frames it sent to a peer before come along again. */
  stale: ({ prng }) => {
    const sent = new Map<number, Uint8Array[]>();
    return (to, bytes) => {
      const kept = sent.get(to) ?? [];
      sent.set(to, kept);
      kept[kept.length < 20 ? kept.length : prng.below(20)] = bytes;
      return prng.random() < 0.5 ? [bytes] : [kept[prng.below(kept.length)]!, bytes, kept[prng.below(kept.length)]!];
    };
  },
  /** Says that it has not mixed what it has, and will not: whole and sealed. */
  denial:
    ({ runId, settings, size }) =>
    (_to, bytes) => {
      const decoded = decodeFrame(bytes, { runId, count: size, codec: settings.codec as CodecName }, quickHash);
      if (!decoded.ok || decoded.frame.message.type !== 'ack') return [bytes];
      const { message, sequence } = decoded.frame;
      return [encodeFrame({ sequence, message: { type: 'nack', round: message.round } }, runId, quickHash)];
    },
};

/** All that may be named in a file: what liars do to the protocol, and attacks on what is learned. */
export const LIES: readonly string[] = [...Object.keys(LIARS), ...Object.keys(ATTACKS)];

/** Sends what an attack says in the place of its adapter, whole and sealed, and lets the receiver's radius count. */
function attacker(
  name: string,
  { prng, runId, settings, size }: Liar,
  { seats, of, liars, direction }: { seats: () => readonly Seat[]; of: number; liars: number; direction: Float32Array },
): Lie {
  const { lie } = ATTACKS[name]!;
  if (!lie) return (_to, bytes) => [bytes];
  const codec = settings.codec as CodecName;
  return (to, bytes) => {
    const decoded = decodeFrame(bytes, { runId, count: size, codec }, quickHash);
    if (!decoded.ok || decoded.frame.message.type !== 'data') return [bytes];
    const { message, sequence } = decoded.frame;
    const own = decode(codec, message.payload, size)!;
    const honest = seats()
      .slice(liars)
      .map(({ peer }) => peer.adapter);
    const { adapter, reach, round } = seats()[to]!.peer;
    const sight: Sight = {
      own,
      to,
      target: {
        adapter,
        radius: radiusOf(reach, settings, { round, id: seats()[of]!.peer.id, neighbours: message.degree }),
      },
      honest,
      liars,
      settings,
      prng,
      direction,
    };
    const payload = CODECS[codec].encode(lie(sight));
    const frame = { sequence, message: { ...message, payload, radius: Number.POSITIVE_INFINITY } };
    return [encodeFrame(frame, runId, quickHash)];
  };
}

/** The first so many peers lie. */
export function liarCount({ liars, peers }: Pick<Scenario, 'liars' | 'peers'>): number {
  return Math.round(liars.share * peers);
}

/** What becomes of every frame, where the first peers lie; undefined where none does. */
export function tamperer(
  scenario: Scenario,
  {
    seed,
    runId,
    settings,
    size,
    seats,
  }: Pick<Liar, 'runId' | 'settings' | 'size'> & { seed: string; seats: () => readonly Seat[] },
): ((from: number, to: number, bytes: Uint8Array) => readonly Uint8Array[]) | undefined {
  const prng = createPrng(seed).fork('liars');
  const { kind } = scenario.liars;
  const liars = liarCount(scenario);
  const direction = unitVector(prng.fork('direction'), size);
  const lies = Array.from({ length: liars }, (_, i): Lie => {
    const liar = { prng: prng.fork(i), runId, settings, size };
    return LIARS[kind]?.(liar) ?? attacker(kind, liar, { seats, of: i, liars, direction });
  });
  return lies.length === 0 ? undefined : (from, to, bytes) => lies[from]?.(to, bytes) ?? [bytes];
}

function unitVector(prng: Prng, size: number): Float32Array {
  const drawn = Float32Array.from({ length: size }, prng.normal);
  const length = norm(drawn) || 1;
  return drawn.map((x) => x / length);
}
