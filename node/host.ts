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
  TopicValidatorResult,
} from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import { tcp } from '@libp2p/tcp';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { PROTOCOL_VERSION, type Refusal } from '../protocol/frame.ts';
import { idIn, portIn, reasonsOf } from './addresses.ts';
import { createDefence, type Defence } from './defence.ts';
import { codeOf, UserError } from './errors.ts';
import { stopWhole } from './leftovers.ts';
import {
  DIAL_DEADLINE_MS,
  GOSSIP_LIMITS,
  MAX_INBOUND_STREAMS,
  MAX_MUXED_STREAMS,
  MAX_OUTBOUND_STREAMS,
  MAX_PUBLISHED_BYTES,
  MAX_QUESTIONS,
  MAX_SLOTS,
  MAX_WINDOW_BYTES,
  PROTOCOL_DEADLINE_MS,
  REJECT_HALF_LIFE_MS,
  SCORE_TICK_MS,
  STOP_DEADLINE_MS,
} from './limits.ts';
import { createLine, type Line } from './line.ts';
import {
  askForCall,
  askForRun,
  callBack,
  callBackProtocol,
  frameProtocol,
  hostOf,
  PING_PROTOCOL,
  runProtocol,
  startProtocol,
  tellingOf,
} from './questions.ts';
import { raceTo } from './race.ts';
import { channelOf, echo, receiveFrames, receiveWhole, say, sendWhole } from './streams.ts';

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
  /** The adapter that the run starts from, served likewise; null: it is a fresh one. */
  readonly start?: Uint8Array | null;
  /** Resolves when the frame is dealt with: no more of that stream is read before. `via`: who has passed it on. */
  readonly onFrame: (from: string, bytes: Uint8Array, via: string) => Promise<void>;
  readonly onOversized: (from: string) => void;
  readonly onPeer: (id: string, up: boolean) => void;
  /** What was not let in, counted under a code. */
  readonly onRefuse: (id: string, code: Refusal) => void;
  /** Whether a published message is well formed; a bad one costs its sender. */
  readonly validate: (from: string, bytes: Uint8Array) => boolean;
}

/** Who asks, whom, about which run. */
interface Asking {
  readonly key: Uint8Array;
  readonly addresses: readonly string[];
  readonly runId: string;
}

export interface Host {
  readonly id: string;
  /** Where it can be reached, with its id. */
  addresses(): string[];
  isConnected(id: string): boolean;
  /** The host a connected peer is seen at; empty where it is not connected. */
  seenAt(id: string): string;
  /** Connects; resolves to the id reached. Throws a UserError where nobody answers. */
  dial(addresses: readonly string[], signal?: AbortSignal): Promise<string>;
  /** Whether a connected peer can connect to this one too; null where it does not say, or is on this machine. */
  isReachableFrom(id: string): Promise<boolean | null>;
  /** Sends a frame, after those before it; false where it did not leave whole. */
  send(to: string, bytes: Uint8Array): Promise<boolean>;
  publish(bytes: Uint8Array): Promise<void>;
  /** Closes the connection and takes no more from this peer. */
  ban(id: string): void;
  stop(): Promise<void>;
}

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
  const stopping = new AbortController();
  let node: Awaited<ReturnType<typeof startNode>> | null = null;
  const defence = createDefence({
    maxFrameBytes: options.maxFrameBytes,
    onRefuse: options.onRefuse,
    connections: () => node?.getConnections() ?? [],
    hangUp: (id) => {
      node?.hangUp(peerIdFromString(id)).catch(() => {});
    },
    signal: stopping.signal,
  });
  try {
    node = await startNode(options, privateKeyFromProtobuf(options.key), defence);
  } catch (error) {
    defence.stop();
    throw error;
  }
  return run(node, options, defence, stopping);
}

