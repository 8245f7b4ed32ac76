/** @file The messages between peers: a fixed header and a body, with every limit checked before anything is allocated. */
import { equalBytes, fromHex, Reader, Writer } from './bytes.ts';
import { CODECS, type CodecName, codecById } from './codec.ts';

export const PROTOCOL_VERSION = 2;
/** Hex digits of a run id: 128 bits of its hash. */
export const RUN_ID_DIGITS = 32;
export const HASH_BYTES = 16;

const MAGIC = 0x4b4c; // "LK"
/** The digest comes first, over everything after it. */
const TYPE_OFFSET = HASH_BYTES + 2 + 1;
export const ROUND_OFFSET = TYPE_OFFSET + 1 + 16;
const LENGTH_OFFSET = ROUND_OFFSET + 4 + 8;
export const HEADER_BYTES = LENGTH_OFFSET + 4;
const NO_DIGEST = new Uint8Array(HASH_BYTES);
const MAX_ADDRESSES = 16;
/** Of one `peers` frame. */
export const MAX_ACQUAINTANCES = 16;
const MAX_ADDRESS_CHARACTERS = 200;
const MAX_ID_CHARACTERS = 100;
const MAX_SMALL_BODY_BYTES = 16 * MAX_ADDRESSES * MAX_ADDRESS_CHARACTERS;

/** A digest of at least HASH_BYTES bytes; native in Node, memoised in a simulator. */
export type Hash = (bytes: Uint8Array) => Uint8Array;

/** Before the packed numbers of a `data` frame. */
export const DATA_BYTES = 2 + 4 + 1 + 4;

/** Waiting for others, taking part in rounds, done with them, gone. */
export type MemberState = 'gathering' | 'joined' | 'finished' | 'left';
const MEMBER_STATES: readonly MemberState[] = ['gathering', 'joined', 'finished', 'left'];

/** What a frame says; `round` is the exchange it is about, or for `announce` the sender's own. */
export type Message =
  /** Everybody hears it: the sender is here, at this round, and can be dialled at these addresses. */
  | {
      readonly type: 'announce';
      readonly round: number;
      readonly state: MemberState;
      readonly addresses: readonly string[];
    }
  /** Others the sender is connected to; hearsay, so good for dialling only. */
  | { readonly type: 'peers'; readonly round: number; readonly peers: readonly Acquaintance[] }
  /** The sender's adapter of a round, for those it wants to mix with. */
  | {
      readonly type: 'data';
      readonly round: number;
      readonly degree: number;
      /** How far the sender will move by the receiver's adapter, and it by the sender's: the smaller counts (reach.ts). */
      readonly radius: number;
      readonly codec: CodecName;
      readonly count: number;
      readonly payload: Uint8Array;
    }
  /** The receiver's adapter of that round is mixed in, and saved. */
  | { readonly type: 'ack'; readonly round: number }
  /** There is no such exchange here, and none will be opened: it is over at both ends, or never comes about. */
  | { readonly type: 'nack'; readonly round: number }
  /** The sender has not mixed the receiver's adapter of that round and asks out: `nack` if neither has, `ack` if the receiver has. */
  | { readonly type: 'cancel'; readonly round: number }
  /** A reminder: my adapter of that round waits for your ack. */
  | { readonly type: 'have'; readonly round: number }
  /** A reminder: I wait for your adapter of that round. */
  | { readonly type: 'want'; readonly round: number }
  /** The sender comes late, at its own round: it would like to go on with the receiver's adapter. */
  | { readonly type: 'ask'; readonly round: number }
  /** The answer: the sender's adapter as it is, at its own round. */
  | {
      readonly type: 'adapter';
      readonly round: number;
      readonly codec: CodecName;
      readonly count: number;
      readonly payload: Uint8Array;
    };

/** The message of a type. */
export type Of<T extends Message['type']> = Extract<Message, { type: T }>;

export interface Acquaintance {
  readonly id: string;
  readonly addresses: readonly string[];
}

export interface Frame {
  readonly message: Message;
  /** Rises with every frame of a sender, across restarts. */
  readonly sequence: number;
}

