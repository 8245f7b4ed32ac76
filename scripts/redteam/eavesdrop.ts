/**
 * @file What a neighbour learns of whose text a peer has trained on: membership inference by the loss (Yeom et al. 2018,
 * arXiv:1709.01604; among peers, Pasquini et al. 2023, arXiv:2205.08443). A member that keeps to the protocol keeps every
 * adapter it is sent, and asks each which texts it finds easier than the base does.
 */
import { createTrainer, type Trainer } from '../../node/engine/trainer.ts';
import type { Example } from '../../node/texts/data.ts';
import { createClassLearner } from '../../node/train/classify.ts';
import { type EncodedExample, encodeExamples } from '../../node/train/learner.ts';
import type { ClassRun } from '../../node/train/run.ts';
import type { Attack, Done, Target } from './attack.ts';
import { aborted } from './crowd.ts';
import { type Seen, spy } from './poison.ts';
import { learnRun, takePart } from './puppet.ts';
import { PEERS, reviews } from './texts.ts';

export const EAVESDROPPERS: Readonly<Record<string, Attack>> = {
  membership: {
    about: 'a member that keeps what it is sent, and tells by it which texts a neighbour has trained on',
    bars: {},
    course: { rule: 'mean', isByThemselves: false, isShort: false },
    run: eavesdrop,
  },
};

async function eavesdrop(target: Target, signal: AbortSignal, begin: () => void): Promise<Done> {
  const { run: opened, limits } = await learnRun(target);
  const run = opened as ClassRun;
  const trainer = await createTrainer({
    base: run.base.path,
    trainable: { type: 'lora', lora: run.lora },
    device: 'cpu',
    threads: 1,
  });
  const { shares, test } = reviews();
  const gold = await encodeExamples(run.task, shares[PEERS]!.gold);
  const learner = createClassLearner({ run, trainer, gold, unlabelled: [] });
  const seen = new Map<string, Seen>();
  /** The last adapter that a neighbour has trained, and the last it has only mixed. */
  const trained = new Map<string, Float32Array>();
  const { runtime } = await takePart(run, target, {
    train: async (round, adapter, steps) => {
      const { vector } = await learner.train({ peer: 'listener', round, vector: run.wire.unpack(adapter), steps });
      return { adapter: run.wire.pack(vector), stats: { loss: null } };
    },
    onEvent: (event) => {
      spy(event, seen, limits);
      for (const [id, { round, adapter }] of seen) if (round < run.settings.rounds) trained.set(id, adapter);
    },
  });
  begin();
  await Promise.race([runtime.finished, aborted(signal)]);
  await runtime.stop();
  // Which texts are whose is known here only to score the guesses: the honest are told by the order of their addresses.
  const ids = target.addresses.map((address) => address.split('/').at(-1)!);
  const losses = (vector: Float32Array, texts: readonly Example[]): Promise<number[]> =>
    lossesOf(trainer, run, run.wire.unpack(vector), texts);
  const start = run.wire.pack(run.initial);
  const aucs = { trained: [] as number[], mixed: [] as number[] };
  for (const [i, id] of ids.entries()) {
    const { kind, gold: members } = shares[i]!;
    const perKind = test.length / 3;
    const nth = ['products', 'films', 'restaurants'].indexOf(kind);
    const others = test.slice(nth * perKind, (nth + 1) * perKind); // of the same kind, and nobody's
    const gain = async (vector: Float32Array, texts: readonly Example[]): Promise<number[]> => {
      const [before, after] = [await losses(start, texts), await losses(vector, texts)];
      return before.map((loss, k) => loss - after[k]!);
    };
    for (const [what, from] of [
      ['trained', trained.get(id)],
      ['mixed', seen.get(id)?.adapter],
    ] as const)
      if (from) aucs[what].push(areaUnder(await gain(from, members), await gain(from, others)));
  }
  await trainer.stop();
  const text = (all: readonly number[]): string => {
    const average = all.reduce((a, b) => a + b, 0) / all.length;
    return `${average.toFixed(2)} (${all.map((auc) => auc.toFixed(2)).join(', ')})`;
  };
  return {
    text: `kept the adapters of ${trained.size} neighbours`,
    more: `membership AUC ${text(aucs.trained)} by what each sent after its last training, ${text(aucs.mixed)} by what it sent last; 0.5 is chance`,
  };
}

async function lossesOf(
  trainer: Trainer,
  run: ClassRun,
  vector: Float32Array,
  texts: readonly Example[],
): Promise<number[]> {
  const examples: readonly EncodedExample[] = await encodeExamples(run.task, texts);
  const sequences = examples.map(({ sequence }) => sequence);
  const rows = await trainer.score({ vector, labels: run.labels, padId: run.task.padId, sequences });
  return rows.map((row, i) => {
    const most = Math.max(...row);
    const sum = row.reduce((total, logit) => total + Math.exp(logit - most), 0);
    return most + Math.log(sum) - row[texts[i]!.y]!;
  });
}

/** How often one of the first is larger than one of the second; the area under the ROC curve. */
export function areaUnder(first: readonly number[], second: readonly number[]): number {
  const wins = first.reduce((sum, a) => sum + second.reduce((own, b) => own + (a > b ? 1 : a === b ? 0.5 : 0), 0), 0);
  return wins / (first.length * second.length);
}
