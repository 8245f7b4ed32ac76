/** @file Stops libp2p together with two timers that it leaves running, each of which keeps a process from ending for a second. */

interface Node {
  stop(): void | Promise<void>;
  readonly services?: object;
}

/** What of libp2p 2.10 and gossipsub 14 is not in their types. */
interface Inside {
  readonly components?: { readonly addressManager?: { readonly _updatePeerStoreAddresses?: { stop?(): void } } };
  readonly services?: { readonly pubsub?: { readonly status?: { readonly heartbeatTimeout?: NodeJS.Timeout } } };
}

/** Closes listeners and connections, then everything is over: nothing is left to wait for. */
export async function stopWhole(node: Node): Promise<void> {
  const { components, services } = node as Inside;
  const heartbeat = services?.pubsub?.status?.heartbeatTimeout; // gossipsub forgets it as it stops
  await node.stop();
  clearTimeout(heartbeat);
  components?.addressManager?._updatePeerStoreAddresses?.stop?.(); // begun by the listener that closed
}
