/** @file How a peer's part in a run ends: over, left, or stopped before that; what is written and said then. */
import { join } from 'node:path';
import { keepEarlier, writeAdapter } from '../adapter.ts';
import type { Display } from '../display.ts';
import { EXIT, UserError } from '../errors.ts';
import { resultOf, writeResult } from '../export/result.ts';
import { counted } from '../figures.ts';
import type { Participant } from '../participant.ts';
import type { Exam, Learner } from '../train/objective.ts';
import type { Run } from '../train/run.ts';
import type { Desk } from './desk.ts';
import { type Flags, throwIfCrashed } from './flags.ts';
import { compare, comparisonOf, printResult } from './result.ts';

/** A part in a run, to be ended. */
export interface Part {
  readonly flags: Flags;
  readonly display: Display;
  /** The state folder. */
  readonly folder: string;
  readonly run: Run;
  readonly participant: Participant;
  readonly desk: Desk;
  readonly learner: Learner;
  /** Texts to test on, where there are. */
  readonly exam: Exam | null;
  readonly signal: AbortSignal;
  /** Training rounds of the runs that it went on from. */
  readonly earlierRounds: number;
}

type Write = (write: () => Promise<void>) => Promise<void>;

/** Stopped by its user, or, after `waited` seconds, since nobody came: then throws a UserError. */
export function endEarly(
  { display, folder, participant, signal }: Part,
  waited: number | null,
  follow: (event: Readonly<Record<string, unknown>>) => void,
): void {
  const { round, members, wanted } = participant.view;
  follow({ event: 'stopped', round });
  throwIfCrashed(signal);
  if (waited !== null)
    throw new UserError(
      'unreachable',
      `nobody came in ${waited} s: ${members} of ${counted(wanted, 'peer')} here; the state is kept in ${folder}, --wait waits longer`,
    );
  display.note(`stopped at round ${round}; the same command goes on from there (${folder})`);
  process.exitCode = EXIT.interrupted;
}

/** Writes the adapter as it is now; gives its folder. What stood there of another run is kept beside it. */
export async function keepAdapter({ folder, run, participant }: Part, write: Write): Promise<string> {
  const adapter = join(folder, 'adapter');
  const vector = participant.adapter();
  await write(async () => {
    await keepEarlier(adapter, run.runId);
    await writeAdapter(adapter, { run, vector });
  });
  return adapter;
}

/** It has said goodbye, since it was asked to. */
export function endByLeaving({ flags, display, run, participant, desk }: Part, adapter: string): void {
  const { round } = participant.view;
  desk.record('left', { round });
  const facts = { id: participant.id, runId: run.runId, round, adapter };
  if (flags.json) console.log(JSON.stringify({ ...(flags.follow ? { event: 'left' } : {}), ...facts }));
  display.note(`left the run at round ${round}; the adapter is in ${adapter}; the same command comes back`);
}

/** The run is over: says whether joining has helped, and writes that beside the adapter. */
export async function endWell(part: Part, adapter: string, write: Write): Promise<void> {
  const { flags, display, folder, run, participant, desk, learner, exam, signal, earlierRounds } = part;
  desk.stage('scoring');
  const compared = exam && (await compare(display, { run, learner, exam, signal }, participant));
  if (compared) participant.chronicle.compared(comparisonOf(compared, exam?.count ?? 0));
  const known = resultOf(learner, compared, exam?.count ?? 0);
  const { rounds, mixedWith, adoptedFrom } = participant.view;
  const vector = participant.adapter();
  const facts = { ...known, rounds: rounds + earlierRounds, peers: Object.keys(mixedWith).length };
  await write(async () => {
    await writeResult(folder, run.runId, known);
    await writeAdapter(adapter, { run, vector, facts });
  });
  desk.record('over', { rounds, sentBytes: participant.traffic.sentBytes, mixedWith });
  printResult(flags, { run, participant, adapter, compared, tested: exam?.count ?? 0 });
  // Alone on purpose is another matter.
  if (Object.keys(mixedWith).length === 0 && !adoptedFrom && run.settings.minPeers > 1)
    process.exitCode = EXIT.unreachable;
}
