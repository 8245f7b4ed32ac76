/** @file Short questions between hosts: do we belong to one run, what is it, and can you connect to me? Each over a stream of its own. */
import type { Connection, IncomingStreamData, Stream } from '@libp2p/interface';
import { PROTOCOL_VERSION } from '../protocol/frame.ts';
import { isRelayed, nobodyOf, placeOf, portIn } from './addresses.ts';
import { DENIALS, type Denial } from './admission/book.ts';
import { MAX_CHAIN_BYTES } from './admission/chain.ts';
import { messageOf, UserError } from './errors.ts';
import { DIAL_DEADLINE_MS, MAX_REPLY_BYTES, MAX_RUN_BYTES, MAX_WORD_BYTES, PROOF_DEADLINE_MS } from './limits.ts';
import { converse, say } from './streams.ts';

export const frameProtocol = (runId: string): string => `/lorikeet/${PROTOCOL_VERSION}/${runId}/frame`;
export const runProtocol = (runId: string): string => `/lorikeet/${PROTOCOL_VERSION}/${runId}/run`;
export const startProtocol = (runId: string): string => `/lorikeet/${PROTOCOL_VERSION}/${runId}/start`;
export const proofProtocol = (runId: string): string => `/lorikeet/${PROTOCOL_VERSION}/${runId}/proof`;
export const callBackProtocol = (runId: string): string => `/lorikeet/${PROTOCOL_VERSION}/${runId}/call-back`;
/** libp2p asks every ten seconds whether a connection lives, and counts on this, or on a refusal. */
export const PING_PROTOCOL = '/ipfs/ping/1.0.0';

/** Questions are asked also where a relay lets pass so much and no more. */
export const ON_ANY = { runOnLimitedConnection: true };

/** Who answered, and then said something else, is the one to name. */
export function tellingOf(addresses: readonly string[], error: unknown): UserError {
  const errors = error instanceof AggregateError ? error.errors : [error];
  return errors.find((e) => e instanceof UserError) ?? nobodyOf(addresses, error);
}

/** What is said to a proof: null for a code where it is good, then perhaps with a witness of it. */
export interface Reply {
  readonly code: Denial['code'] | null;
  readonly free: number | null;
  readonly witness: Uint8Array | null;
}

/** A proof as it is sent: base64; of none, or in an open run, one character that stands for nothing. */
const NO_PROOF = '-';
/** Of a port, and what parts it from a proof. */
const MAX_PORT_CHARACTERS = 6;
const MAX_PROOF_CHARACTERS = 4 * Math.ceil((MAX_CHAIN_BYTES + 256) / 3);

function writeProof(proof: Uint8Array): string {
  return proof.length === 0 ? NO_PROOF : Buffer.from(proof).toString('base64');
}

/** Shows a proof; null where the other end knows nothing of such, or says nothing in time. */
export async function showProof(
  connection: Connection,
  runId: string,
  proof: Uint8Array,
  own: AbortSignal,
): Promise<Reply | null> {
  const signal = AbortSignal.any([own, AbortSignal.timeout(PROOF_DEADLINE_MS)]);
  const stream = await connection.newStream(proofProtocol(runId), { ...ON_ANY, signal }).catch(() => null);
  const said = stream && (await converse(stream, writeProof(proof), MAX_REPLY_BYTES, signal));
  return said === null ? null : readReply(said);
}

/** The proof that comes; null where none does in time. */
export async function hearProof(stream: Stream, own: AbortSignal): Promise<Uint8Array | null> {
  const signal = AbortSignal.any([own, AbortSignal.timeout(PROOF_DEADLINE_MS)]);
  const said = await converse(stream, '', MAX_PROOF_CHARACTERS, signal);
  return said === null ? null : readProof(said);
}

function readProof(said: string): Uint8Array {
  return new Uint8Array(Buffer.from(said === NO_PROOF ? '' : said, 'base64'));
}

export function tellReply(stream: Stream, { code, free, witness }: Reply): Promise<void> {
  return say(stream, JSON.stringify({ code, free, witness: witness && Buffer.from(witness).toString('base64') }));
}

