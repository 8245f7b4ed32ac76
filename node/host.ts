/**
 * @file The one door to libp2p: a host with TCP, noise and yamux; direct streams for frames, gossipsub for what everybody
 * needs. Everything that comes in has a limit and a deadline.
 */
import './polyfill.ts';
import { type GossipSub, type GossipSubComponents, gossipsub } from '@chainsafe/libp2p-gossipsub';
import { createTopicScoreParams } from '@chainsafe/libp2p-gossipsub/score';
import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import {
  generateKeyPair,
  generateKeyPairFromSeed,
  privateKeyFromProtobuf,
  privateKeyToProtobuf,
} from '@libp2p/crypto/keys';
import { identify } from '@libp2p/identify';
import {
  type Connection,
  type IncomingStreamData,
  type Libp2p,
  type PrivateKey,
  type Stream,
  TopicValidatorResult,
} from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import { tcp } from '@libp2p/tcp';
import { multiaddr } from '@multiformats/multiaddr';
import * as lengthPrefixed from 'it-length-prefixed';
import { pipe } from 'it-pipe';
import { createLibp2p } from 'libp2p';
import { PROTOCOL_VERSION } from '../protocol/frame.ts';
import { codeOf, messageOf, UserError } from './errors.ts';
import { type Channel, createLine, type Line } from './line.ts';
import { race } from './race.ts';

export interface HostOptions {
  /** An Ed25519 key as `generateKey` gives it. */
  readonly key: Uint8Array;
  /** Multiaddresses such as /ip4/0.0.0.0/tcp/4001; port 0 takes a free one. */
  readonly listen: readonly string[];
  readonly runId: string;
  /** Frames longer than this are cut off. */
  readonly maxFrameBytes: number;
  /** The run's settings, served to whoever holds the invite. */
  readonly describeRun: () => string;
  readonly onFrame: (from: string, bytes: Uint8Array) => void;
  readonly onOversized: (from: string) => void;
  readonly onPeer: (id: string, up: boolean) => void;
  /** Whether a published message is well formed; a bad one costs its sender. */
  readonly validate: (from: string, bytes: Uint8Array) => boolean;
}

export interface Host {
  readonly id: string;
  /** Where it can be reached, with its id. */
  addresses(): string[];
  isConnected(id: string): boolean;
  /** Connects; resolves to the id reached. Throws a UserError where nobody answers. */
  dial(addresses: readonly string[], signal?: AbortSignal): Promise<string>;
  /** Sends a frame, after those before it; false where it did not leave whole. */
  send(to: string, bytes: Uint8Array): Promise<boolean>;
  publish(bytes: Uint8Array): Promise<void>;
  /** Closes the connection and takes no more from this peer. */
  ban(id: string): Promise<void>;
  stop(): Promise<void>;
}

const SEND_DEADLINE_MS = 30_000;
const DIAL_DEADLINE_MS = 10_000;
const STOP_DEADLINE_MS = 3_000;
const MAX_RUN_BYTES = 64 * 1024;
const MAX_PUBLISHED_BYTES = 4096;
const MAX_INBOUND_STREAMS = 32;
const MAX_OUTBOUND_STREAMS = 256;
/** How often gossipsub lets scores decay. */
const SCORE_TICK_MS = 1000;
const REJECT_HALF_LIFE_MS = 10 * 60_000;

const frameProtocol = (runId: string): string => `/lorikeet/${PROTOCOL_VERSION}/${runId}/frame`;
const runProtocol = (runId: string): string => `/lorikeet/${PROTOCOL_VERSION}/${runId}/run`;
const topicOf = (runId: string): string => `lorikeet/${PROTOCOL_VERSION}/${runId}`;

/** A new Ed25519 key; the same for the same 32 bytes of seed, where they are given (for demonstrations only). */
export async function generateKey(seed?: Uint8Array): Promise<Uint8Array> {
  return privateKeyToProtobuf(await (seed ? generateKeyPairFromSeed('Ed25519', seed) : generateKeyPair('Ed25519')));
}

