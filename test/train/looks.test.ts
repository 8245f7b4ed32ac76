/** @file Whether joining helps, told on the way: which texts are held out, and how far a peer trains alone for that. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { heldOut } from '../../node/train/held-out.ts';
import { createLooks, type Look } from '../../node/train/looks.ts';
import type { Exam, Learner } from '../../node/train/objective.ts';
import type { Run } from '../../node/train/run.ts';
import { tokenLossOf } from '../../node/train/score.ts';

const texts = (count: number): string[] => Array.from({ length: count }, (_, i) => `text ${i}`);
const chosen = (all: readonly string[], count: number | null): string[] => all.filter(heldOut(all, count));

test('held-out texts are the same ones each time, as many as were asked for, and stay so as others come', () => {
  const all = texts(400);
  assert.is(chosen(all, 7).length, 7);
  assert.is(chosen(all, 0).length, 0);
  assert.equal(new Set(chosen([...all].reverse(), 7)), new Set(chosen(all, 7)));
  const few = chosen(texts(200), null);
  assert.ok(few.length >= 20 && few.length <= 50, `${few.length} of 200`);
  assert.equal(
    chosen(all, null).slice(0, few.length),
    few,
    'who is held out stays so, and nobody who was trained on comes in',
  );
  assert.is(chosen(texts(39), null).length, 0, 'too few to spare any');
  assert.ok(chosen(texts(5000), null).length <= 100);
  const twice = [...texts(50), ...texts(50)];
  const held = chosen(twice, 5);
  assert.equal(held.slice(0, 5), held.slice(5), 'texts that are alike go together');
});

/** A run of ten rounds whose training alone takes a second, and each scoring half of one, by a clock of its own. */
function begin() {
  let ms = 0;
  const looks: Look[] = [];
  const rounds: number[] = [];
  const learner = {
    train: async ({ round, vector }: { round: number; vector: Float32Array }) => {
      ms += 1000;
      rounds.push(round);
      return { vector: vector.map((x) => x + 1), losses: [], diverged: null };
    },
  };
  const exam: Exam = {
    count: 4,
    score: async (vector) => {
      ms += 500;
      return tokenLossOf([[-vector[0]!]]);
    },
  };
  const started = createLooks({
    run: {
      settings: { rounds: 10, localSteps: 1 },
      initial: new Float32Array([7]),
      start: new Float32Array([0]),
    } as unknown as Run,
    learner: { alone: learner as unknown as Learner } as Learner,
    ...{ exam, peer: 'me', every: 1, now: () => ms },
    onLook: (look) => looks.push(look),
    onTrouble: (error) => {
      throw error;
    },
  });
  return { ...started, looks, rounds, pass: (more: number) => (ms += more), now: () => ms };
}

test('a peer trains alone for a fifth of the time at most, never ahead of the swarm, and says how far it is', async () => {
  const { idle, swarm, looks, rounds, pass, now } = begin();
  for (let round = 0; round < 10; round++) {
    pass(2500);
    await idle(round);
    swarm(round, round + 1);
  }
  assert.ok(rounds.length >= 2, `${rounds.length} rounds alone`);
  assert.ok(1500 * rounds.length <= 0.2 * now() + 1500, `${rounds.length} rounds of 1.5 s in ${now() / 1000} s`);
  assert.equal(rounds, [...rounds.keys()]);
  const last = looks.at(-1)!;
  assert.equal(last, { base: 7, alone: rounds.length, swarm: 9, at: { alone: rounds.length, swarm: 10 } });
});

test('who is stopped trains alone no further and says nothing more', async () => {
  const { idle, swarm, stop, looks, rounds } = begin();
  await idle(0);
  stop();
  const told = looks.length;
  await idle(1);
  swarm(1, 2);
  assert.equal([rounds, looks.length], [[0], told]);
});

test.run();
