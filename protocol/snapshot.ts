/** @file What a peer must find again after a crash, as bytes: torn, cut or altered ones are refused. */
import { equalBytes, Reader, Writer } from './bytes.ts';
import { CODECS, type CodecName, decode } from './codec.ts';
import type { Exchange } from './exchange.ts';
import { type Acquaintance, HASH_BYTES, type Hash, readAddresses, writeAddresses } from './frame.ts';
import type { Reach } from './reach.ts';

/** `opening`: trained, and waiting for answers before this round's exchange can be opened. */
export type Phase = 'gathering' | 'asking' | 'training' | 'opening' | 'exchanging' | 'finished';
const PHASES: readonly Phase[] = ['gathering', 'training', 'exchanging', 'finished', 'asking', 'opening'];

/** Somebody to dial when coming back, and whether an adapter of it was mixed here. */
export interface Known extends Acquaintance {
  readonly mixed: boolean;
}

/** The durable part of a peer. Vectors are immutable once here, so a snapshot holds references. */
export interface Snapshot {
  readonly runId: string;
  /** How often the peer has started; part of every sequence number. */
  readonly boot: number;
  readonly round: number;
  /** The newest round whose exchange was opened; -1: none. */
  readonly exchanged: number;
  readonly phase: Phase;
  readonly adapter: Float32Array;
  /** What rounding left over, sent next time. */
  readonly residual: Float32Array;
  readonly exchanges: readonly Exchange[];
  /** How far neighbours were of late. */
  readonly reach: Readonly<Pick<Reach, 'moved' | 'distances'>>;
  /** Rounds to come that were called off, by neighbour. */
  readonly declined: readonly (readonly [id: string, round: number])[];
  readonly acquaintances: readonly Known[];
}

const MAGIC = 0x534b4c35; // "5LKS"
/** The first character of a snapshot. */
export const SNAPSHOT_VERSION = String.fromCharCode(MAGIC & 255);

/** Which version wrote a snapshot, by its first bytes; null where they are of none. */
export function versionOf(bytes: Uint8Array): string | null {
  const reader = new Reader(bytes);
  const isOne = (reader.u32() ^ MAGIC) >>> 8 === 0 && !reader.failed;
  return isOne ? String.fromCharCode(bytes[0]!) : null;
}

export function encodeSnapshot(snapshot: Snapshot, hash: Hash): Uint8Array {
  const writer = new Writer().u32(MAGIC).ascii(snapshot.runId).u53(snapshot.boot).u32(snapshot.round);
  writer
    .u32(snapshot.exchanged + 1)
    .u8(PHASES.indexOf(snapshot.phase))
    .u32(snapshot.adapter.length);
  writer.raw(CODECS.f32.encode(snapshot.adapter)).raw(CODECS.f32.encode(snapshot.residual));
  writer.u16(snapshot.exchanges.length);
  for (const { round, payload, edges } of snapshot.exchanges) {
    const ids = Object.keys(edges).sort();
    writer.u32(round).u32(payload.length).raw(payload).u16(ids.length);
    for (const id of ids) {
      const { degree, radius, received, acknowledged, cancelling, isUnsent } = edges[id]!;
      writer
        .ascii(id)
        .u16(degree)
        .f32(radius)
        .u8((received ? 1 : 0) + (acknowledged ? 2 : 0) + (cancelling ? 4 : 0) + (isUnsent ? 8 : 0));
    }
  }
  writer.f32(snapshot.reach.moved).u8(snapshot.reach.distances.length);
  for (const distance of snapshot.reach.distances) writer.f32(distance);
  writer.u16(snapshot.declined.length);
  for (const [id, declined] of snapshot.declined) writer.ascii(id).u32(declined);
  writer.u16(snapshot.acquaintances.length);
  for (const { id, addresses, mixed } of snapshot.acquaintances)
    writeAddresses(writer.ascii(id).u8(mixed ? 1 : 0), addresses);
  const body = writer.finish();
  const out = new Uint8Array(body.length + HASH_BYTES);
  out.set(body);
  out.set(hash(body).subarray(0, HASH_BYTES), body.length);
  return out;
}

/** The snapshot, or null where the bytes are not whole. */
export function decodeSnapshot(bytes: Uint8Array, codec: CodecName, hash: Hash): Snapshot | null {
  if (bytes.length < HASH_BYTES) return null;
  const body = bytes.subarray(0, bytes.length - HASH_BYTES);
  if (!equalBytes(hash(body).subarray(0, HASH_BYTES), bytes.subarray(body.length))) return null;
  const reader = new Reader(body);
  if (reader.u32() !== MAGIC) return null;
  const runId = reader.ascii();
  const [boot, round, exchanged, phase, count] = [
    reader.u53(),
    reader.u32(),
    reader.u32() - 1,
    PHASES[reader.u8()],
    reader.u32(),
  ];
  const adapter = decode('f32', reader.raw(4 * count), count);
  const residual = decode('f32', reader.raw(4 * count), count);
  if (!phase || !adapter || !residual) return null;
  const exchanges: Exchange[] = [];
  for (let left = reader.u16(); left > 0; left--) {
    const exchangeRound = reader.u32();
    const payload = reader.raw(reader.u32()).slice();
    if (CODECS[codec].norm(payload, count) === null) return null;
    const edges: Exchange['edges'] = Object.create(null); // for any names
    for (let more = reader.u16(); more > 0; more--) {
      const [id, degree, radius, flags] = [reader.ascii(), reader.u16(), reader.f32(), reader.u8()];
      edges[id] = {
        degree,
        radius,
        received: (flags & 1) > 0,
        acknowledged: (flags & 2) > 0,
        cancelling: (flags & 4) > 0,
        isUnsent: (flags & 8) > 0,
      };
    }
    exchanges.push({ round: exchangeRound, payload, edges });
  }
  const moved = reader.f32();
  const distances = Array.from({ length: reader.u8() }, () => reader.f32());
  const declined: [string, number][] = [];
  for (let left = reader.u16(); left > 0; left--) declined.push([reader.ascii(), reader.u32()]);
  const acquaintances: Known[] = [];
  for (let left = reader.u16(); left > 0; left--)
    acquaintances.push({ id: reader.ascii(), mixed: reader.u8() > 0, addresses: readAddresses(reader) });
  if (!reader.done()) return null;
  return {
    runId,
    boot,
    round,
    exchanged,
    phase,
    adapter,
    residual,
    exchanges,
    reach: { moved, distances },
    declined,
    acquaintances,
  };
}
