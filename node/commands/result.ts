/** @file How a peer's run has ended: whom it mixed with, whether joining helped, where the adapter is. */
import { bytesText, counted, type Display, table } from '../display.ts';
import type { Participant, ParticipantView } from '../participant.ts';
import { trainAlone } from '../train/alone.ts';
import { type EncodedExample, evaluate, labelWords } from '../train/learner.ts';
import type { Run } from '../train/run.ts';
import { type Accuracy, classCounts, majorityShare } from '../train/score.ts';
import type { Trainer } from '../train/trainer.ts';
import type { Flags } from './flags.ts';
import { hasPrior, scoreLines } from './scores.ts';

interface Comparison {
  readonly baseZeroShot: Accuracy;
  readonly base: Accuracy;
  /** Null where there was no labelled text to train on alone. */
  readonly alone: Accuracy | null;
  readonly swarm: Accuracy;
}

/** Does joining help? Base, alone (own labels, as many steps), swarm, on texts nobody here trained on. */
export async function compare(
  display: Display,
  context: {
    run: Run;
    trainer: Trainer;
    gold: readonly EncodedExample[];
    test: readonly EncodedExample[];
    signal: AbortSignal;
  },
  participant: Participant,
): Promise<Comparison> {
  const { run, trainer, gold, test, signal } = context;
  const { task, labels } = run;
  const trainedAlone = (): Promise<Float32Array> =>
    trainAlone({
      run,
      trainer,
      examples: gold,
      peer: participant.id,
      signal,
      onProgress: (done, total) => display.progress('training alone, to compare', done, total),
    });
  const alone = gold.length > 0 ? await trainedAlone() : null;
  const score = (label: string, vector: Float32Array, words = labels): Promise<Accuracy> =>
    evaluate(
      {
        trainer,
        task,
        labels: words,
        vector,
        signal,
        onProgress: (done, total) => display.progress(label, done, total),
      },
      test,
    );
  const result = {
    baseZeroShot: await score('base, zero-shot', run.initial, labelWords(task, [])),
    base: await score('base', run.initial),
    alone: alone && (await score('alone', alone)),
    swarm: await score('swarm', participant.adapter()),
  };
  display.close();
  return result;
}

/** Prints how a run has ended: as lines, or as one JSON object. */
export function printResult(
  flags: Flags,
  result: { run: Run; participant: Participant; adapter: string; accuracy: Comparison | null; tested: number },
): void {
  const { participant, adapter, accuracy, run } = result;
  const { view, traffic } = participant;
  if (flags.json) {
    console.log(
      JSON.stringify({
        ...(flags.follow ? { event: 'result' } : {}),
        id: participant.id,
        runId: run.runId,
        rounds: view.rounds,
        sentBytes: traffic.sentBytes,
        refused: view.refused,
        mixedWith: view.mixedWith,
        undecided: view.undecided,
        adapter,
        accuracy: accuracy && figuresOf(accuracy, ({ share }) => share),
        ...(accuracy
          ? {
              balanced: figuresOf(accuracy, ({ balanced }) => balanced),
              classes: run.task.classes,
              majority: majorityShare(classCounts(accuracy.swarm.confusion)),
              confusion: { alone: accuracy.alone?.confusion ?? null, swarm: accuracy.swarm.confusion },
            }
          : {}),
      }),
    );
    return;
  }
  if (accuracy) {
    const rows = [
      { name: 'base, zero-shot', accuracy: accuracy.baseZeroShot },
      ...(hasPrior(run.settings) ? [{ name: 'base, label prior removed', accuracy: accuracy.base }] : []),
      { name: accuracy.alone ? 'alone' : 'alone: no labelled text to train on', accuracy: accuracy.alone },
      { name: 'swarm', accuracy: accuracy.swarm },
    ];
    console.log(`${scoreLines(counted(result.tested, 'text'), rows, run.task.classes).join('\n')}\n`);
  }
  console.log(companyText(view));
  console.log(
    `the run is over after ${counted(view.rounds, 'round')}; sent ${bytesText(traffic.sentBytes)}\nthe adapter, in PEFT's format: ${adapter}`,
  );
}

function figuresOf(
  { baseZeroShot, base, alone, swarm }: Comparison,
  figure: (accuracy: Accuracy) => number | null,
): Readonly<Record<keyof Comparison, number | null>> {
  return {
    baseZeroShot: figure(baseZeroShot),
    base: figure(base),
    alone: alone && figure(alone),
    swarm: figure(swarm),
  };
}

/** Rounds mixed with whom, the most first; and what was left open. */
function companyText({ mixedWith, undecided, adoptedFrom }: ParticipantView): string {
  const company = Object.entries(mixedWith).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  const rows = [['mixed with', 'rounds'], ...company.map(([id, rounds]) => [id, String(rounds)])];
  const lines = company.length > 0 ? [...table(rows), ''] : [];
  if (adoptedFrom) lines.push(`came late: went on with the adapter of ${adoptedFrom}`);
  if (undecided.length > 0)
    lines.push(`undecided: whether ${undecided.join(', ')} mixed the last exchange; settled should both come back`);
  if (company.length === 0 && !adoptedFrom)
    lines.push("nothing was mixed with anybody: the adapter is this peer's own");
  return lines.join('\n');
}
