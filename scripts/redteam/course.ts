/** @file A whole run beside somebody who poisons it: what the honest have learned in the end, beside what they learn by themselves. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readAdapter } from '../../node/adapter.ts';
import { createTrainer, type Trainer } from '../../node/engine/trainer.ts';
import { percent } from '../../node/figures.ts';
import { type EncodedExample, encodeExamples, evaluate } from '../../node/train/learner.ts';
import type { ClassRun } from '../../node/train/run.ts';
import { norm } from '../../protocol/vector.ts';
import type { Attack, Done } from './attack.ts';
import { type Outcome, type Scene, targetOf } from './judge.ts';
import type { Place } from './places.ts';
import { startSwarm, stateOf } from './swarm.ts';
import { labelledTexts, PEERS, reviews } from './texts.ts';

/** Rounds of training, and in a short run one for each attack. */
const [ROUNDS, SHORT_ROUNDS] = [12, 10];
const END_MS = 240_000;
/** Points of accuracy that the honest may lose, on average. */
const LOST_POINTS = 5;
/** Adapters begin at a norm of about 5, and training moves them little. */
const [LEAST_NORM, MOST_NORM] = [2, 15];
const TEST_TEXTS = 300;

export interface Learned {
  readonly mean: number;
  readonly worst: number;
  readonly mostNorm: number;
  readonly leastNorm: number;
}

export interface Examiner {
  examine(folders: readonly string[], isScored: boolean): Promise<Learned>;
  stop(): Promise<void>;
}

/** Runs the course to its end; `compared`: by themselves, null where that is this very one. */
export async function judgeCourse(
  name: string,
  attack: Attack,
  scene: Omit<Scene, 'swarm' | 'newcomer'> & { readonly places: readonly Place[] },
  { examiner, compared }: { examiner: Examiner; compared: Learned | null },
): Promise<{ outcome: Outcome; learned: Learned }> {
  const { attacker, folder, pace, places, signal } = scene;
  const { rule, isByThemselves } = attack.course!;
  const isShort = !pace.isTimed;
  const settings = isShort
    ? ['--rounds', String(SHORT_ROUNDS), '--local-steps', '1', '--label-prior', 'off']
    : ['--rounds', String(ROUNDS)];
  const swarm = await startSwarm({
    folder,
    places,
    texts: labelledTexts(false),
    flags: [
      ...settings,
      '--rule',
      rule,
      '--min-peers',
      String(isByThemselves ? PEERS : PEERS + 1),
      '--soft-labels',
      'none',
    ],
    isWaiting: true,
  });
  try {
    if (!isByThemselves) await attacker.start(name, targetOf({ ...scene, swarm }, 0));
    const end = performance.now() + END_MS;
    while (swarm.peers.some(({ ended }) => ended === null) && performance.now() < end)
      await sleep(50, undefined, { signal });
    const done: Done = isByThemselves ? { text: 'nobody attacked' } : await attacker.stop();
    const broken = swarm.peers.flatMap(({ ended }, i) =>
      ended === 'exit 0' ? [] : [`peer ${i + 1}: ${ended ?? 'not at its end'}`],
    );
    const learned =
      broken.length > 0
        ? { mean: 0, worst: 0, mostNorm: Number.POSITIVE_INFINITY, leastNorm: 0 }
        : await examiner.examine(
            swarm.peers.map((peer) => join(stateOf(peer), 'adapter')),
            !isShort,
          );
    const lost = compared === null ? 0 : 100 * (compared.mean - learned.mean);
    const problems = [
      ...broken,
      ...(lost > LOST_POINTS ? [`the honest lost ${lost.toFixed(1)} points`] : []),
      ...(learned.leastNorm < LEAST_NORM ? [`an adapter of norm ${learned.leastNorm.toFixed(1)}`] : []),
      ...(learned.mostNorm > MOST_NORM ? [`an adapter of norm ${learned.mostNorm.toFixed(0)}`] : []),
    ];
    const beside = compared ? ` (${percent(compared.mean)} by themselves)` : '';
    const figures = isShort ? '' : `accuracy ${percent(learned.mean)}${beside}, at worst ${percent(learned.worst)}; `;
    const more = `${figures}norms ${learned.leastNorm.toFixed(1)} to ${learned.mostNorm.toFixed(1)}${done.more ? `; ${done.more}` : ''}`;
    // What plain averaging does not withstand is no news (docs/protocol.md).
    const isDocumented = rule === 'mean' && problems.length > 0 && broken.length === 0;
    const outcome = { name, did: done.text, held: problems.length === 0, problems, more, isDocumented };
    return { outcome, learned };
  } finally {
    await swarm.stop();
  }
}

/** Scores adapters by a trainer of its own, opened when it is needed. */
export function createExaminer(): Examiner {
  let opened: { run: ClassRun; trainer: Trainer; examples: readonly EncodedExample[] } | null = null;
  return {
    examine: async (folders, isScored) => {
      const adapters = await Promise.all(folders.map((folder) => readAdapter(folder, {})));
      const sizes = adapters.map(({ vector }) => norm(vector));
      const norms = { mostNorm: Math.max(...sizes), leastNorm: Math.min(...sizes) };
      if (!isScored) return { mean: 0, worst: 0, ...norms };
      const shares: number[] = [];
      for (const adapter of adapters) {
        const run = adapter.run as ClassRun;
        opened ??= await open(run);
        const { trainer, examples } = opened;
        const score = await evaluate({ trainer, task: run.task, labels: run.labels, vector: adapter.vector }, examples);
        shares.push(score.share!);
      }
      return { mean: shares.reduce((a, b) => a + b, 0) / shares.length, worst: Math.min(...shares), ...norms };
    },
    stop: async () => {
      await opened?.trainer.stop();
    },
  };
}

async function open(run: ClassRun) {
  const trainer = await createTrainer({
    base: run.base.path,
    trainable: { type: 'lora', lora: run.lora },
    device: 'cpu',
    threads: 2,
  });
  const { test } = reviews();
  const every = Math.ceil(test.length / TEST_TEXTS);
  const examples = await encodeExamples(
    run.task,
    test.filter((_, i) => i % every === 0),
  );
  return { run, trainer, examples };
}