function readReply(said: string): Reply | null {
  try {
    const { code, free, witness } = JSON.parse(said) as Record<string, unknown>;
    return {
      code: code === null ? null : (DENIALS.find((one) => one === code) ?? 'not-admitted'),
      free: Number.isInteger(free) && Number(free) >= 0 ? Number(free) : null,
      witness: typeof witness === 'string' ? new Uint8Array(Buffer.from(witness, 'base64')) : null,
    };
  } catch {
    return null;
  }
}

/** Asks for the run's settings, showing that it may. Throws a UserError where they do not come. */
export async function askForRun(
  connection: Connection,
  runId: string,
  proof: Uint8Array,
  signal: AbortSignal,
): Promise<string> {
  const stream = await connection.newStream(runProtocol(runId), { ...ON_ANY, signal }).catch((error) => {
    signal.throwIfAborted();
    throw new UserError(
      'incompatible',
      `invite: ${connection.remotePeer} answers, but not for run ${runId} (${messageOf(error).split('\n')[0]}); ask for a fresh invite`,
    );
  });
  const described = await converse(stream, writeProof(proof), MAX_RUN_BYTES, signal);
  if (described !== null) return described;
  throw new UserError('unreachable', 'invite: the peer did not describe its run; try again, or ask for a fresh invite');
}

/** Asks for the adapter that a run starts from; what is then to be read. */
export async function askForStart(connection: Connection, runId: string, proof: Uint8Array): Promise<Stream> {
  const stream = await connection.newStream(startProtocol(runId), { signal: AbortSignal.timeout(DIAL_DEADLINE_MS) });
  await say(stream, writeProof(proof));
  return stream;
}

/**
 * Asks a peer to connect to this one at a port, 0 being the one it listens on; null where it does not say, or is on this machine.
 * `proof` is of who only holds an invite.
 */
export async function askForCall(
  connection: Connection,
  listening: readonly Pick<Connection['remoteAddr'], 'nodeAddress' | 'toString'>[],
  runId: string,
  { port, proof = new Uint8Array(), signal: own }: { port: number; proof?: Uint8Array; signal: AbortSignal },
): Promise<boolean | null> {
  if (listening.some((at) => at.nodeAddress().address === hostOf(connection))) return null;
  const signal = AbortSignal.any([own, AbortSignal.timeout(2 * DIAL_DEADLINE_MS)]);
  const stream = await connection.newStream(callBackProtocol(runId), { signal }).catch(() => null);
  const asked = port || portIn(String(listening[0] ?? ''));
  const word = stream && (await converse(stream, `${asked} ${writeProof(proof)}`, MAX_WORD_BYTES, signal));
  return word === 'yes' ? true : word === 'no' ? false : null;
}

/** Connects to who asks and may, at the port it names, on no machine but the one it comes from; once a connection. */
export async function callBack(
  { stream, connection }: IncomingStreamData,
  called: WeakSet<Connection>,
  mayAsk: (connection: Connection, proof: Uint8Array) => boolean,
  answers: (address: string, signal: AbortSignal) => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  if (called.has(connection)) throw new Error('asked before');
  called.add(connection);
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(DIAL_DEADLINE_MS)]);
  const said = await converse(stream, '', MAX_PORT_CHARACTERS + MAX_PROOF_CHARACTERS, deadline);
  const [port, proof = ''] = said?.split(' ') ?? [];
  if (!mayAsk(connection, readProof(proof))) throw new Error('it does not belong to the run');
  const address = placeOf(hostOf(connection), port ?? '', String(connection.remotePeer));
  await say(stream, (await answers(address, deadline)) ? 'yes' : 'no');
}

/** Whether a connection leads by way of another peer. */
export function isOverRelay({ remoteAddr }: Pick<Connection, 'remoteAddr'>): boolean {
  return isRelayed(remoteAddr.toString());
}

/** The host a connection leads to; of IPv4 carried in IPv6, that of IPv4. Empty where it leads by way of another peer. */
export function hostOf({ remoteAddr }: Pick<Connection, 'remoteAddr'>): string {
  if (isOverRelay({ remoteAddr })) return '';
  return remoteAddr.nodeAddress().address.replace(/^::ffff:(?=[\d.]+$)/i, '');
}
