/** @file How a peer's run has ended: whom it mixed with, whether joining helped, where the adapter is. */
import type { Comparison as Told } from '../chronicle/record.ts';
import { type Display, table } from '../display.ts';
import { bytesText, counted } from '../figures.ts';
import type { Participant } from '../participant.ts';
import type { ParticipantView } from '../participant-view.ts';
import { type Compared, compareOn } from '../train/compare.ts';
import type { Exam, Learner } from '../train/objective.ts';
import type { ClassRun, Run } from '../train/run.ts';
import { classCounts, figureOf, majorityShare } from '../train/score.ts';
import type { Flags } from './flags.ts';
import { asAccuracy, baseRows, classesOf, figuresOf, lossFields, scoreLines } from './scores.ts';
import { helpsText } from './view.ts';

/** Does joining help? Shown while it is found out. */
export async function compare(
  display: Display,
  { run, learner, exam, signal }: { run: Run; learner: Learner; exam: Exam; signal: AbortSignal },
  participant: Participant,
): Promise<Compared> {
  const compared = await compareOn(exam, {
    ...{ run, learner, signal, peer: participant.id, swarm: participant.adapter() },
    onProgress: display.progress,
  });
  display.close();
  return compared;
}

/** The same for the page; base and swarm have always been scored. */
export function comparisonOf({ base, alone, swarm }: Compared, texts: number): Told {
  return { texts, base: figureOf(base) ?? 0, alone: alone && figureOf(alone), swarm: figureOf(swarm), at: null };
}

/** Prints how a run has ended: as lines, or as one JSON object. */
export function printResult(
  flags: Flags,
  result: { run: Run; participant: Participant; adapter: string; compared: Compared | null; tested: number },
): void {
  const { participant, adapter, compared, run } = result;
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
        comparison: view.comparison,
        ...(run.objective === 'classify' ? classFields(run, compared) : writingFields(compared)),
      }),
    );
    return;
  }
  if (compared) {
    const rows = [
      ...baseRows(compared.base, compared.baseZeroShot),
      { name: compared.alone ? 'alone' : 'alone: no labelled text to train on', score: compared.alone },
      { name: 'swarm', score: compared.swarm },
    ];
    console.log(`${scoreLines(counted(result.tested, 'text'), rows, classesOf(run)).join('\n')}\n`);
  } else if (view.comparison) console.log(`does joining help? ${helpsText(view, view.comparison)}\n`);
  console.log(companyText(view));
  console.log(
    `the run is over after ${counted(view.rounds, 'round')}; sent ${bytesText(traffic.sentBytes)}\nthe adapter, in PEFT's format: ${adapter}`,
  );
}

function classFields({ task }: ClassRun, compared: Compared | null): object {
  if (!compared) return { accuracy: null };
  const { baseZeroShot, base, alone, swarm } = compared;
  const scores = { baseZeroShot: baseZeroShot ?? base, base, alone, swarm };
  const confusion = { alone: asAccuracy(alone)?.confusion ?? null, swarm: asAccuracy(swarm)!.confusion };
  return {
    accuracy: figuresOf(scores, (score) => asAccuracy(score)?.share ?? null),
    balanced: figuresOf(scores, (score) => asAccuracy(score)?.balanced ?? null),
    classes: task.classes,
    majority: majorityShare(classCounts(confusion.swarm)),
    confusion,
  };
}

function writingFields(compared: Compared | null): object {
  if (!compared) return { loss: null, perplexity: null };
  const { base, alone, swarm } = compared;
  return lossFields({ base, alone, swarm });
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
