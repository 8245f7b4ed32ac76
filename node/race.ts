/**
 * @file Several ways to the same thing, raced: each begins a little after the one before it, or as soon as that has failed;
 * the first that gets there ends the others. As happy eyeballs does (RFC 8305), so that a dead address costs little.
 */
import { idIn, isLoopback, isRelayed } from './addresses.ts';

/** From the beginning of one attempt to that of the next, while none has failed. */
const STAGGER_MS = 250;

/**
 * The result of the first attempt that succeeds; the others are aborted. Each has a deadline of its own. Rejects with all
 * errors, in order, where none succeeds, or when the signal aborts.
 */
export async function race<T>(
  attempts: readonly ((signal: AbortSignal) => Promise<T>)[],
  { deadlineMs, signal }: { deadlineMs: number; signal?: AbortSignal },
): Promise<T> {
  const over = new AbortController();
  const errors: unknown[] = new Array(attempts.length);
  const outer = signal ? [signal, over.signal] : [over.signal];
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let [begun, failed] = [0, 0];
  let timer: NodeJS.Timeout | undefined;
  const begin = (): void => {
    clearTimeout(timer);
    const nth = begun++;
    const attempt = attempts[nth];
    if (!attempt) return;
    timer = setTimeout(begin, STAGGER_MS);
    attempt(AbortSignal.any([...outer, AbortSignal.timeout(deadlineMs)])).then(resolve, (error) => {
      errors[nth] = error;
      failed += 1;
      if (failed === attempts.length) reject(new AggregateError(errors, 'every attempt failed'));
      else if (!over.signal.aborted) begin();
    });
  };
  const stop = (): void => reject(signal!.reason);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    signal?.throwIfAborted();
    if (attempts.length === 0) throw new AggregateError([], 'there is nothing to try');
    begin();
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
    over.abort();
  }
}

/** What a dial gives. */
interface Reached {
  readonly remotePeer: { toString(): string };
  close(): Promise<void>;
}

/** Who is reached directly burdens nobody else; and on another machine loopback leads to somebody else. */
function rankOf(address: string): number {
  return isLoopback(address) ? 2 : Number(isRelayed(address));
}

/**
 * Connects by whichever address gets there first to the peer it names, and does what is wanted with that connection; ways by
 * others come late, and loopback last. `dial` is given a place without its id, or the whole of a way by another. Throws an AggregateError with a reason for each address, in
 * their order.
 */
export async function raceTo<C extends Reached, T>(
  addresses: readonly string[],
  dial: (place: string, signal: AbortSignal) => Promise<C>,
  use: (connection: C, signal: AbortSignal) => Promise<T>,
  options: { deadlineMs: number; signal?: AbortSignal },
): Promise<T> {
  const order = [...addresses.keys()].sort((a, b) => rankOf(addresses[a]!) - rankOf(addresses[b]!));
  const attempts = order.map((i) => async (own: AbortSignal): Promise<T> => {
    const [address, id] = [addresses[i]!, idIn(addresses[i]!)];
    const isWhole = id === null || isRelayed(address);
    const connection = await dial(isWhole ? address : address.slice(0, -`/p2p/${id}`.length), own);
    if (id !== null && connection.remotePeer.toString() !== id) {
      await connection.close().catch(() => {});
      throw new Error(`${connection.remotePeer} answers there`);
    }
    return use(connection, own);
  });
  return race(attempts, options).catch((error) => {
    if (!(error instanceof AggregateError)) throw error;
    throw new AggregateError(
      addresses.map((_, i) => error.errors[order.indexOf(i)]),
      error.message,
    );
  });
}