const KINDS: readonly Message['type'][] = [
  'announce',
  'peers',
  'data',
  'ack',
  'nack',
  'have',
  'want',
  'ask',
  'adapter',
  'cancel',
];

/** Why a frame was refused. */
export type Refusal =
  | 'malformed'
  | 'oversized'
  | 'wrong-version'
  | 'wrong-run'
  | 'bad-hash'
  | 'wrong-shape'
  | 'not-finite'
  | 'huge-norm'
  | 'stale-round'
  | 'stale-sequence'
  | 'beyond-the-run'
  | 'inbox-full'
  | 'unasked'
  | 'far-ahead'
  | 'too-many-members'
  /** More than frames: what a network does not let happen. */
  | 'too-fast'
  | 'repeated'
  | 'unknown-protocol'
  | 'silent'
  | 'crowded-address'
  | 'no-slot'
  | 'slow-reader'
  | 'unfit-address'
  /** Who does not belong to a run that is closed (node/admission). */
  | 'not-admitted'
  | 'invite-expired'
  | 'place-taken'
  | 'banned';

export interface FrameLimits {
  readonly runId: string;
  /** Elements of the run's vector. */
  readonly count: number;
  readonly codec: CodecName;
}

/** The largest frame of a run; a stream is cut off beyond it. */
export function maxFrameBytes(limits: FrameLimits): number {
  return HEADER_BYTES + Math.max(MAX_SMALL_BODY_BYTES, DATA_BYTES + CODECS[limits.codec].size(limits.count));
}

export function encodeFrame(frame: Frame, runId: string, hash: Hash): Uint8Array {
  const { message } = frame;
  const writer = new Writer(HEADER_BYTES + bodyBytes(message))
    .raw(NO_DIGEST)
    .u16(MAGIC)
    .u8(PROTOCOL_VERSION)
    .u8(KINDS.indexOf(message.type) + 1)
    .raw(runBytes(runId))
    .u32(message.round)
    .u53(frame.sequence)
    .u32(0);
  writeBody(writer, message);
  writer.u32At(LENGTH_OFFSET, writer.written(HEADER_BYTES).length);
  return writer.rawAt(0, digestOf(writer.written(HASH_BYTES), hash)).finish();
}

function digestOf(sealed: Uint8Array, hash: Hash): Uint8Array {
  const digest = hash(sealed);
  return digest.length === HASH_BYTES ? digest : digest.subarray(0, HASH_BYTES);
}

/** The round in a frame's header, for whoever carries frames without reading them. */
export function frameRound(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(ROUND_OFFSET, true);
}

/** The type in a frame's header; null: there is none of that number. */
export function frameType(bytes: Uint8Array): Message['type'] | null {
  return KINDS[(bytes[TYPE_OFFSET] ?? 0) - 1] ?? null;
}

export type DecodedFrame =
  | { readonly ok: true; readonly frame: Frame }
  | { readonly ok: false; readonly code: Refusal };

/** Reads a frame of this run. Any cut, flipped or random byte gives a refusal, never a throw. */
export function decodeFrame(bytes: Uint8Array, limits: FrameLimits, hash: Hash): DecodedFrame {
  const refuse = (code: Refusal): DecodedFrame => ({ ok: false, code });
  if (bytes.length > maxFrameBytes(limits)) return refuse('oversized');
  const reader = new Reader(bytes);
  const digest = reader.raw(HASH_BYTES);
  if (reader.u16() !== MAGIC) return refuse('malformed');
  if (reader.u8() !== PROTOCOL_VERSION) return refuse(reader.failed ? 'malformed' : 'wrong-version');
  const kind = KINDS[reader.u8() - 1];
  const isOfRun = reader.expect(runBytes(limits.runId));
  const round = reader.u32();
  const sequence = reader.u53();
  const length = reader.u32();
  if (reader.failed || !kind || bytes.length !== HEADER_BYTES + length) return refuse('malformed');
  if (!isOfRun) return refuse('wrong-run');
  if (!equalBytes(digestOf(bytes.subarray(HASH_BYTES), hash), digest)) return refuse('bad-hash');
  const message = decodeBody(kind, round, reader, limits);
  return typeof message === 'string' ? refuse(message) : { ok: true, frame: { message, sequence } };
}

