/** @file Members that hinder by doing little: nobody is to wait for them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RuntimeOptions } from '../../node/runtime.ts';
import { type Attack, FLOOD, PLACES, SILENCE, type Target } from './attack.ts';
import { aborted, announceAs, here, regularly } from './crowd.ts';
import { guests } from './names.ts';
import { throughCable } from './proxy.ts';
import { createPuppet, learnRun, takePart } from './puppet.ts';

/** Bytes after which the slowest has come to know everybody. */
const ACQUAINTED = 60_000;

export const SILENT: Readonly<Record<string, Attack>> = {
  quiet: {
    about: 'nobody attacks: what the machine itself does to these figures',
    bars: { ...FLOOD, ...SILENCE },
    isLong: true,
    run: async (_target, signal, begin) => {
      begin();
      await aborted(signal);
      return { text: 'nothing' };
    },
  },
  silent: {
    about: 'a member that announces itself round after round and sends nothing',
    bars: SILENCE,
    isLong: true,
    run: async (target, signal, begin) => {
      const learned = await learnRun(target);
      let round = 0;
      const puppet = await createPuppet(target, learned, (_from, message) => {
        if (message.type === 'announce' || message.type === 'data') round = Math.max(round, message.round);
      });
      begin();
      const announced = await regularly(signal, () => puppet.announce(here(round)));
      await puppet.host.stop();
      return { text: `announced itself ${announced} times, up to round ${round}, and sent nothing` };
    },
  },
  slow: {
    about: 'a member that takes ten times as long as the others for a round',
    bars: SILENCE,
    isLong: true,
    run: async (target, signal, begin) => {
      const { run } = await learnRun(target);
      let rounds = 0;
      const { runtime } = await takePart(run, target, {
        train: async (_round, adapter) => {
          await sleep(10 * target.roundMs, undefined, { signal }).catch(() => {});
          rounds += 1;
          return { adapter, stats: { loss: null } };
        },
      });
      begin();
      await aborted(signal);
      await runtime.stop();
      return { text: `trained ${rounds} rounds of ${Math.round(10 * target.roundMs)} ms` };
    },
  },
  trickle: {
    about: 'a member whose line carries a byte a second once everybody knows it',
    bars: SILENCE,
    isLong: true,
    run: async (target, signal, begin) => {
      const round = await throughCables(target, signal, begin, { up: { afterBytes: ACQUAINTED, bytesPerSecond: 1 } });
      return {
        text: `took part until its first ${ACQUAINTED / 1000} kB were sent, then a byte a second; at round ${round}`,
      };
    },
  },
  deaf: {
    about: 'a member that takes nothing more of what it is sent once everybody knows it',
    bars: { ...SILENCE, moreMb: 150, backMb: 20 },
    isLong: true,
    run: async (target, signal, begin) => {
      const round = await throughCables(target, signal, begin, { down: { afterBytes: ACQUAINTED, bytesPerSecond: 0 } });
      return { text: `took ${ACQUAINTED / 1000} kB of each, then nothing; at round ${round}` };
    },
  },
  dead: {
    about: 'members by the places of one invite whose addresses are dead',
    bars: SILENCE,
    isLong: true,
    run: async (target, signal, begin) => {
      const names = await guests(target, PLACES);
      const carriers = names.slice(0, target.addresses.length);
      const at = (id: string, i: number): string =>
        `/ip4/${target.host.replace(/\.\d+$/, `.${150 + i}`)}/tcp/9/p2p/${id}`;
      return announceAs(target, signal, begin, { carriers, names, round: 0, addresses: (id, i) => [at(id, i)] });
    },
  },
};

/** Takes part over squeezed lines until it is told to stop; gives the round it then is at. */
async function throughCables(
  target: Target,
  signal: AbortSignal,
  begin: () => void,
  squeezed: Parameters<typeof throughCable>[1],
): Promise<number> {
  const { run } = await learnRun(target);
  const addresses = await Promise.all(target.addresses.map((address) => throughCable(address, squeezed, signal)));
  const train: RuntimeOptions['train'] = async (_round, adapter) => ({ adapter, stats: { loss: null } });
  const { runtime, peer } = await takePart(run, { ...target, addresses }, { train });
  begin();
  await aborted(signal);
  await runtime.stop();
  return peer.round;
}
