/** @file A peer that stands still, for tests of what is shown of one. */
import type { Sight } from '../../../node/chronicle/chronicle.ts';

export const OTHER = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN';
export const SIGHT: Sight = {
  subject: {
    ...{ id: 'me', name: 'lab "3"', runId: 'ab', objective: 'classify', classes: [], base: 'b', rule: 'clip' },
    ...{ codec: 'int8', schedule: 'random-regular', rounds: 12, closingRounds: 2, isOpen: false },
  },
  head: () => ({
    ...{ phase: 'exchanging', round: 7, members: 4, wanted: 2, awaited: [OTHER], untilMs: null, isPausing: false },
    ...{ labelled: 8, unlabelled: 0, sentBytes: 0, receivedBytes: 0, diverged: 1, adoptedFrom: null, undecided: [] },
  }),
  members: () => [],
  isBanned: () => false,
  nameOf: () => '',
};
