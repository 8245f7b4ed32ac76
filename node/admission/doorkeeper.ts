/**
 * @file Shows other hosts that this peer belongs to the run, and has them show it, once a connection and before a frame of theirs
 * is looked at. Who does not in time is hung up on, but for those who hold an invite and have come to ask about the run.
 */
import type { Connection, IncomingStreamData } from '@libp2p/interface';
import type { Refusal } from '../../protocol/frame.ts';
import { PROOF_DEADLINE_MS } from '../limits.ts';
import { hearProof, type Reply, showProof, tellReply } from '../questions.ts';
import type { Book, Denial } from './book.ts';

export interface Doorkeeper {
  /** A connection has opened. */
  opened(connection: Connection): void;
  closed(connection: Connection): void;
  /** Whether its other end belongs to the run, as soon as that is known. */
  belongs(connection: Connection): Promise<boolean>;
  /** Whether the other end takes this peer in, asked once. */
  isWelcome(connection: Connection): Promise<boolean>;
  /** Takes in a proof that was shown, and answers. */
  judge(incoming: IncomingStreamData): Promise<void>;
  /** Takes in a proof, also one passed on by others. */
  admit(id: string, proof: Uint8Array): Denial | null;
  /** Whether who asks over a connection may: it belongs, or shows that it holds an invite. */
  mayAsk(connection: Connection, proof: Uint8Array): boolean;
}

/** How long what was said may take to leave a connection that is to be closed. */
const CLOSE_MS = 1000;

export function createDoorkeeper(options: {
  book: Book;
  runId: string;
  signal: AbortSignal;
  onRefuse: (id: string, code: Refusal) => void;
  /** Somebody belongs, of whom that was not known. */
  onAdmitted: (id: string) => void;
  /** Somebody does not take this peer in. */
  onTurnedAway: (by: string, code: Denial['code']) => void;
}): Doorkeeper {
  const { book, runId, signal, onRefuse, onAdmitted, onTurnedAway } = options;
  const guests = new WeakSet<Connection>();
  const welcomes = new WeakMap<Connection, Promise<boolean>>();
  const arrivals = new WeakMap<Connection, PromiseWithResolvers<boolean>>();
  /** Connections whose other end has not shown yet that it belongs. */
  const waiting = new Set<Connection>();
  const idOf = ({ remotePeer }: Connection): string => remotePeer.toString();

  const admit: Doorkeeper['admit'] = (id, proof) => {
    const wasIn = book.isAdmitted(id);
    const denial = book.check(id, proof);
    if (denial || wasIn) return denial;
    onAdmitted(id);
    for (const connection of waiting) if (idOf(connection) === id) arrivals.get(connection)?.resolve(true);
    return null;
  };
  const show = async (connection: Connection): Promise<boolean> => {
    if (book.isOpen) return true;
    for (;;) {
      const reply = await showProof(connection, runId, book.proof(), signal);
      if (!reply) {
        welcomes.delete(connection); // it is no peer, or too busy to answer: to be asked again
        return false;
      }
      if (reply.code === null) {
        if (reply.witness) book.takeWitness(idOf(connection), reply.witness);
        return true;
      }
      if (reply.code === 'place-taken' && reply.free !== null && book.moveTo(reply.free)) continue;
      onTurnedAway(idOf(connection), reply.code);
      return false;
    }
  };
  const isWelcome: Doorkeeper['isWelcome'] = (connection) => {
    const asked = welcomes.get(connection) ?? show(connection).catch(() => false);
    welcomes.set(connection, asked);
    return asked;
  };
  return {
    admit,
    isWelcome,
    opened: (connection) => {
      if (book.isOpen) return;
      const arrival = Promise.withResolvers<boolean>();
      arrivals.set(connection, arrival);
      waiting.add(connection);
      const timer = setTimeout(() => arrival.resolve(false), PROOF_DEADLINE_MS).unref();
      arrival.promise.then((belongs) => {
        clearTimeout(timer);
        waiting.delete(connection);
        if (belongs || connection.status !== 'open' || guests.has(connection)) return;
        onRefuse(idOf(connection), 'not-admitted');
        hangUp(connection);
      });
      if (book.isAdmitted(idOf(connection))) arrival.resolve(true);
      isWelcome(connection);
    },
    closed: (connection) => arrivals.get(connection)?.resolve(false),
    belongs: async (connection) => (book.isOpen ? true : ((await arrivals.get(connection)?.promise) ?? false)),
    judge: async ({ stream, connection }) => {
      const proof = await hearProof(stream, signal);
      const denial = admit(idOf(connection), proof ?? new Uint8Array());
      if (denial) onRefuse(idOf(connection), denial.code);
      const reply: Reply = denial
        ? { code: denial.code, free: denial.free, witness: null }
        : { code: null, free: null, witness: book.witnessFor(idOf(connection)) };
      await tellReply(stream, reply);
      if (denial && denial.code !== 'place-taken') hangUp(connection); // it has been told why
    },
    mayAsk: (connection, proof) => {
      if (book.isAdmitted(idOf(connection))) return true;
      if (!book.holdsInvite(idOf(connection), proof)) return false;
      guests.add(connection);
      return true;
    },
  };
}

function hangUp(connection: Connection): void {
  connection.close({ signal: AbortSignal.timeout(CLOSE_MS) }).catch((error) => connection.abort(error));
}
