/** @file How a peer's run has ended: whom it mixed with, whether joining helped, where the adapter is. */
import { bytesText, counted, type Display, percent, table } from '../display.ts';
import type { Participant, ParticipantView } from '../participant.ts';
import { trainAlone } from '../train/alone.ts';
import { type EncodedExample, evaluate, labelWords } from '../train/learner.ts';
import type { Run } from '../train/run.ts';
import type { Trainer } from '../train/trainer.ts';
import type { Flags } from './flags.ts';

interface Comparison {
  readonly baseZeroShot: number | null;
  readonly base: number | null;
  readonly alone: number | null;
  readonly swarm: number | null;
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
  const alone = await trainAlone({
    run,
    trainer,
    examples: gold,
    peer: participant.id,
    signal,
    onProgress: (done, total) => display.progress('training alone, to compare', done, total),
  });
  const score = async (label: string, vector: Float32Array, words = labels): Promise<number | null> =>
    (
      await evaluate(
        {
          trainer,
          task,
          labels: words,
          vector,
          signal,
          onProgress: (done, total) => display.progress(label, done, total),
        },
        test,
      )
    ).share;
  const result = {
    baseZeroShot: await score('base, zero-shot', run.initial, labelWords(task, [])),
    base: await score('base', run.initial),
    alone: await score('alone', alone),
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
        accuracy,
      }),
    );
    return;
  }
  if (accuracy) {
    const rows = [
      [`accuracy on ${counted(result.tested, 'text')}`, ''],
      ['base, zero-shot', percent(accuracy.baseZeroShot)],
      ['base, label prior removed', percent(accuracy.base)],
      ['alone', percent(accuracy.alone)],
      ['swarm', percent(accuracy.swarm)],
    ];
    console.log(`${table(rows).join('\n')}\n`);
  }
  console.log(companyText(view));
  console.log(
    `the run is over after ${counted(view.rounds, 'round')}; sent ${bytesText(traffic.sentBytes)}\nthe adapter, in PEFT's format: ${adapter}`,
  );
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
