/** @file The one door to libp2p: a node with TCP, noise, yamux, gossipsub and relays; one of the moment that only asks. */
import '../polyfill.ts';
import { type GossipSub, type GossipSubComponents, gossipsub } from '@chainsafe/libp2p-gossipsub';
import { createTopicScoreParams } from '@chainsafe/libp2p-gossipsub/score';
import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import {
  type CircuitRelayServerComponents,
  type CircuitRelayService,
  type CircuitRelayTransportComponents,
  circuitRelayServer,
  circuitRelayTransport,
} from '@libp2p/circuit-relay-v2';
import { dcutr } from '@libp2p/dcutr';
import { identify } from '@libp2p/identify';
import type { Connection, ConnectionGater, Libp2p, StreamMuxerFactory } from '@libp2p/interface';
import { preSharedKey } from '@libp2p/pnet';
import { tcp } from '@libp2p/tcp';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { isRelayed } from '../addresses.ts';
import { generateKey, peerIdOf, privateKeyOf } from '../admission/identity.ts';
import { networkKeyOf } from '../admission/ticket.ts';
import { codeOf, UserError } from '../errors.ts';
import { stopWhole } from '../leftovers.ts';
import * as limits from '../limits.ts';
import { raceTo } from '../race.ts';
import { agentOf } from './names.ts';
import type { RelayClient } from './reach.ts';
import { createSluice } from './sluice.ts';

export interface NodeOptions {
  /** An Ed25519 key as `generateKey` gives it. */
  readonly key: Uint8Array;
  readonly listen: readonly string[];
  readonly topic: string;
  /** What the invites to a closed run share: who does not have it cannot even shake hands. */
  readonly network: Uint8Array | null;
  /** Whether others may reach each other through this node. */
  readonly relays: boolean;
  readonly gater: ConnectionGater;
  /** What it calls itself; '': nothing. */
  readonly nickname: string;
  readonly guard: (factory: StreamMuxerFactory) => StreamMuxerFactory;
}

/** A node, and its way to ask others to relay for it. */
export type Node = Awaited<ReturnType<typeof startNode>>;

/** Starts listening. Throws a UserError where an address cannot be had. */
export async function startNode(options: NodeOptions) {
  const { key, listen, topic, network, relays, nickname, gater, guard } = options;
  let client: RelayClient | null = null;
  try {
    const node = await createLibp2p({
      privateKey: privateKeyOf(key),
      nodeInfo: { userAgent: agentOf(nickname) },
      addresses: { listen: [...listen] },
      transports: [
        tcp(),
        (components: CircuitRelayTransportComponents) => {
          const transport = circuitRelayTransport({ reservationCompletionTimeout: limits.DIAL_DEADLINE_MS })(
            components,
          );
          client = transport as unknown as RelayClient;
          return transport;
        },
      ],
      connectionEncrypters: [noise()],
      streamMuxers: [
        (components) =>
          guard(
            yamux({ maxInboundStreams: limits.MAX_MUXED_STREAMS, maxStreamWindowSize: limits.MAX_WINDOW_BYTES })(
              components,
            ),
          ),
      ],
      ...protectedBy(network),
      connectionGater: gater,
      // The gate has limits of its own; these are not reached before.
      connectionManager: {
        maxConnections: 4 * limits.MAX_SLOTS,
        maxIncomingPendingConnections: 2 * limits.MAX_SLOTS,
        inboundConnectionThreshold: 100_000,
        inboundUpgradeTimeout: limits.HANDSHAKE_DEADLINE_MS,
        inboundStreamProtocolNegotiationTimeout: limits.PROTOCOL_DEADLINE_MS,
        reconnectRetries: 0,
      },
      services: {
        identify: identify(),
        dcutr: dcutr(),
        pubsub: gossip(topic),
        ...(relays ? { relay: relayServer } : {}),
      },
    });
    const { relay } = node.services as { relay?: CircuitRelayService };
    // Whoever has gone needs no place; it asks again when it is back.
    node.addEventListener('peer:disconnect', ({ detail }) => relay?.reservations.delete(detail));
    return { node, pubsub: node.services.pubsub, client: client! as RelayClient };
  } catch (error) {
    if ((error as Error).name !== 'UnsupportedListenAddressesError' && codeOf(error) !== 'EADDRINUSE') throw error;
    throw new UserError(
      'usage',
      `${listen.join(', ')}: cannot listen there (in use, or no address of this machine); choose another --port or --host`,
    );
  }
}

