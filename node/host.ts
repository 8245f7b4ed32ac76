/**
 * @file A host: a node of the network with the run's protocols, direct streams for frames and gossip for what everybody needs.
 * Everything that comes in has a limit and a deadline.
 */
import type { Connection, ConnectionGater, IncomingStreamData } from '@libp2p/interface';
import { PROTOCOL_VERSION, type Refusal } from '../protocol/frame.ts';
import { idIn, isRelayed, portIn, reasonsOf, relayIn } from './addresses.ts';
import type { Book, Denial } from './admission/book.ts';
import { createDoorkeeper } from './admission/doorkeeper.ts';
import { peerIdOf } from './admission/identity.ts';
import { createDefence, type Defence } from './defence.ts';
import { UserError } from './errors.ts';
import { announcementOf, listenTo } from './gossip.ts';
import { stopWhole } from './leftovers.ts';
import * as limits from './limits.ts';
import { createLine, type Line } from './line.ts';
import { createNames } from './network/names.ts';
import { dialOverRelay, type Node, reach, startNode } from './network/node.ts';
import { createReachKeeper, type Reach } from './network/reach.ts';
import { answers } from './network/visits.ts';
import { throughOf, type Way } from './network/ways.ts';
import {
  callBack,
  callBackProtocol,
  frameProtocol,
  hearProof,
  hostOf,
  isOverRelay,
  ON_ANY,
  PING_PROTOCOL,
  proofProtocol,
  runProtocol,
  startProtocol,
} from './questions.ts';
import { channelOf, echo, receiveFrames, say, sendWhole } from './streams.ts';

export interface HostOptions {
  /** An Ed25519 key as `generateKey` gives it. */
  readonly key: Uint8Array;
  /** Multiaddresses such as /ip4/0.0.0.0/tcp/4001; port 0 takes a free one. */
  readonly listen: readonly string[];
  readonly runId: string;
  /** Who belongs to the run. */
  readonly book: Book;
  /** What the invites to a closed run share; left out: there is no key to its network. */
  readonly network?: Uint8Array | null;
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
  /** Whether other members may reach each other through this one; left out: they may. */
  readonly relays?: boolean;
  /** Where others reach this peer besides: multiaddresses without an id. */
  readonly announce?: readonly string[];
  /** What this peer calls itself; left out: nothing. */
  readonly nickname?: string;
  /** Where a member says that it can be reached: whoever relays may have to be dialled first. */
  readonly placesOf?: (id: string) => readonly string[];
  /** Somebody asks to refuse others. */
  readonly onBans: (from: string, ids: readonly string[]) => void;
}

export interface Host {
  readonly id: string;
  /** Where it can be reached, with its id: as was announced, where it listens, and by way of members that relay for it. */
  addresses(): string[];
  /** The port it listens on; 0: none. */
  readonly port: number;
  /** Whether a connection is open to a peer that belongs to the run. */
  isConnected(id: string): boolean;
  /** The host a connected peer is seen at; empty where it is not connected. */
  seenAt(id: string): string;
  /** Connects; resolves to the id reached. Throws a UserError where nobody answers. */
  dial(addresses: readonly string[], signal?: AbortSignal): Promise<string>;
  /** How others reach this peer, as far as that is known. */
  reach(): Reach;
  /** Connections with members, direct ones first. */
  connections(): Way[];
  /** What others call themselves, by id, as far as it was heard: anybody's word. Left out: nothing. */
  names?(): ReadonlyMap<string, string>;
  /** Sends a frame, after those before it; false where it did not leave whole. */
  send(to: string, bytes: Uint8Array): Promise<boolean>;
  publish(bytes: Uint8Array): Promise<void>;
  /** Closes the connection and takes no more from this peer. */
  ban(id: string): void;
  /** Closes the connection of one that the book refuses. */
  expel(id: string): void;
  stop(): Promise<void>;
}

export const topicOf = (runId: string): string => `lorikeet/${PROTOCOL_VERSION}/${runId}`;

export type CreateHost = (options: HostOptions) => Promise<Host>;

/** Starts listening. Throws a UserError where an address cannot be had. */
export async function createHost(options: HostOptions): Promise<Host> {
  const stopping = new AbortController();
  let started: Node | null = null;
  const defence = createDefence({
    maxFrameBytes: options.maxFrameBytes,
    onRefuse: options.onRefuse,
    connections: () => started?.node.getConnections() ?? [],
    hangUp: (id) => {
      started?.node.hangUp(peerIdOf(id)).catch(() => {});
    },
    signal: stopping.signal,
  });
  try {
    started = await startNode({
      key: options.key,
      listen: options.listen,
      topic: topicOf(options.runId),
      network: options.network ?? null,
      relays: options.relays ?? true,
      nickname: options.nickname ?? '',
      gater: gaterOf(options, defence),
      guard: defence.guard,
    });
  } catch (error) {
    defence.stop();
    throw error;
  }
  return run(started, options, defence, stopping);
}

/** Members relay for members. */
function gaterOf({ book, onRefuse }: HostOptions, { gater, isBanned }: Defence): ConnectionGater {
  const isOut = (id: string): boolean => {
    if (book.isAdmitted(id) && !isBanned(id)) return false;
    onRefuse(id, 'not-admitted');
    return true;
  };
  return {
    ...gater,
    denyInboundRelayReservation: (source) => isOut(source.toString()),
    denyOutboundRelayedConnection: (source) => isOut(source.toString()),
    denyInboundRelayedConnection: (relay) => isOut(relay.toString()),
  };
}

