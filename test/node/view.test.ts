/** @file What is shown of a peer: whom it waits for and how long still, a line a stage in a pipe, plain words. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createPeerView, stageLines, viewLines } from '../../node/commands/view.ts';
import type { Display } from '../../node/display.ts';
import { counted } from '../../node/figures.ts';
import type { ParticipantView } from '../../node/participant-view.ts';

const ANNA = '12D3KooWAAAAAAAAAAAAAAAAAAAAanna11';
const BERT = '12D3KooWBBBBBBBBBBBBBBBBBBBBbert22';

const viewOf = (changed: Partial<ParticipantView>): ParticipantView => ({
  id: 'me',
  name: '',
  round: 3,
  rounds: 14,
  phase: 'exchanging',
  isHeld: false,
  loss: 0.5,
  score: null,
  distance: 0.02,
  crossTerm: 0.001,
  neighbours: 1,
  late: 0,
  diverged: 0,
  abandoned: 1,
  undecided: [],
  mixedWith: {},
  adoptedFrom: null,
  pseudo: 0,
  coverage: 0,
  precision: null,
  members: 3,
  wanted: 3,
  standing: { connected: [ANNA, BERT], awaited: [BERT], untilMs: 41_000, isPausing: false },
  comparison: null,
  ways: [],
  names: {},
  objective: 'classify',
  labelled: 16,
  unlabelled: 120,
  sentBytes: 1000,
  refused: { 'bad-hash': 2 },
  ...changed,
});
const linesOf = (view: ParticipantView, isVerbose = false): string =>
  viewLines(view, { isVerbose, leftMs: 90_000, nowMs: 1000, givesUpMs: null }).join('\n');

test('the live view says connected to whom, waiting for whom and how long still, the time left, and which texts', () => {
  const text = linesOf(viewOf({}));
  assert.match(text, /^round +3 of 14, about 90 s left$/m);
  assert.match(text, /^now +waiting for the adapter of \.\.bert22, 40 s at most$/m);
  assert.match(text, /^connected to +\.\.anna11, \.\.bert22$/m);
  assert.match(text, /^your texts +16 labelled, 120 unlabelled$/m);
  assert.match(text, /^mixed with +1 neighbour in the last round$/m);
});

test('whoever gives itself a name is called by it, beside its id; and through what it is reached stands there', () => {
  const names = { [ANNA]: 'anna' };
  const ways = [
    { id: ANNA, relay: null, through: 'lan' as const },
    { id: BERT, relay: ANNA, through: 'relay' as const },
  ];
  const standing = { connected: [ANNA, BERT], awaited: [ANNA], untilMs: null, isPausing: false };
  const text = linesOf(viewOf({ names, ways, standing }));
  assert.match(text, /^connected to +anna \(\.\.anna11\) on the LAN, \.\.bert22 by way of anna \(\.\.anna11\)$/m);
  assert.match(text, /^now +waiting for the adapter of anna \(\.\.anna11\)$/m);
});

test('base, alone and swarm stand in the view as soon as they are known, with their rounds; of writing with perplexity', () => {
  const comparison = { texts: 12, base: 0.5, alone: 0.75, swarm: 0.875, at: { alone: 1, swarm: 3 } };
  assert.match(
    linesOf(viewOf({ comparison })),
    /^joining +base 50\.0 %, alone 75\.0 % after 1 round, swarm 87\.5 % after 3 rounds on 12 texts nobody here trains on$/m,
  );
  const loss = { ...comparison, base: 2, alone: null, swarm: Math.log(4) };
  assert.match(
    linesOf(viewOf({ objective: 'next-token', comparison: loss })),
    /^joining +base 2\.000 \(perplexity 7\.4\), swarm 1\.386 \(perplexity 4\.0\) after 3 rounds on/m,
  );
  assert.not.match(linesOf(viewOf({})), /joining|writes/);
});

test('what base, alone and swarm write stands in the view, and in no event, since events are logged', () => {
  const samples = { prompt: 'the dog', base: 'a a a', alone: null, swarm: 'sat down', at: { alone: 0, swarm: 2 } };
  const comparison = { texts: 12, base: 2, alone: null, swarm: 1, at: { alone: 0, swarm: 3 }, samples };
  const view = viewOf({ objective: 'next-token', comparison });
  assert.match(
    linesOf(view),
    /^base writes +"the dog" \.\.\. "a a a"\nswarm writes +"the dog" \.\.\. "sat down" after 2 rounds$/m,
  );
  const { events } = inPipe(false, { comparison });
  const { texts, base } = events.find(({ event }) => event === 'compared') as Record<string, unknown>;
  assert.equal([texts, base], [12, 2]);
  assert.not.match(JSON.stringify(events), /sat down/);
});

test('a peer that gathers says how many are missing', () => {
  const standing = { connected: [], awaited: [], untilMs: null, isPausing: false };
  const text = linesOf(viewOf({ phase: 'gathering', members: 1, wanted: 3, standing }));
  assert.match(text, /^now +waiting for 2 more peers: 1 of 3 here$/m);
  assert.match(text, /^connected to +nobody yet$/m);
});

test('a peer that waits for its first company says when it gives up, and is never silent for more than a minute', () => {
  const standing = { connected: [], awaited: [], untilMs: null, isPausing: false };
  const view = viewOf({ phase: 'gathering', members: 1, wanted: 3, round: 0, standing });
  const lines = stageLines();
  const at: number[] = [];
  for (let s = 0; s <= 600; s++) {
    const shown = { isVerbose: false, leftMs: null, nowMs: 1000 * s, givesUpMs: 900_000 };
    const line = lines(view, shown);
    if (line === null) continue;
    at.push(s);
    assert.match(line, /^waiting for 2 more peers: 1 of 3 here, gives up in \d+ (s|min)$/);
  }
  assert.equal(at.slice(0, 5), [0, 10, 30, 70, 130]);
  assert.ok(at.every((s, i) => i === 0 || s - at[i - 1]! <= 60) && at.at(-1)! > 540, `${at}`);
});

test('a long wait for the adapter of a neighbour is told again; training is no wait', () => {
  const lines = stageLines();
  const told = (view: ParticipantView, s: number): string | null =>
    lines(view, { isVerbose: false, leftMs: null, nowMs: 1000 * s, givesUpMs: null });
  told(viewOf({ phase: 'training' }), 0);
  const standing = { connected: [BERT], awaited: [BERT], untilMs: 90_000, isPausing: false };
  const waiting = viewOf({ phase: 'exchanging', standing });
  assert.equal(
    [0, 9, 10, 29, 30].map((s) => told(waiting, s)),
    [null, null, 'round 3 of 14: waiting for the adapter of ..bert22, 80 s at most', null].concat(
      'round 3 of 14: waiting for the adapter of ..bert22, 60 s at most',
    ),
  );
  const resting = { ...standing, awaited: [], untilMs: null };
  assert.equal(
    [100, 500].map((s) => told(viewOf({ phase: 'training', standing: resting }), s)),
    [null, null],
  );
});

test('a peer that pauses says so, and when it goes on without the rest', () => {
  const standing = { connected: [ANNA], awaited: [], untilMs: 31_000, isPausing: true };
  const text = linesOf(viewOf({ phase: 'gathering', members: 2, wanted: 3, standing }));
  assert.match(text, /^now +pausing, left with too few others: 2 of 3 here; goes on without the rest in 30 s$/m);
});

test('distance, cross term and refusals are for --verbose, in words', () => {
  assert.not.match(linesOf(viewOf({})), /distance|cross term|refused|bad-hash/);
  const text = linesOf(viewOf({}), true);
  assert.match(text, /^distance +2\.0e-2: how far the neighbours' adapters were/m);
  assert.match(text, /^cross term +1\.0e-3: how far averaging/m);
  assert.match(text, /^refused +2 damaged on the way$/m);
  assert.match(text, /^given up +1 exchange, /m);
});

/** A run of 300 rounds in a pipe: the lines, and the events. */
function inPipe(
  isVerbose: boolean,
  changed: Partial<ParticipantView> = {},
): { lines: string[]; events: Record<string, unknown>[] } {
  const lines: string[] = [];
  const events: Record<string, unknown>[] = [];
  const display: Display = {
    isTerminal: false,
    note: (line) => lines.push(line),
    live: () => {},
    progress: () => {},
    mute: () => {},
    close: () => {},
  };
  const view = createPeerView({ display, isVerbose, follow: (event) => events.push({ ...event }) });
  view.show(viewOf({ phase: 'gathering', members: 1, round: 0, rounds: 300 }));
  for (let round = 0; round < 300; round++) {
    for (const phase of ['training', 'exchanging'] as const)
      view.show(viewOf({ phase, round, rounds: 300, ...changed }));
  }
  view.show(viewOf({ phase: 'finished', round: 300, rounds: 300 }));
  view.stop();
  return { lines, events };
}

test('progress in a pipe is a line a stage, and every round with --verbose', () => {
  const { lines } = inPipe(false);
  assert.match(lines[0]!, /^waiting for 2 more peers: 1 of 3 here/);
  assert.match(lines[1]!, /^round 0 of 300: 3 members, /);
  assert.is(lines.length, 1 + 10 + 1, lines.join('\n'));
  assert.is(inPipe(true).lines.length, 1 + 300 + 1);
});

test('whoever follows gets an event a round, in their order, and one where more has been refused', () => {
  const [told, ...events] = inPipe(false).events;
  assert.is(told!.event, 'refused');
  assert.equal([events[0]!.event, events[0]!.members, events[0]!.wanted], ['waiting', 1, 3]);
  assert.equal(
    events.slice(1).map(({ event, round }) => [event, round]),
    Array.from({ length: 300 }, (_, round) => ['round', round]),
  );
});

test('one peer is not peers', () => {
  assert.equal(
    [counted(1, 'peer'), counted(0, 'peer'), counted(2, 'match', 'matches')],
    ['1 peer', '0 peers', '2 matches'],
  );
});

test.run();
