/** @file Who belongs: made-up members, and members that say where the run is or what a newcomer is to go on with. */
import { CODECS } from '../../protocol/codec.ts';
import { type Attack, type Done, FLOOD, refusedAs, SILENCE, type Target } from './attack.ts';
import { announceAs, here, regularly } from './crowd.ts';
import { guests, strangers } from './names.ts';
import { createPuppet, learnRun } from './puppet.ts';

/** A round that nobody is at. */
const FAR = 90_000;

export const STRANGERS: Readonly<Record<string, Attack>> = {
  'far-round': {
    about: 'nine members by one invite say that they are at a far round',
    bars: SILENCE,
    run: farRound,
  },
  'made-up': {
    about: 'five hundred made-up ids by way of a member say that they take part',
    bars: { ...refusedAs(['not-admitted']), median: SILENCE.median! },
    run: async (target, signal, begin) => {
      const [carrier] = await guests(target, 1);
      const names = await strangers(target.isShort ? 100 : 500);
      return announceAs(target, signal, begin, { carriers: [carrier!], names, round: 0 });
    },
  },
  alike: {
    about: 'three members by one invite answer a newcomer alike, with an adapter of their own',
    bars: { ...SILENCE, newcomerMs: FLOOD.newcomerMs! },
    isOfNewcomers: true,
    run: answerAlike,
  },
  'open-far-round': {
    about: 'in an open run, nine made-up ids say that they are at a far round',
    bars: SILENCE,
    isOpen: true,
    run: farRound,
  },
  'open-alike': {
    about: 'in an open run, three made-up ids answer a newcomer alike, with an adapter of their own',
    bars: { ...SILENCE, newcomerMs: FLOOD.newcomerMs! },
    isOfNewcomers: true,
    isOpen: true,
    run: answerAlike,
  },
};

async function farRound(target: Target, signal: AbortSignal, begin: () => void): Promise<Done> {
  const names = await guests(target, 9);
  return announceAs(target, signal, begin, { carriers: names.slice(0, 1), names, round: FAR });
}

async function answerAlike(target: Target, signal: AbortSignal, begin: () => void): Promise<Done> {
  const learned = await learnRun(target);
  const { codec, count } = learned.limits;
  const payload = CODECS[codec].encode(new Float32Array(count).fill(0.01));
  let [round, answered] = [0, 0];
  const puppets = await Promise.all(
    Array.from({ length: 3 }, () =>
      createPuppet(target, learned, (from, message, puppet) => {
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
  return { text: answered > 0 ? `answered ${answered} times` : 'was asked by nobody, so nothing was answered' };
}
