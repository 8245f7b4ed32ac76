/**
 * @file The one door to libp2p: a host with TCP, noise and yamux; direct streams for frames, gossipsub for what everybody
 * needs. Everything that comes in has a limit and a deadline.
 */
import './polyfill.ts';
import { type GossipSub, type GossipSubComponents, gossipsub } from '@chainsafe/libp2p-gossipsub';
import { createTopicScoreParams } from '@chainsafe/libp2p-gossipsub/score';
import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import { identify } from '@libp2p/identify';
import type { Connection, IncomingStreamData, Libp2p } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { PROTOCOL_VERSION, type Refusal } from '../protocol/frame.ts';
import { idIn, reasonsOf } from './addresses.ts';
import type { Book, Denial } from './admission/book.ts';
import { createDoorkeeper } from './admission/doorkeeper.ts';
import { generateKey, peerIdOf, privateKeyOf } from './admission/identity.ts';
import { createDefence, type Defence } from './defence.ts';
import { codeOf, UserError } from './errors.ts';
import { announcementOf, listenTo } from './gossip.ts';
import { stopWhole } from './leftovers.ts';
import * as limits from './limits.ts';
import { createLine, type Line } from './line.ts';
import {
  askForCall,
  askForRun,
  askForStart,
  callBack,
  callBackProtocol,
  frameProtocol,
  hearProof,
  hostOf,
  PING_PROTOCOL,
  proofProtocol,
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
  /** Who belongs to the run. */
  readonly book: Book;
  /** Frames longer than this are cut off. */
  readonly maxFrameBytes: number;
  /** The run's settings, served to who belongs or holds an invite; in an open run, to anybody. */
  readonly describeRun: () => string;
  /** The adapter that the run starts from, served likewise; null: it is a fresh one. */
  readonly start?: Uint8Array | null;
  /** Resolves when the frame is dealt with: no more of that stream is read before. `via`: who has passed it on. */
  readonly onFrame: (from: string, bytes: Uint8Array, via: string) => Promise<void>;
  readonly onOversized: (from: string) => void;
  readonly onPeer: (id: string, up: boolean) => void;
  /** What was not let in, counted under a code. */
  readonly onRefuse: (id: string, code: Refusal) => void;
  /** Whether a published frame is well formed; a bad one costs its sender. */
  readonly validate: (from: string, bytes: Uint8Array) => boolean;
  /** A member does not take this peer in, and why. */
  readonly onTurnedAway: (by: string, code: Denial['code']) => void;
  /** Somebody asks to refuse others. */
  readonly onBans: (from: string, ids: readonly string[]) => void;
}

/** Who asks, whom, about which run. */
interface Asking {
  readonly addresses: readonly string[];
  readonly runId: string;
  /** Shows that the caller, by its id, holds an invite; left out for an open run. */
  readonly proofFor?: (id: string) => Uint8Array;
}

export interface Host {
  readonly id: string;
  /** Where it can be reached, with its id. */
  addresses(): string[];
  /** Whether a connection is open to a peer that belongs to the run. */
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
  /** Closes the connection of one that the book refuses. */
  expel(id: string): void;
  stop(): Promise<void>;
}

const noProof = (): Uint8Array => new Uint8Array();
export const topicOf = (runId: string): string => `lorikeet/${PROTOCOL_VERSION}/${runId}`;

