/**
 * @file How others reach this peer. Members it has connected to are asked to call back; where one cannot, members relay, two at a
 * time, so that the second is there when the first has gone.
 */
import type { Connection, PeerId } from '@libp2p/interface';
import { isPrivate, isRelayed, relayedAt } from '../addresses.ts';
import { peerIdOf } from '../admission/identity.ts';
import { MAX_ASKED_BACK, RELAYS } from '../limits.ts';
import { askForCall, hostOf, isOverRelay } from '../questions.ts';

/** What is used of libp2p's transport by way of relays. */
export interface RelayClient {
  dial(address: Connection['remoteAddr'], options: { signal: AbortSignal }): Promise<Connection>;
  readonly reservationStore: {
    addRelay(relay: PeerId, type: 'configured'): Promise<unknown>;
    hasReservation(relay: PeerId): boolean;
  };
}

/** Ids of members. */
export interface Reach {
  /** Who has connected to this peer, or can. */
  readonly open: readonly string[];
  /** Who cannot. */
  readonly shut: readonly string[];
  /** Who relays for it. */
  readonly relays: readonly string[];
}

export interface ReachKeeper {
  reach(): Reach;
  /** Ways by the members that relay. */
  addresses(): string[];
  stop(): void;
}

export function createReachKeeper(options: {
  id: string;
  runId: string;
  client: RelayClient;
  connections: () => readonly Connection[];
  /** Where this peer listens itself. */
  listening: () => readonly Connection['remoteAddr'][];
  /** The port that others are to try; 0: the one it listens on. */
  port: number;
  /** Whether the other end belongs to the run and takes this peer in. */
  isWelcome: (connection: Connection) => Promise<boolean>;
  isMember: (id: string) => boolean;
  /** Where a member says that it can be reached. */
  placesOf: (id: string) => readonly string[];
  signal: AbortSignal;
}): ReachKeeper {
  const { id, runId, client, connections, listening, port, isWelcome, isMember, placesOf, signal } = options;
  const { reservationStore } = client;
  /** Whether the other end could call back; null: it does not say. */
  const answers = new WeakMap<Connection, boolean | null>();
  const waits = new Map<string, number>();
  let isAsking = false;
  let isReserving = false;
  const idOf = ({ remotePeer }: Connection): string => remotePeer.toString();
  const direct = (): Connection[] =>
    connections().filter((one) => one.status === 'open' && !isOverRelay(one) && isMember(idOf(one)));
  const isHere = (one: Connection): boolean => listening().some((at) => at.nodeAddress().address === hostOf(one));
  const answerOf = (one: Connection): boolean | null | undefined =>
    one.direction === 'inbound' ? (isHere(one) ? null : true) : answers.get(one);
  const idsWith = (answer: boolean): string[] => [
    ...new Set(
      direct()
        .filter((one) => answerOf(one) === answer)
        .map(idOf),
    ),
  ];
  const held = (): string[] => [
    ...new Set(
      direct()
        .map(idOf)
        .filter((one) => reservationStore.hasReservation(peerIdOf(one))),
    ),
  ];
  /** Somebody not asked yet, while there are too few answers from as near or far as it is. */
  const nextToAsk = (): Connection | undefined => {
    const all = direct();
    const isEnough = (near: boolean): boolean =>
      all.filter((one) => isPrivate(hostOf(one)) === near && answerOf(one) === true).length >= MAX_ASKED_BACK;
    return all.find((one) => answerOf(one) === undefined && !isEnough(isPrivate(hostOf(one))));
  };
  const ask = async (): Promise<void> => {
    const next = nextToAsk();
    if (isAsking || !next) return;
    isAsking = true;
    try {
      if (!(await isWelcome(next))) return;
      const at = listening();
      answers.set(next, at.length === 0 ? false : null);
      if (at.length > 0) answers.set(next, await askForCall(next, at, runId, { port, signal }));
    } finally {
      isAsking = false;
    }
  };
  /** Those that cannot connect to this peer, which can connect to them; last those that are relayed for themselves. */
  const nextRelay = (): string | undefined => {
    const now = performance.now();
    const isBehind = (one: string): number => Number(placesOf(one).some(isRelayed));
    const [holding, isReady] = [held(), (one: string): boolean => (waits.get(one) ?? 0) <= now];
    if (holding.length >= RELAYS.wanted) return undefined;
    const found = idsWith(false).filter((one) => !holding.includes(one) && isReady(one));
    return found.sort((a, b) => isBehind(a) - isBehind(b))[0];
  };
  const reserve = async (): Promise<void> => {
    const next = nextRelay();
    if (isReserving || next === undefined) return;
    isReserving = true;
    waits.set(next, performance.now() + RELAYS.retryMs);
    await reservationStore.addRelay(peerIdOf(next), 'configured').catch(() => {});
    isReserving = false;
  };
  const look = (): void => {
    ask().catch(() => {});
    reserve().catch(() => {});
  };
  const timer = setInterval(look, RELAYS.lookMs).unref();
  return {
    reach: () => ({ open: idsWith(true), shut: idsWith(false), relays: held() }),
    addresses: () => held().map((relay) => relayedAt(relay, id)),
    stop: () => clearInterval(timer),
  };
}
