/**
 * @file Members that say something else than what they have learned: the attacks of sim/world/attacks.ts by a real process,
 * which sees what the honest send it and waits for that before it sends its own.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createTrainer } from '../../node/engine/trainer.ts';
import { createClassLearner } from '../../node/train/classify.ts';
import { encodeExamples } from '../../node/train/learner.ts';
import type { ClassRun } from '../../node/train/run.ts';
import { sha256 } from '../../node/train/run.ts';
import { CODECS, decode } from '../../protocol/codec.ts';
import type { Effect, Event } from '../../protocol/events.ts';
import { decodeFrame, encodeFrame, type FrameLimits } from '../../protocol/frame.ts';
import { createPrng, type Prng } from '../../protocol/prng.ts';
import { norm } from '../../protocol/vector.ts';
import { ATTACKS, LESSONS, type Sight } from '../../sim/world/attacks.ts';
import type { Attack, Done, Target } from './attack.ts';
import { aborted } from './crowd.ts';
import { learnRun, takePart } from './puppet.ts';
import { PEERS, reviews } from './texts.ts';

/** What a neighbour sent last. */
export interface Seen {
  readonly round: number;
  readonly adapter: Float32Array;
  readonly radius: number;
}

/** How long the honest are waited for in a round, so that their adapters are known (ms). */
const SPY_MS = 3000;
const RULES = ['clip', 'mean'] as const;
/** Nobody, for comparison, and one that does all in turn, a round each. */
const [NOBODY, IN_TURN] = ['nobody', 'in-turn'] as const;

export const POISONS: Readonly<Record<string, Attack>> = Object.fromEntries(
  RULES.flatMap((rule) =>
    [NOBODY, ...Object.keys(ATTACKS), IN_TURN].map((kind): [string, Attack] => [
      `${rule}/${kind}`,
      {
        about: `with rule ${rule}: ${aboutOf(kind)}`,
        bars: {},
        course: { rule, isByThemselves: kind === NOBODY, isShort: rule === 'clip' && kind === IN_TURN },
        run: (target, signal, begin) => poison(kind, target, signal, begin),
      },
    ]),
  ),
);

function aboutOf(kind: string): string {
  if (kind === NOBODY) return 'the four by themselves, to compare with';
  return kind === IN_TURN ? 'all of these in turn, a round each' : ATTACKS[kind]!.about;
}

async function poison(kind: string, target: Target, signal: AbortSignal, begin: () => void): Promise<Done> {
  const { run, limits } = await learnRun(target);
  const kinds = kind === IN_TURN ? Object.keys(ATTACKS) : [kind];
  const trainer = await createTrainer({
    base: run.base.path,
    trainable: { type: 'lora', lora: run.lora },
    device: 'cpu',
    threads: 1,
  });
  const classes = run as ClassRun;
  const { learns } = ATTACKS[kind] ?? {};
  const dealt = reviews().shares[PEERS]!.gold.map(({ text, y }) => ({ text, y }));
  const own = learns ? LESSONS[learns](dealt, classes.task.classes.length) : dealt;
  const gold = await encodeExamples(classes.task, own);
  const learner = createClassLearner({ run: classes, trainer, gold, unlabelled: [] });
  const seen = new Map<string, Seen>();
  const lie = liar(kinds, { seen, limits, settings: run.settings, prng: createPrng('poison') });
  let lies = 0;
  const { peer, runtime } = await takePart(run, target, {
    train: async (round, adapter, steps) => {
      const { vector } = await learner.train({ peer: 'attacker', round, vector: run.wire.unpack(adapter), steps });
      const end = performance.now() + SPY_MS;
      const isSeen = (): boolean => [...seen.values()].filter((one) => one.round === round).length >= PEERS;
      while (!isSeen() && performance.now() < end) await sleep(5);
      return { adapter: run.wire.pack(vector), stats: { loss: null } };
    },
    onEvent: (event) => spy(event, seen, limits),
    onEffect: (when, effect) => {
      const bytes = when === 'before' && effect.type === 'send' ? lie(effect) : null;
      if (!bytes) return;
      Object.assign(effect, { bytes });
      lies += 1;
    },
  });
  begin();
  await Promise.race([runtime.finished, aborted(signal)]);
  await runtime.stop();
  await trainer.stop();
  return {
    text:
      kind === NOBODY
        ? `took part for ${peer.round} rounds`
        : `${learns ? 'learned what it should not' : `lied ${lies} times`} in ${peer.round} rounds`,
  };
}

/** Keeps what a neighbour sends. */
export function spy(event: Event, seen: Map<string, Seen>, limits: FrameLimits): void {
  if (event.type !== 'frame') return;
  const decoded = decodeFrame(event.bytes, limits, sha256);
  if (!decoded.ok || decoded.frame.message.type !== 'data') return;
  const { round, radius, payload } = decoded.frame.message;
  const adapter = decode(limits.codec, payload, limits.count);
  if (adapter) seen.set(event.from, { round, radius, adapter });
}

/** What is sent instead of an adapter; null: what was to be. */
function liar(
  kinds: readonly string[],
  {
    seen,
    limits,
    settings,
    prng,
  }: {
    seen: ReadonlyMap<string, Seen>;
    limits: FrameLimits;
    settings: Sight['settings'];
    prng: Prng;
  },
): (effect: Extract<Effect, { type: 'send' }>) => Uint8Array | null {
  const drawn = Float32Array.from({ length: limits.count }, prng.normal);
  const direction = drawn.map((x) => x / norm(drawn));
  return ({ to, bytes }) => {
    const decoded = decodeFrame(bytes, limits, sha256);
    if (!decoded.ok || decoded.frame.message.type !== 'data') return null;
    const { message, sequence } = decoded.frame;
    const lie = ATTACKS[kinds[message.round % kinds.length]!]?.lie;
    const target = seen.get(to);
    if (!lie || !target) return null;
    const honest = [...seen.values()].map(({ adapter }) => adapter);
    const own = decode(limits.codec, message.payload, limits.count)!;
    const sight = { own, to: [...seen.keys()].indexOf(to), target, honest, liars: 1, settings, prng, direction };
    const payload = CODECS[limits.codec].encode(lie(sight));
    const said = { ...message, payload, radius: Number.POSITIVE_INFINITY };
    return encodeFrame({ message: said, sequence }, limits.runId, sha256);
  };
}
