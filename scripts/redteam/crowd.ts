/** @file A crowd that announces itself, by way of one connection to each of the honest; and what attackers wait for. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Message } from '../../protocol/frame.ts';
import type { Done, Target } from './attack.ts';
import { announcing, call, rpc } from './caller.ts';
import type { Name } from './names.ts';

const ANNOUNCE_MS = 1000;

/** All of these say that they are at a round, and where. */
export async function announceAs(
  target: Target,
  signal: AbortSignal,
  begin: () => void,
  crowd: {
    /** Whose connections it goes by, one for each of the honest as far as they go. */
    readonly carriers: readonly Name[];
    readonly names: readonly Name[];
    readonly round: number;
    readonly addresses?: (id: string, i: number) => readonly string[];
  },
): Promise<Done> {
  const { carriers, names, round, addresses = () => [] } = crowd;
  let announced = 0;
  begin();
  await Promise.all(
    carriers.map(async (carrier, k) => {
      while (!signal.aborted) {
        const caller = await call(target, target.addresses[k]!, carrier, signal).catch(() => null);
        async function* all() {
          while (!signal.aborted && caller!.isOpen()) {
            for (const [i, who] of names.entries()) {
              const message = { ...here(round), addresses: addresses(who.id, i) };
              yield rpc({ messages: [announcing(who, target.runId, message)] });
              announced += 1;
              if (announced % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
            }
            await sleep(ANNOUNCE_MS, undefined, { signal }).catch(() => {});
          }
        }
        if (caller) await Promise.race([caller.gossip(all()).catch(() => {}), aborted(signal)]);
        caller?.stop().catch(() => {});
        await sleep(ANNOUNCE_MS, undefined, { signal }).catch(() => {});
      }
    }),
  );
  return { text: `${announced.toLocaleString('en')} announcements by ${names.length} ids` };
}

/** Says that somebody takes part. */
export function here(round: number): Extract<Message, { type: 'announce' }> {
  return { type: 'announce', round, state: 'joined', addresses: [] };
}

/** Does something every second until the signal; gives how often. */
export async function regularly(signal: AbortSignal, act: () => Promise<unknown>): Promise<number> {
  let times = 0;
  while (!signal.aborted) {
    await act().catch(() => {});
    times += 1;
    await sleep(ANNOUNCE_MS, undefined, { signal }).catch(() => {});
  }
  return times;
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