/** The peer id of a key; null where the bytes are no key. */
export function idOfKey(key: Uint8Array): string | null {
  try {
    return peerIdFromPrivateKey(privateKeyFromProtobuf(key)).toString();
  } catch {
    return null;
  }
}

/** Whether there can be such a peer: the id of an Ed25519 key, and addresses that can be read and are of nobody else. */
export function isPlace(id: string, addresses: readonly string[]): boolean {
  try {
    if (peerIdFromString(id).type !== 'Ed25519') return false;
    return addresses.every((address) => address !== '' && [null, id].includes(multiaddr(address).getPeerId()));
  } catch {
    return false;
  }
}

/** Starts listening. Throws a UserError where an address cannot be had. */
export async function createHost(options: HostOptions): Promise<Host> {
  const { runId } = options;
  const topic = topicOf(runId);
  const node = await startNode(options, privateKeyFromProtobuf(options.key));
  const banned = new Set<string>();
  const lines = new Map<string, Line>();
  const stopping = new AbortController();
  const pubsub = node.services.pubsub;
  const isConnected = (id: string): boolean => node.getConnections(peerIdFromString(id)).length > 0;

  node.addEventListener('peer:connect', ({ detail }) => {
    if (banned.has(detail.toString())) node.hangUp(detail).catch(() => {});
    else options.onPeer(detail.toString(), true);
  });
  node.addEventListener('peer:disconnect', ({ detail }) => {
    lines.get(detail.toString())?.end();
    options.onPeer(detail.toString(), false);
  });
  pubsub.topicValidators.set(topic, (_source, message) => {
    if (message.type !== 'signed' || message.data.length > MAX_PUBLISHED_BYTES) return TopicValidatorResult.Reject;
    return options.validate(message.from.toString(), message.data)
      ? TopicValidatorResult.Accept
      : TopicValidatorResult.Reject;
  });
  pubsub.addEventListener('message', ({ detail }) => {
    const from = detail.type === 'signed' ? detail.from.toString() : '';
    if (from !== '' && from !== node.peerId.toString() && !banned.has(from)) options.onFrame(from, detail.data);
  });
  pubsub.subscribe(topic);

  await node.handle(
    frameProtocol(runId),
    (incoming) => {
      receiveFrames(incoming, options, banned).catch(() => {});
    },
    { maxInboundStreams: MAX_INBOUND_STREAMS, maxOutboundStreams: MAX_OUTBOUND_STREAMS },
  );
  await node.handle(runProtocol(runId), ({ stream }) => {
    pipe([new TextEncoder().encode(options.describeRun())], (source) => lengthPrefixed.encode(source), stream).catch(
      (error) => stream.abort(error),
    );
  });

  return {
    id: node.peerId.toString(),
    addresses: () => node.getMultiaddrs().map(String),
    isConnected,
    dial: async (addresses, signal) => {
      if (addresses.some((a) => banned.has(a.split('/p2p/')[1] ?? ''))) throw new Error('banned');
      const connected = addresses.map(idIn).find((id) => id !== null && isConnected(id));
      if (connected) return connected;
      const both = AbortSignal.any(signal ? [signal, stopping.signal] : [stopping.signal]);
      const connection = await raceTo(node, addresses, both, async (found) => found).catch((error) => {
        throw new UserError('unreachable', `nobody answers at ${reasonsOf(addresses, error)}`);
      });
      return connection.remotePeer.toString();
    },
    send: async (to, bytes) => {
      if (banned.has(to) || bytes.length > options.maxFrameBytes) return false;
      const line =
        lines.get(to) ??
        createLine({
          open: async () => {
            const id = peerIdFromString(to);
            const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(DIAL_DEADLINE_MS)]);
            const stream = await node.dialProtocol(id, frameProtocol(runId), { signal });
            return channelOf(stream, options.maxFrameBytes);
          },
          deadlineMs: SEND_DEADLINE_MS,
          onEnd: () => lines.delete(to),
        });
      lines.set(to, line);
      return line.send(bytes);
    },
    publish: async (bytes) => {
      if (bytes.length > MAX_PUBLISHED_BYTES) throw new Error(`${bytes.length} bytes are too many to publish`);
      await pubsub.publish(topic, bytes);
    },
    ban: async (id) => {
      banned.add(id);
      await node.hangUp(peerIdFromString(id)).catch(() => {});
    },
    stop: async () => {
      stopping.abort();
      for (const line of [...lines.values()]) line.end();
      await Promise.race([node.stop(), new Promise((resolve) => setTimeout(resolve, STOP_DEADLINE_MS).unref())]);
    },
  };
}