/** Whether there can be such a peer: the id of an Ed25519 key, and addresses that can be read and are of nobody else. */
export function isPlace(id: string, addresses: readonly string[]): boolean {
  try {
    if (peerIdOf(id).type !== 'Ed25519') return false;
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
      node?.hangUp(peerIdOf(id)).catch(() => {});
    },
    signal: stopping.signal,
  });
  try {
    node = await startNode(options, defence);
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
  const { runId, book } = options;
  const topic = topicOf(runId);
  const lines = new Map<string, Line>();
  const pubsub = node.services.pubsub;
  const isShut = (id: string): boolean => defence.isBanned(id) || book.isBanned(id);
  const connectionsTo = (id: string): Connection[] => node.getConnections(peerIdOf(id));
  const isConnected = (id: string): boolean => book.isAdmitted(id) && connectionsTo(id).length > 0;
  const keeper = createDoorkeeper({
    book,
    runId,
    signal: stopping.signal,
    onRefuse: options.onRefuse,
    onAdmitted: (id) => {
      if (isConnected(id)) options.onPeer(id, true);
    },
    onTurnedAway: options.onTurnedAway,
  });

  node.addEventListener('connection:open', ({ detail }) => keeper.opened(detail));
  node.addEventListener('connection:close', ({ detail }) => keeper.closed(detail));
  node.addEventListener('peer:connect', ({ detail }) => {
    if (defence.isBanned(detail.toString())) node.hangUp(detail).catch(() => {});
    else if (book.isAdmitted(detail.toString())) options.onPeer(detail.toString(), true);
  });
  node.addEventListener('peer:disconnect', ({ detail }) => {
    lines.get(detail.toString())?.end();
    defence.gone(detail.toString());
    options.onPeer(detail.toString(), false);
  });
  listenTo(pubsub, { ...options, topic, own: node.peerId.toString(), defence, keeper });
  pubsub.subscribe(topic);

  await node.handle(
    frameProtocol(runId),
    (incoming) => {
      const from = incoming.connection.remotePeer.toString();
      if (!defence.mayTalk(incoming, book.isAdmitted(from))) return;
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
    { maxInboundStreams: limits.MAX_INBOUND_STREAMS, maxOutboundStreams: limits.MAX_OUTBOUND_STREAMS },
  );
  await node.handle(PING_PROTOCOL, ({ stream }) => echo(stream), { maxInboundStreams: limits.MAX_QUESTIONS });
  const handle = (protocol: string, act: (incoming: IncomingStreamData) => Promise<void>): Promise<void> =>
    node.handle(
      protocol,
      (incoming) => {
        if (defence.question(incoming)) act(incoming).catch((error) => incoming.stream.abort(error));
      },
      { maxInboundStreams: limits.MAX_QUESTIONS },
    );
  /** Answers those that belong, and those that hold an invite. */
  const answer = (protocol: string, act: (incoming: IncomingStreamData) => Promise<void>): Promise<void> =>
    handle(protocol, async (incoming) => {
      const proof = await hearProof(incoming.stream, stopping.signal);
      if (!proof || !keeper.mayAsk(incoming.connection, proof)) throw new Error('it does not belong to the run');
      defence.heard(incoming);
      await act(incoming);
    });
  await handle(proofProtocol(runId), keeper.judge);
  await answer(runProtocol(runId), ({ stream }) => say(stream, options.describeRun()));
  const called = new WeakSet<Connection>();
  await handle(callBackProtocol(runId), async (incoming) => {
    if (!book.isAdmitted(incoming.connection.remotePeer.toString())) throw new Error('it does not belong to the run');
    defence.heard(incoming);
    await callBack(incoming, called, answers, stopping.signal);
  });
  const { start } = options;
  if (start) await answer(startProtocol(runId), ({ stream }) => sendWhole(stream, start));

  return {
    id: node.peerId.toString(),
    addresses: () => node.getMultiaddrs().map(String),
    isConnected,
    seenAt: (id) => connectionsTo(id).map(hostOf)[0] ?? '',
    dial: async (addresses, signal) => {
      const own = node.peerId.toString();
      const others = addresses.filter((address) => idIn(address) !== own && !isShut(idIn(address) ?? ''));
      if (others.length === 0)
        throw new UserError('unreachable', 'nobody is left to call: this peer itself was named, or who was refused');
      const connected = others.map(idIn).find((id) => id !== null && isConnected(id));
      if (connected) return connected;
      const both = AbortSignal.any(signal ? [signal, stopping.signal] : [stopping.signal]);
      const connection = await reach(node, others, both, async (found) => found).catch((error) => {
        throw new UserError('unreachable', `nobody answers at ${reasonsOf(others, error)}`);
      });
      const id = connection.remotePeer.toString();
      if (await keeper.belongs(connection)) return id;
      throw new UserError('unreachable', `${id} answers, and does not show that it belongs to the run`);
    },
    isReachableFrom: (id) => askForCall(connectionsTo(id)[0], node.getMultiaddrs(), runId, stopping.signal),
    send: async (to, bytes) => {
      if (isShut(to) || bytes.length > options.maxFrameBytes) return false;
      const line =
        lines.get(to) ??
        createLine({
          open: async () => {
            const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(limits.DIAL_DEADLINE_MS)]);
            const connection = connectionsTo(to)[0] ?? (await node.dial(peerIdOf(to), { signal }));
            if (!(await keeper.isWelcome(connection))) throw new Error('it does not take this peer in');
            const stream = await connection.newStream(frameProtocol(runId), { signal });
            return channelOf(stream, options.maxFrameBytes);
          },
          ...defence.lineTo(to),
          onEnd: () => lines.delete(to),
        });
      lines.set(to, line);
      return line.send(bytes);
    },
    publish: async (bytes) => {
      await pubsub.publish(topic, announcementOf(book, bytes));
    },
    ban: defence.ban,
    expel: (id) => void node.hangUp(peerIdOf(id)).catch(() => {}),
    stop: async () => {
      stopping.abort();
      defence.stop();
      for (const line of [...lines.values()]) line.end();
      await Promise.race([
        stopWhole(node),
        new Promise((resolve) => setTimeout(resolve, limits.STOP_DEADLINE_MS).unref()),
      ]);
    },
  };
}

