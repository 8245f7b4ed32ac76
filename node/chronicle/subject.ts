/** @file What a chronicle is of: the peer, and of its run what people ask for. */
import type { Run } from '../train/run.ts';
import type { Subject } from './record.ts';

export function subjectOf(run: Run, id: string, name: string): Subject {
  const { base, rule, codec, schedule, rounds, closingRounds, founder } = run.settings;
  return {
    ...{ id, name, runId: run.runId, objective: run.objective, base, rule, codec, schedule, rounds, closingRounds },
    classes: run.objective === 'classify' ? run.task.classes : [],
    isOpen: founder === '',
  };
}