/** Asks whoever an invite names for the run's settings. Throws a UserError where nobody answers or the run is another. */
export async function fetchRun(options: {
  key: Uint8Array;
  addresses: readonly string[];
  runId: string;
}): Promise<string> {
  const node = await createLibp2p({
    privateKey: privateKeyFromProtobuf(options.key),
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  });
  try {
    return await raceTo(node, options.addresses, undefined, (connection, signal) =>
      askForRun(connection, options.runId, signal),
    );
  } catch (error) {
    // Who answered, and then said something else, is the one to name.
    const errors = error instanceof AggregateError ? error.errors : [error];
    const telling = errors.find((e) => e instanceof UserError);
    if (telling) throw telling;
    const reasons = reasonsOf(options.addresses, error);
    throw new UserError(
      'unreachable',
      `invite: nobody answers at ${reasons}; is the peer running, and the address right?`,
    );
  } finally {
    await node.stop();
  }
}

/** Why nobody answers at these addresses. */
function reasonsOf(addresses: readonly string[], error: unknown): string {
  const errors = error instanceof AggregateError ? error.errors : [error];
  return addresses.map((address, i) => `${address} (${reasonOf(errors[i] ?? errors[0])})`).join(', ');
}

/** What went wrong with a dial, in few words. */
function reasonOf(error: unknown): string {
  const name = (error as Error | null)?.name;
  return name === 'TimeoutError' || name === 'AbortError' ? 'no answer in time' : messageOf(error).split('\n')[0]!;
}

async function askForRun(connection: Connection, runId: string, signal: AbortSignal): Promise<string> {
  const stream = await connection.newStream(runProtocol(runId), { signal }).catch((error) => {
    signal.throwIfAborted();
    throw new UserError(
      'incompatible',
      `invite: ${connection.remotePeer} answers, but not for run ${runId} (${messageOf(error).split('\n')[0]}); ask for a fresh invite`,
    );
  });
  signal.addEventListener('abort', () => stream.abort(new Error('deadline')), { once: true });
  try {
    for await (const message of lengthPrefixed.decode(stream.source, { maxDataLength: MAX_RUN_BYTES })) {
      return new TextDecoder().decode(message.subarray());
    }
  } catch {
    // cut off or too slow: said below
  }
  throw new UserError(
    'unreachable',
    'invite: the peer did not describe its run in time; try again, or ask for a fresh invite',
  );
}

/** The id an address ends with, if any. */
function idIn(address: string): string | null {
  return multiaddr(address).getPeerId();
}

/**
 * Connects by whichever address gets there first, and does what is wanted with that connection; loopback comes last, since on
 * another machine it leads to somebody else. Throws an AggregateError with a reason for each address, in their order.
 */