/** Asks those an invite names for the run's settings, all of them until one gives them. Throws a UserError where none does. */
export function fetchRun({ addresses, runId, proofFor = noProof }: Asking): Promise<string> {
  return visit((node) => {
    const proof = proofFor(node.peerId.toString());
    return reach(node, addresses, undefined, (found, signal) => askForRun(found, runId, proof, signal));
  }).catch((error) => {
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
  const { addresses, runId, proofFor = noProof, bytes, onProgress } = options;
  const whole = await visit(async (node) => {
    const connection = await reach(node, addresses, undefined, async (found) => found);
    const stream = await askForStart(connection, runId, proofFor(node.peerId.toString()));
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
  return visit((node) => reach(node, [address], signal, async () => true)).catch(() => false);
}

/** Does something as a node with a key of the moment, which takes no calls. */
async function visit<T>(act: (node: Libp2p) => Promise<T>): Promise<T> {
  const node = await createLibp2p({
    privateKey: privateKeyOf(await generateKey()),
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
  return raceTo(addresses, dial, use, { deadlineMs: limits.DIAL_DEADLINE_MS, ...(signal ? { signal } : {}) });
}

async function startNode(options: HostOptions, defence: Defence) {
  const privateKey = privateKeyOf(options.key);
  const topic = topicOf(options.runId);
  const pubsub = gossipsub({
    allowedTopics: [topic],
    ...limits.GOSSIP_LIMITS,
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
          invalidMessageDeliveriesDecay: 0.5 ** (limits.SCORE_TICK_MS / limits.REJECT_HALF_LIFE_MS),
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
            yamux({ maxInboundStreams: limits.MAX_MUXED_STREAMS, maxStreamWindowSize: limits.MAX_WINDOW_BYTES })(
              components,
            ),
          ),
      ],
      connectionGater: defence.gater,
      // The gate has limits of its own; these are not reached before.
      connectionManager: {
        maxConnections: 4 * limits.MAX_SLOTS,
        maxIncomingPendingConnections: 2 * limits.MAX_SLOTS,
        inboundConnectionThreshold: 100_000,
        inboundStreamProtocolNegotiationTimeout: limits.PROTOCOL_DEADLINE_MS,
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