async function run(
  node: Awaited<ReturnType<typeof startNode>>,
  options: HostOptions,
  defence: Defence,
  stopping: AbortController,
): Promise<Host> {
  const { runId } = options;
  const topic = topicOf(runId);
  const lines = new Map<string, Line>();
  const pubsub = node.services.pubsub;
  const isConnected = (id: string): boolean => node.getConnections(peerIdFromString(id)).length > 0;

  node.addEventListener('peer:connect', ({ detail }) => {
    if (defence.isBanned(detail.toString())) node.hangUp(detail).catch(() => {});
    else options.onPeer(detail.toString(), true);
  });
  node.addEventListener('peer:disconnect', ({ detail }) => {
    lines.get(detail.toString())?.end();
    defence.gone(detail.toString());
    options.onPeer(detail.toString(), false);
  });
  pubsub.topicValidators.set(topic, (via, message) => {
    if (message.type !== 'signed' || message.data.length > MAX_PUBLISHED_BYTES) return TopicValidatorResult.Reject;
    if (!defence.announcement(message.from.toString(), via.toString())) return TopicValidatorResult.Ignore;
    return options.validate(message.from.toString(), message.data)
      ? TopicValidatorResult.Accept
      : TopicValidatorResult.Reject;
  });
  pubsub.addEventListener('gossipsub:message', ({ detail: { msg, propagationSource } }) => {
    const from = msg.type === 'signed' ? msg.from.toString() : '';
    if (from === '' || from === node.peerId.toString() || defence.isBanned(from)) return;
    options.onFrame(from, msg.data, propagationSource.toString()).catch(() => {});
  });
  pubsub.subscribe(topic);

  await node.handle(
    frameProtocol(runId),
    (incoming) => {
      const from = incoming.connection.remotePeer.toString();
      receiveFrames(incoming.stream, {
        maxFrameBytes: options.maxFrameBytes,
        onFrame: async (bytes) => {
          await defence.frame(from, bytes.length);
          await options.onFrame(from, bytes, from);
        },
        onOversized: () => options.onOversized(from),
        room: defence.roomFor(from),
      }).catch(() => {});
    },
    { maxInboundStreams: MAX_INBOUND_STREAMS, maxOutboundStreams: MAX_OUTBOUND_STREAMS },
  );
  await node.handle(PING_PROTOCOL, ({ stream }) => echo(stream), { maxInboundStreams: MAX_QUESTIONS });
  const answer = (protocol: string, act: (incoming: IncomingStreamData) => Promise<void>): Promise<void> =>
    node.handle(
      protocol,
      (incoming) => {
        if (defence.question(incoming)) act(incoming).catch((error) => incoming.stream.abort(error));
      },
      { maxInboundStreams: MAX_QUESTIONS },
    );
  await answer(runProtocol(runId), ({ stream }) => say(stream, options.describeRun()));
  const called = new WeakSet<Connection>();
  await answer(callBackProtocol(runId), (incoming) => callBack(incoming, called, answers, stopping.signal));
  const { start } = options;
  if (start) await answer(startProtocol(runId), ({ stream }) => sendWhole(stream, start));

  return {
    id: node.peerId.toString(),
    addresses: () => node.getMultiaddrs().map(String),
    isConnected,
    seenAt: (id) => node.getConnections(peerIdFromString(id)).map(hostOf)[0] ?? '',
    dial: async (addresses, signal) => {
      const own = node.peerId.toString();
      const others = addresses.filter((address) => idIn(address) !== own && !defence.isBanned(idIn(address) ?? ''));
      if (others.length === 0)
        throw new UserError('unreachable', 'nobody is left to call: this peer itself was named, or who was refused');
      const connected = others.map(idIn).find((id) => id !== null && isConnected(id));
      if (connected) return connected;
      const both = AbortSignal.any(signal ? [signal, stopping.signal] : [stopping.signal]);
      const connection = await reach(node, others, both, async (found) => found).catch((error) => {
        throw new UserError('unreachable', `nobody answers at ${reasonsOf(others, error)}`);
      });
      return connection.remotePeer.toString();
    },
    isReachableFrom: (id) => {
      const connection = node.getConnections(peerIdFromString(id))[0];
      const own = node.getMultiaddrs();
      if (!connection || own.some((a) => a.nodeAddress().address === hostOf(connection))) return Promise.resolve(null);
      return askForCall(connection, runId, portIn(String(own[0] ?? '')), stopping.signal);
    },
    send: async (to, bytes) => {
      if (defence.isBanned(to) || bytes.length > options.maxFrameBytes) return false;
      const line =
        lines.get(to) ??
        createLine({
          open: async () => {
            const id = peerIdFromString(to);
            const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(DIAL_DEADLINE_MS)]);
            const stream = await node.dialProtocol(id, frameProtocol(runId), { signal });
            return channelOf(stream, options.maxFrameBytes);
          },
          ...defence.lineTo(to),
          onEnd: () => lines.delete(to),
        });
      lines.set(to, line);
      return line.send(bytes);
    },
    publish: async (bytes) => {
      if (bytes.length > MAX_PUBLISHED_BYTES) throw new Error(`${bytes.length} bytes are too many to publish`);
      await pubsub.publish(topic, bytes);
    },
    ban: defence.ban,
    stop: async () => {
      stopping.abort();
      defence.stop();
      for (const line of [...lines.values()]) line.end();
      await Promise.race([stopWhole(node), new Promise((resolve) => setTimeout(resolve, STOP_DEADLINE_MS).unref())]);
    },
  };
}