async function raceTo<T>(
  node: Pick<Libp2p, 'dial'>,
  addresses: readonly string[],
  signal: AbortSignal | undefined,
  use: (connection: Connection, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const isLoopback = (address: string): boolean => /^\/(ip4\/127\.|ip6\/::1\/)/.test(address);
  const order = [...addresses.keys()].sort(
    (a, b) => Number(isLoopback(addresses[a]!)) - Number(isLoopback(addresses[b]!)),
  );
  const attempts = order.map((i) => async (own: AbortSignal): Promise<T> => {
    const [address, id] = [multiaddr(addresses[i]!), idIn(addresses[i]!)];
    // Without its id, or libp2p would put all addresses of a peer into one dial, one after the other.
    const connection = await node.dial(id === null ? address : address.decapsulate(`/p2p/${id}`), { signal: own });
    if (id !== null && connection.remotePeer.toString() !== id) {
      await connection.close().catch(() => {});
      throw new Error(`${connection.remotePeer} answers there`);
    }
    return use(connection, own);
  });
  return race(attempts, { deadlineMs: DIAL_DEADLINE_MS, ...(signal ? { signal } : {}) }).catch((error) => {
    if (!(error instanceof AggregateError)) throw error;
    throw new AggregateError(
      addresses.map((_, i) => error.errors[order.indexOf(i)]),
      error.message,
    );
  });
}

/** Frames out over a stream, each with its length before it. */
function channelOf(stream: Stream, maxDataLength: number): Channel {
  return {
    carry: (frames) => pipe(frames, (source) => lengthPrefixed.encode(source, { maxDataLength }), stream.sink),
    abort: (error) => stream.abort(error),
  };
}

/** Takes in frame after frame; one that is begun must be whole in time. */
async function receiveFrames(
  { stream, connection }: IncomingStreamData,
  options: HostOptions,
  banned: ReadonlySet<string>,
): Promise<void> {
  const from = connection.remotePeer.toString();
  let timer: NodeJS.Timeout | undefined;
  const expect = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => stream.abort(new Error('deadline')), SEND_DEADLINE_MS);
  };
  const limits = { maxDataLength: options.maxFrameBytes, onLength: expect };
  try {
    for await (const message of lengthPrefixed.decode(stream.source, limits)) {
      clearTimeout(timer);
      if (banned.has(from)) throw new Error('banned');
      options.onFrame(from, message.subarray());
    }
    await stream.close();
  } catch (error) {
    if ((error as Error).name === 'InvalidDataLengthError') options.onOversized(from);
    stream.abort(error as Error);
  } finally {
    clearTimeout(timer);
  }
}

async function startNode(options: HostOptions, privateKey: PrivateKey) {
  const topic = topicOf(options.runId);
  const pubsub = gossipsub({
    allowedTopics: [topic],
    decodeRpcLimits: {
      maxSubscriptions: 16,
      maxMessages: 256,
      maxIhaveMessageIDs: 1024,
      maxIwantMessageIDs: 1024,
      maxIdontwantMessageIDs: 1024,
      maxControlMessages: 256,
      maxPeerInfos: 16,
    },
    maxInboundDataLength: 256 * 1024,
    maxOutboundBufferSize: 4 * 1024 * 1024,
    globalSignaturePolicy: 'StrictSign',
    allowPublishToZeroTopicPeers: true,
    fallbackToFloodsub: false,
    emitSelf: false,
    scoreParams: {
      // Many peers share one address: a lab, a server, a household, containers behind a bridge. Keys cost nothing, so an
      // address tells no liar from them.
      IPColocationFactorWeight: 0,
      topics: {
        [topic]: createTopicScoreParams({
          topicWeight: 1,
          meshMessageDeliveriesWeight: 0,
          meshFailurePenaltyWeight: 0,
          invalidMessageDeliveriesWeight: -20,
          invalidMessageDeliveriesDecay: 0.5 ** (SCORE_TICK_MS / REJECT_HALF_LIFE_MS),
        }),
      },
    },
  }) as unknown as (components: GossipSubComponents) => GossipSub;
  try {
    return await createLibp2p({
      privateKey,
      addresses: { listen: [...options.listen] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionManager: { inboundConnectionThreshold: 100, maxIncomingPendingConnections: 100, reconnectRetries: 0 },
      services: { identify: identify(), pubsub },
    });
  } catch (error) {
    if ((error as Error).name !== 'UnsupportedListenAddressesError' && codeOf(error) !== 'EADDRINUSE') throw error;
    throw new UserError(
      'usage',
      `${options.listen.join(', ')}: cannot listen there (in use, or no address of this machine); choose another --port or --host`,
    );
  }
}
