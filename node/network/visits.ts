/** @file Calls by a node of the moment, of whoever has an address or an invite: what is the run, is anybody there? */
import { UserError } from '../errors.ts';
import { DIAL_DEADLINE_MS } from '../limits.ts';
import { askForCall, askForRun, askForStart, tellingOf } from '../questions.ts';
import { receiveWhole } from '../streams.ts';
import { reach, visit } from './node.ts';

/** Who asks, whom, about which run. */
interface Asking {
  readonly addresses: readonly string[];
  readonly runId: string;
  /** Shows that the caller, by its id, holds an invite; left out for an open run. */
  readonly proofFor?: (id: string) => Uint8Array;
  /** What the invites to the run share; left out or null for an open run. */
  readonly network?: Uint8Array | null;
}

const noProof = (): Uint8Array => new Uint8Array();

/** Asks those an invite names for the run's settings, all of them until one gives them. Throws a UserError where none does. */
export function fetchRun({ addresses, runId, proofFor = noProof, network = null }: Asking): Promise<string> {
  return visit(network, (node) => {
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
  const { addresses, runId, proofFor = noProof, network = null, bytes, onProgress } = options;
  const whole = await visit(network, async (node) => {
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

/** Whether the peer of a network that an address names answers there, for a caller it does not know. */
export async function answers(network: Uint8Array | null, address: string, signal?: AbortSignal): Promise<boolean> {
  return visit(network, (node) => reach(node, [address], signal, async () => true)).catch(() => false);
}

/** Who was asked to connect back, and whether it could; null: it does not say, or is on this machine. */
export interface CalledBack {
  readonly by: string;
  readonly isReached: boolean | null;
}

/** Listens, and asks one of those an invite names to connect back. Throws a UserError where nobody answers. */
export function askBack(asking: Asking & { listen: string; port: number }): Promise<CalledBack> {
  const { addresses, runId, proofFor = noProof, network = null, listen, port } = asking;
  const ask = async (node: Parameters<Parameters<typeof visit>[1]>[0]): Promise<CalledBack> => {
    const connection = await reach(node, addresses, undefined, async (found) => found);
    const signal = AbortSignal.timeout(2 * DIAL_DEADLINE_MS);
    const proof = proofFor(node.peerId.toString());
    const isReached = await askForCall(connection, node.getMultiaddrs(), runId, { port, proof, signal });
    return { by: connection.remotePeer.toString(), isReached };
  };
  return visit(network, ask, [listen]).catch((error) => {
    throw tellingOf(addresses, error);
  });
}