/** Asks those an invite names for the run's settings, all of them until one gives them. Throws a UserError where none does. */
export function fetchRun({ key, addresses, runId }: Asking): Promise<string> {
  return visit(key, (node) =>
    reach(node, addresses, undefined, (found, signal) => askForRun(found, runId, signal)),
  ).catch((error) => {
    throw tellingOf(addresses, error);
  });
}

/**
 * Fetches the adapter that a run starts from, of exactly `bytes` bytes. Throws a UserError where nobody answers, or not with that
 * many, or with nothing new for a while.
 */
export async function fetchStart(
  options: Asking & { bytes: number; onProgress: (done: number, total: number) => void },
): Promise<Uint8Array> {
  const { key, addresses, runId, bytes, onProgress } = options;
  const whole = await visit(key, async (node) => {
    const connection = await reach(node, addresses, undefined, async (found) => found);
    const stream = await connection.newStream(startProtocol(runId), { signal: AbortSignal.timeout(DIAL_DEADLINE_MS) });
    return receiveWhole(stream, bytes, onProgress);
  }).catch((error) => {
    throw tellingOf(addresses, error);
  });
  if (whole) return whole;
  throw new UserError(
    'unreachable',
    `invite: the adapter that the run starts from did not come whole, ${bytes} bytes; try again, or ask for a fresh invite`,
  );
}

/** Whether the peer an address names answers there, for a caller it does not know. */
export async function answers(address: string, signal?: AbortSignal): Promise<boolean> {
  const key = await generateKey();
  return visit(key, (node) => reach(node, [address], signal, async () => true)).catch(() => false);
}

/** Does something as a node of the moment, which takes no calls. */
async function visit<T>(key: Uint8Array, act: (node: Libp2p) => Promise<T>): Promise<T> {
  const node = await createLibp2p({
    privateKey: privateKeyFromProtobuf(key),
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  });
  try {
    return await act(node);
  } finally {
    await stopWhole(node);
  }
}

/** Connects by whichever address gets there first, and does what is wanted with that connection. */
function reach<T>(
  node: Pick<Libp2p, 'dial'>,
  addresses: readonly string[],
  signal: AbortSignal | undefined,
  use: (connection: Connection, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  // Without its id, or libp2p would put all addresses of a peer into one dial, one after the other.
  const dial = (place: string, own: AbortSignal): Promise<Connection> => node.dial(multiaddr(place), { signal: own });
  return raceTo(addresses, dial, use, { deadlineMs: DIAL_DEADLINE_MS, ...(signal ? { signal } : {}) });
}

async function startNode(options: HostOptions, privateKey: PrivateKey, defence: Defence) {
  const topic = topicOf(options.runId);
  const pubsub = gossipsub({
    allowedTopics: [topic],
    ...GOSSIP_LIMITS,
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
      streamMuxers: [
        (components) =>
          defence.guard(
            yamux({ maxInboundStreams: MAX_MUXED_STREAMS, maxStreamWindowSize: MAX_WINDOW_BYTES })(components),
          ),
      ],
      connectionGater: defence.gater,
      // The gate has limits of its own; these are not reached before.
      connectionManager: {
        maxConnections: 4 * MAX_SLOTS,
        maxIncomingPendingConnections: 2 * MAX_SLOTS,
        inboundConnectionThreshold: 100_000,
        inboundStreamProtocolNegotiationTimeout: PROTOCOL_DEADLINE_MS,
        reconnectRetries: 0,
      },
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
