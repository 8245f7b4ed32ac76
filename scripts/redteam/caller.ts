/**
 * @file An attacker's own door to libp2p: connections of any id, streams of any protocol, announcements in anybody's name that
 * it holds a key of, carried by whoever it likes. No limit of ours holds here.
 */
import '../../node/polyfill.ts';
import { RPC } from '@chainsafe/libp2p-gossipsub/message';
import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import type { Connection, Stream, StreamMuxer } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { encodeAnnouncement } from '../../node/admission/announcement.ts';
import { peerIdOf, privateKeyOf, seedOfKey, sign } from '../../node/admission/identity.ts';
import { topicOf } from '../../node/host.ts';
import { parseInvite } from '../../node/invite.ts';
import { protectedBy } from '../../node/network/node.ts';
import { type Reply, showProof } from '../../node/questions.ts';
import { sha256 } from '../../node/train/run.ts';
import { encodeFrame, type Message } from '../../protocol/frame.ts';
import type { Target } from './attack.ts';
import type { Name } from './names.ts';

const MESH = '/meshsub/1.1.0';
const MANY = 1_000_000;

export interface Caller {
  readonly id: string;
  readonly connection: Connection;
  /** What was said to its proof; null: nothing. */
  readonly reply: Reply | null;
  isOpen(): boolean;
  /** A stream of a protocol; rejects where it is refused. */
  open(protocol: string): Promise<Stream>;
  /** A stream that never says of which protocol it is. */
  openDumb(): void;
  /** A ping of the connection itself; its number comes back. */
  ping(number: number): void;
  /** Sends what a generator gives, each with its length before it, until the other end has enough. */
  pour(protocol: string, messages: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void>;
  /** Sends rounds of gossip. */
  gossip(all: Iterable<RPC> | AsyncIterable<RPC>): Promise<void>;
  stop(): Promise<void>;
}

/** A muxer of yamux, with what it keeps to itself. */
interface RawMuxer extends StreamMuxer {
  sendPing(number: number): void;
}

/** Connects by a name, and shows its proof where it has one; also strangers have got hold of the network's key. */
export async function call(
  { invite, runId }: Pick<Target, 'invite' | 'runId'>,
  address: string,
  { key, proof }: Name,
  signal: AbortSignal,
): Promise<Caller> {
  let muxer: RawMuxer | null = null;
  const node = await createLibp2p({
    privateKey: privateKeyOf(key),
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [
      (components) => {
        const factory = yamux({ maxOutboundStreams: MANY })(components);
        const createStreamMuxer: typeof factory.createStreamMuxer = (init) => {
          muxer = factory.createStreamMuxer(init) as unknown as RawMuxer;
          return muxer;
        };
        return { protocol: factory.protocol, createStreamMuxer };
      },
    ],
    ...protectedBy(parseInvite(invite).ticket?.network ?? null),
    connectionManager: { reconnectRetries: 0 },
  });
  const stop = async (): Promise<void> => {
    await node.stop();
  };
  try {
    await node.handle(MESH, () => {}); // what the other end gossips is let lie
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(10_000)]);
    const connection = await node.dial(multiaddr(address), { signal: deadline });
    const reply = proof.length > 0 ? await showProof(connection, runId, proof, signal) : null;
    const open = (protocol: string): Promise<Stream> =>
      connection.newStream(protocol, { maxOutboundStreams: MANY, signal: AbortSignal.timeout(20_000) });
    const pour: Caller['pour'] = async (protocol, messages) => {
      const stream = await open(protocol);
      await stream.sink(prefixed(messages));
    };
    return {
      id: node.peerId.toString(),
      connection,
      reply,
      isOpen: () => connection.status === 'open',
      open,
      openDumb: () => {
        muxer?.newStream('');
      },
      ping: (number) => muxer?.sendPing(number),
      pour,
      gossip: (all) => pour(MESH, encoded(all)),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

let sequences = 0;

/** What somebody says to everybody, signed by its key (libp2p's pubsub signature, StrictSign). */
export function announcing({ id, key, proof }: Name, runId: string, message: Message): RPC.Message {
  sequences += 1;
  const seqno = new Uint8Array(8);
  new DataView(seqno.buffer).setBigUint64(0, BigInt(Date.now()) * 1000n + BigInt(sequences));
  const frame = encodeFrame({ message, sequence: sequences }, runId, sha256);
  const unsigned: RPC.Message = {
    from: peerIdOf(id).toMultihash().bytes,
    data: encodeAnnouncement({ proof, bans: [], frame }),
    seqno,
    topic: topicOf(runId),
  };
  const prefix = new TextEncoder().encode('libp2p-pubsub:');
  const signature = sign(seedOfKey(key), Buffer.concat([prefix, RPC.Message.encode(unsigned)]));
  return { ...unsigned, signature };
}

/** A round of gossip. */
export function rpc(some: Partial<RPC>): RPC {
  return { subscriptions: [], messages: [], ...some };
}

async function* encoded(all: Iterable<RPC> | AsyncIterable<RPC>): AsyncGenerator<Uint8Array> {
  for await (const one of all) yield RPC.encode(one);
}

async function* prefixed(messages: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const bytes of messages) yield Buffer.concat([lengthOf(bytes.length), bytes]);
}

/** An unsigned varint. */
export function lengthOf(length: number): Uint8Array {
  const digits: number[] = [];
  for (let rest = length; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.of(...digits, rest);
    digits.push((rest % 128) | 128);
  }
}