/** Those by way of a member last. */
function directFirst(connections: readonly Connection[]): Connection[] {
  return [...connections].sort((a, b) => Number(isOverRelay(a)) - Number(isOverRelay(b)));
}

async function run(
  { node, pubsub, client }: Node,
  options: HostOptions,
  defence: Defence,
  stopping: AbortController,
): Promise<Host> {
  const { runId, book, placesOf = () => [], announce = [] } = options;
  const topic = topicOf(runId);
  const lines = new Map<string, Line>();
  const isShut = (id: string): boolean => defence.isBanned(id) || book.isBanned(id);
  /** Those that are direct first. */
  const connectionsTo = (id: string): Connection[] => directFirst(node.getConnections(peerIdOf(id)));
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

  const listening = () => node.getMultiaddrs().filter((at) => !isRelayed(String(at)));
  const reachKeeper = createReachKeeper({
    id: node.peerId.toString(),
    runId,
    client,
    connections: () => node.getConnections(),
    listening,
    port: portIn(announce[0] ?? ''),
    isWelcome: keeper.isWelcome,
    isMember: book.isAdmitted,
    placesOf,
    signal: stopping.signal,
  });

  const names = createNames();
  node.addEventListener('peer:identify', ({ detail }) => names.hear(String(detail.peerId), detail.agentVersion));
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
    { ...ON_ANY, maxInboundStreams: limits.MAX_INBOUND_STREAMS, maxOutboundStreams: limits.MAX_OUTBOUND_STREAMS },
  );
  await node.handle(PING_PROTOCOL, ({ stream }) => echo(stream), {
    ...ON_ANY,
    maxInboundStreams: limits.MAX_QUESTIONS,
  });
  const handle = (protocol: string, act: (incoming: IncomingStreamData) => Promise<void>): Promise<void> =>
    node.handle(
      protocol,
      (incoming) => {
        if (defence.question(incoming)) act(incoming).catch((error) => incoming.stream.abort(error));
      },
      { ...ON_ANY, maxInboundStreams: limits.MAX_QUESTIONS },
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
  const mayCall: typeof keeper.mayAsk = (connection, proof) => {
    const may = keeper.mayAsk(connection, proof);
    if (may) defence.heard({ connection });
    return may;
  };
  await handle(callBackProtocol(runId), (incoming) =>
    callBack(incoming, called, mayCall, (...place) => answers(options.network ?? null, ...place), stopping.signal),
  );
  const { start } = options;
  if (start) await answer(startProtocol(runId), ({ stream }) => sendWhole(stream, start));

  /** Of a relayed connection, whose address it begins with. */
  const relayOf = (one: Connection): string | null => {
    if (!isOverRelay(one)) return null;
    const place = one.remoteAddr.toString().split('/p2p-circuit')[0]!;
    const named = idIn(place);
    const relay = node.getConnections().find(({ remoteAddr }) => remoteAddr.toString().startsWith(place));
    return named ?? relay?.remotePeer.toString() ?? '';
  };
  /** Connects by way of a member, to which this peer connects first where it has not. */
  const dialRelayed = async (address: string, signal: AbortSignal): Promise<Connection> => {
    const relay = relayIn(address);
    if (relay === null || isShut(relay)) throw new Error('no way by a member');
    const isThere = (): boolean => connectionsTo(relay).some((one) => !isOverRelay(one));
    if (!isThere()) {
      const places = placesOf(relay).filter((place) => !isRelayed(place));
      await keeper.isWelcome(await reach(node, places, signal, async (found) => found));
    }
    return dialOverRelay(client, address, signal);
  };

  return {
    id: node.peerId.toString(),
    addresses: () => [
      ...announce.map((address) => `${address}/p2p/${node.peerId}`),
      ...listening().map(String),
      ...reachKeeper.addresses(),
    ],
    port: portIn(String(listening()[0] ?? '')),
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
      const connection = await reach(node, others, both, async (found) => found, dialRelayed).catch((error) => {
        throw new UserError('unreachable', `nobody answers at ${reasonsOf(others, error)}`);
      });
      const id = connection.remotePeer.toString();
      if (await keeper.belongs(connection)) return id;
      throw new UserError('unreachable', `${id} answers, and does not show that it belongs to the run`);
    },
    reach: reachKeeper.reach,
    connections: () =>
      directFirst(node.getConnections())
        .filter(({ remotePeer }) => book.isAdmitted(remotePeer.toString()))
        .map((one) => ({
          id: one.remotePeer.toString(),
          relay: relayOf(one),
          through: throughOf(
            hostOf(one),
            listening().map((at) => at.nodeAddress().address),
          ),
        })),
    names: () => names.all,
    send: async (to, bytes) => {
      if (isShut(to) || bytes.length > options.maxFrameBytes) return false;
      const line =
        lines.get(to) ??
        createLine({
          open: async () => {
            const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(limits.DIAL_DEADLINE_MS)]);
            const connection = connectionsTo(to)[0] ?? (await node.dial(peerIdOf(to), { signal }));
            if (!(await keeper.isWelcome(connection))) throw new Error('it does not take this peer in');
            const stream = await connection.newStream(frameProtocol(runId), { ...ON_ANY, signal });
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
      reachKeeper.stop();
      defence.stop();
      for (const line of [...lines.values()]) line.end();
      await Promise.race([
        stopWhole(node),
        new Promise((resolve) => setTimeout(resolve, limits.STOP_DEADLINE_MS).unref()),
      ]);
    },
  };
}
