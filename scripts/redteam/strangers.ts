/** @file Who belongs: made-up members that say where the run is, or what a newcomer is to go on with. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CODECS } from '../../protocol/codec.ts';
import type { Message } from '../../protocol/frame.ts';
import { type Attack, FLOOD, SILENCE, type Target } from './attack.ts';
import { announcing, call, makeUp, rpc } from './caller.ts';
import { createPuppet, learnRun } from './puppet.ts';
import { aborted, here, regularly } from './silence.ts';

export const STRANGERS: Readonly<Record<string, Attack>> = {
  'far-round': {
    about: 'nine made-up ids over one connection say that they are at a far round',
    bars: SILENCE,
    run: (target, signal, begin) => announceAs(target, signal, begin, { ids: 9, round: 90_000, everyMs: 1000 }),
  },
  'made-up': {
    about: 'five hundred made-up ids over one connection say that they take part',
    bars: { ...SILENCE, moreMb: 150, backMb: 20, newcomerMs: FLOOD.newcomerMs! },
    run: (target, signal, begin) =>
      announceAs(target, signal, begin, { ids: target.isShort ? 100 : 500, round: 0, everyMs: 5000 }),
  },
  alike: {
    about: 'three made-up members answer a newcomer alike, with an adapter of their own',
    bars: { ...SILENCE, newcomerMs: FLOOD.newcomerMs! },
    isOfNewcomers: true,
    run: async (target, signal, begin) => {
      const { limits } = await learnRun(target);
      let [round, answered] = [0, 0];
      const payload = CODECS[limits.codec].encode(new Float32Array(limits.count).fill(0.01));
      const { codec, count } = limits;
      const puppets = await Promise.all(
        Array.from({ length: 3 }, () =>
          createPuppet(target, limits, (from, message, puppet) => {
            if (message.type === 'announce' || message.type === 'data') round = Math.max(round, message.round);
            if (message.type !== 'ask') return;
            answered += 1;
            puppet.say(from, { type: 'adapter', round, codec, count, payload });
          }),
        ),
      );
      begin();
      await regularly(signal, () =>
        Promise.all(puppets.map((puppet) => puppet.announce({ ...here(round), addresses: puppet.host.addresses() }))),
      );
      await Promise.all(puppets.map(({ host }) => host.stop()));
      return { text: `answered ${answered} times` };
    },
  },
};

/** Made-up members announce themselves, all by way of one connection to each of the honest. */
async function announceAs(
  target: Target,
  signal: AbortSignal,
  begin: () => void,
  { ids, round, everyMs }: { ids: number; round: number; everyMs: number },
): Promise<{ text: string }> {
  const nobody = await makeUp(ids);
  const message: Message = here(round);
  let announced = 0;
  const callers = await Promise.all(target.addresses.slice(0, 1).map((address) => call(address, signal)));
  begin();
  await Promise.all(
    callers.map((caller) => {
      async function* all() {
        while (!signal.aborted) {
          for (const who of nobody) {
            yield rpc({ messages: [await announcing(who, target.runId, message)] });
            announced += 1;
          }
          await sleep(everyMs, undefined, { signal }).catch(() => {});
        }
      }
      return Promise.race([caller.gossip(all()).catch(() => {}), aborted(signal)]);
    }),
  );
  await aborted(signal);
  await Promise.all(callers.map((caller) => caller.stop()));
  return { text: `${announced} announcements by ${ids} ids` };
}