let lastRun: { readonly id: string; readonly bytes: Uint8Array } = { id: '', bytes: new Uint8Array() };

/** A run id's bytes; those asked for last are kept. */
function runBytes(id: string): Uint8Array {
  if (lastRun.id !== id) lastRun = { id, bytes: fromHex(id) };
  return lastRun.bytes;
}

/** Of most bodies; a writer grows where it is more. */
function bodyBytes(message: Message): number {
  if ('payload' in message) return (message.type === 'data' ? DATA_BYTES : 5) + message.payload.length;
  return message.type === 'announce' || message.type === 'peers' ? 128 : 0;
}

function writeBody(writer: Writer, message: Message): void {
  if (message.type === 'announce') {
    writeAddresses(writer.u8(MEMBER_STATES.indexOf(message.state)), message.addresses);
  } else if (message.type === 'peers') {
    const peers = message.peers.slice(0, MAX_ACQUAINTANCES);
    writer.u8(peers.length);
    for (const { id, addresses } of peers) writeAddresses(writer.ascii(id), addresses);
  } else if (message.type === 'data') {
    writer.u16(message.degree).f32(message.radius).u8(CODECS[message.codec].id).u32(message.count).raw(message.payload);
  } else if (message.type === 'adapter') {
    writer.u8(CODECS[message.codec].id).u32(message.count).raw(message.payload);
  }
}

function decodeBody(kind: Message['type'], round: number, reader: Reader, limits: FrameLimits): Message | Refusal {
  switch (kind) {
    case 'announce': {
      const state = MEMBER_STATES[reader.u8()];
      const addresses = readAddresses(reader);
      return state && reader.done() ? { type: 'announce', round, state, addresses } : 'malformed';
    }
    case 'peers': {
      const count = reader.u8();
      if (count > MAX_ACQUAINTANCES) return 'malformed';
      const peers = Array.from({ length: count }, () => ({ id: reader.ascii(), addresses: readAddresses(reader) }));
      const long = peers.some((p) => p.id.length > MAX_ID_CHARACTERS);
      return reader.done() && !long ? { type: 'peers', round, peers } : 'malformed';
    }
    case 'data': {
      const [degree, radius] = [reader.u16(), reader.f32()];
      const vector = readVector(reader, limits);
      if (reader.failed || degree === 0 || !(radius >= 0)) return 'malformed';
      return vector && reader.done() ? { type: 'data', round, degree, radius, ...vector } : 'wrong-shape';
    }
    case 'adapter': {
      const vector = readVector(reader, limits);
      if (reader.failed) return 'malformed';
      return vector && reader.done() ? { type: 'adapter', round, ...vector } : 'wrong-shape';
    }
    case 'ack':
    case 'nack':
    case 'have':
    case 'want':
    case 'ask':
    case 'cancel':
      return reader.done() ? { type: kind, round } : 'malformed';
  }
}

/** A packed vector of the run's codec and length; null where it is of another. */
function readVector(reader: Reader, limits: FrameLimits): Pick<Of<'data'>, 'codec' | 'count' | 'payload'> | null {
  const [codec, count] = [codecById(reader.u8()), reader.u32()];
  if (reader.failed || codec !== limits.codec || count !== limits.count) return null;
  return reader.left() === CODECS[codec].size(count) ? { codec, count, payload: reader.raw(reader.left()) } : null;
}

export function writeAddresses(writer: Writer, addresses: readonly string[]): void {
  const fitting = addresses.filter((a) => a.length <= MAX_ADDRESS_CHARACTERS).slice(0, MAX_ADDRESSES);
  writer.u8(fitting.length);
  for (const address of fitting) writer.ascii(address);
}

export function readAddresses(reader: Reader): string[] {
  const count = reader.u8();
  if (count > MAX_ADDRESSES) reader.failed = true;
  const addresses = Array.from({ length: reader.failed ? 0 : count }, () => reader.ascii());
  if (addresses.some(({ length }) => length > MAX_ADDRESS_CHARACTERS)) reader.failed = true;
  return addresses;
}