/** Connects by way of a member that this node is connected to, at once: not behind a dial of the same peer that hangs. */
export function dialOverRelay(client: RelayClient, address: string, signal: AbortSignal): Promise<Connection> {
  return client.dial(multiaddr(address), { signal });
}

/** What everybody hears, under one topic. */
function gossip(topic: string): (components: GossipSubComponents) => GossipSub {
  return gossipsub({
    allowedTopics: [topic],
    ...limits.GOSSIP_LIMITS,
    globalSignaturePolicy: 'StrictSign',
    allowPublishToZeroTopicPeers: true,
    fallbackToFloodsub: false,
    emitSelf: false,
    runOnLimitedConnection: true,
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
}

/** Relays for members, so many and so much at most; what passes waits its turn. */
function relayServer(components: CircuitRelayServerComponents): CircuitRelayService {
  const { reservations, streams } = limits.RELAY;
  const server = circuitRelayServer({
    maxInboundHopStreams: streams,
    maxOutboundStopStreams: streams,
    reservations: {
      maxReservations: reservations,
      defaultDataLimit: limits.RELAY.bytes,
      defaultDurationLimit: limits.RELAY.durationMs,
    },
  });
  const sluice = createSluice(limits.RELAYED);
  const registrar = new Proxy(components.registrar, {
    get: (inner, name) => {
      if (name !== 'handle') return Reflect.get(inner, name);
      const handle: typeof inner.handle = (protocol, handler, options) =>
        inner.handle(
          protocol,
          (incoming) => {
            sluice(incoming.stream);
            handler(incoming);
          },
          options,
        );
      return handle;
    },
  });
  return server(
    new Proxy(components, { get: (inner, name) => (name === 'registrar' ? registrar : Reflect.get(inner, name)) }),
  ) as CircuitRelayService;
}

/** The pre-shared key of a network in the form of its file, as libp2p reads it. */
export function protectedBy(network: Uint8Array | null) {
  if (!network) return {};
  const hex = Buffer.from(networkKeyOf(network)).toString('hex');
  const psk = new TextEncoder().encode(`/key/swarm/psk/1.0.0/\n/base16/\n${hex}`);
  return { connectionProtector: preSharedKey({ psk }) };
}

/** Does something as a node with a key of the moment, which takes calls only where it is to listen. */
export async function visit<T>(
  network: Uint8Array | null,
  act: (node: Libp2p) => Promise<T>,
  listen: readonly string[] = [],
): Promise<T> {
  const node = await createLibp2p({
    privateKey: privateKeyOf(await generateKey()),
    addresses: { listen: [...listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    ...protectedBy(network),
  });
  try {
    return await act(node);
  } finally {
    await stopWhole(node);
  }
}

/** Connects by whichever address gets there first, and does what is wanted with that connection. */
export function reach<T>(
  node: Pick<Libp2p, 'dial'>,
  addresses: readonly string[],
  signal: AbortSignal | undefined,
  use: (connection: Connection, signal: AbortSignal) => Promise<T>,
  dialRelayed: (address: string, signal: AbortSignal) => Promise<Connection> = refuseRelayed,
): Promise<T> {
  const dial = (place: string, own: AbortSignal): Promise<Connection> =>
    isRelayed(place) ? dialRelayed(place, own) : node.dial(multiaddr(place), { signal: own });
  return raceTo(addresses, dial, use, { deadlineMs: limits.DIAL_DEADLINE_MS, ...(signal ? { signal } : {}) });
}

async function refuseRelayed(): Promise<never> {
  throw new Error('only a member is reached by way of another');
}

/** Whether there can be such a peer: the id of an Ed25519 key, and addresses that can be read and are of nobody else. */
export function isPlace(id: string, addresses: readonly string[]): boolean {
  try {
    if (peerIdOf(id).type !== 'Ed25519') return false;
    return addresses.every((address) => address !== '' && [null, id].includes(multiaddr(address).getPeerId()));
  } catch {
    return false;
  }
}
