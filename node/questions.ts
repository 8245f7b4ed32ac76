/** @file Short questions between hosts: what is the run, and can you connect to me? Each over a stream of its own. */
import type { Connection, IncomingStreamData } from '@libp2p/interface';
import { PROTOCOL_VERSION } from '../protocol/frame.ts';
import { nobodyOf, placeOf } from './addresses.ts';
import { messageOf, UserError } from './errors.ts';
import { DIAL_DEADLINE_MS, MAX_RUN_BYTES, MAX_WORD_BYTES } from './limits.ts';
import { converse, say } from './streams.ts';

export const frameProtocol = (runId: string): string => `/lorikeet/${PROTOCOL_VERSION}/${runId}/frame`;
export const runProtocol = (runId: string): string => `/lorikeet/${PROTOCOL_VERSION}/${runId}/run`;
export const startProtocol = (runId: string): string => `/lorikeet/${PROTOCOL_VERSION}/${runId}/start`;
export const callBackProtocol = (runId: string): string => `/lorikeet/${PROTOCOL_VERSION}/${runId}/call-back`;
/** libp2p asks every ten seconds whether a connection lives, and counts on this, or on a refusal. */
export const PING_PROTOCOL = '/ipfs/ping/1.0.0';

/** Who answered, and then said something else, is the one to name. */
export function tellingOf(addresses: readonly string[], error: unknown): UserError {
  const errors = error instanceof AggregateError ? error.errors : [error];
  return errors.find((e) => e instanceof UserError) ?? nobodyOf(addresses, error);
}

/** Asks for the run's settings. Throws a UserError where they do not come. */
export async function askForRun(connection: Connection, runId: string, signal: AbortSignal): Promise<string> {
  const stream = await connection.newStream(runProtocol(runId), { signal }).catch((error) => {
    signal.throwIfAborted();
    throw new UserError(
      'incompatible',
      `invite: ${connection.remotePeer} answers, but not for run ${runId} (${messageOf(error).split('\n')[0]}); ask for a fresh invite`,
    );
  });
  const described = await converse(stream, '', MAX_RUN_BYTES, signal);
  if (described !== null) return described;
  throw new UserError(
    'unreachable',
    'invite: the peer did not describe its run in time; try again, or ask for a fresh invite',
  );
}

/** Asks a peer to connect to this port of the machine it sees; null where it does not say. */
export async function askForCall(connection: Connection, runId: string, port: number, own: AbortSignal) {
  const signal = AbortSignal.any([own, AbortSignal.timeout(2 * DIAL_DEADLINE_MS)]);
  const stream = await connection.newStream(callBackProtocol(runId), { signal }).catch(() => null);
  const word = stream && (await converse(stream, String(port), MAX_WORD_BYTES, signal));
  return word === 'yes' ? true : word === 'no' ? false : null;
}

/** Connects to who asks at the port it names, on no machine but the one it comes from; once a connection. */
export async function callBack(
  { stream, connection }: IncomingStreamData,
  called: WeakSet<Connection>,
  answers: (address: string, signal: AbortSignal) => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  if (called.has(connection)) throw new Error('asked before');
  called.add(connection);
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(DIAL_DEADLINE_MS)]);
  const port = await converse(stream, '', MAX_WORD_BYTES, deadline);
  const address = placeOf(hostOf(connection), port ?? '', String(connection.remotePeer));
  await say(stream, (await answers(address, deadline)) ? 'yes' : 'no');
}

/** The host a connection leads to; of IPv4 carried in IPv6, that of IPv4. */
export function hostOf({ remoteAddr }: Pick<Connection, 'remoteAddr'>): string {
  return remoteAddr.nodeAddress().address.replace(/^::ffff:(?=[\d.]+$)/i, '');
}
