/** @file A peer's texts while it learns: what its user adds and corrects is trained on from the next round, and kept. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createTrainer } from '../../node/engine/trainer.ts';
import { createClassLearner } from '../../node/train/classify.ts';
import { createNotebook } from '../../node/train/notebook.ts';
import { openClassRun } from '../../node/train/run.ts';
import { openNotes } from '../../node/ui/notes.ts';
import { settingsWith, temporaryFolder } from '../support.ts';

const run = await openClassRun(settingsWith({ labelPrior: 'off', generationRounds: 100, pseudoBase: 2, batchSize: 4 }));
const trainer = await createTrainer({
  base: run.settings.base,
  trainable: { type: 'lora', lora: run.lora },
  device: 'cpu',
  threads: 1,
});
const items = [
  { text: 'lovely', y: 1 },
  { text: 'awful', y: 0 },
  { text: 'lovely', y: 1 },
  { text: 'so so', y: null },
];

async function learner() {
  const notebook = await createNotebook(run.task, items);
  return createClassLearner({ run, trainer, ...pick(notebook), notebook });
}
const pick = <T extends { gold: unknown; unlabelled: unknown }>({
  gold,
  unlabelled,
}: T): Pick<T, 'gold' | 'unlabelled'> => ({
  gold,
  unlabelled,
});

const round = async (of: Awaited<ReturnType<typeof learner>>): Promise<Float32Array> =>
  (await of.train({ peer: 'a', round: 0, vector: run.initial, steps: 2 })).vector;

test('a corrected label is trained on, and taking it back gives the very same training as before', async () => {
  const one = await learner();
  assert.equal([one.labelled, one.unlabelled], [3, 1]);
  const before = await round(one);
  assert.equal(await round(await learner()), before, 'a round is a pure function of its texts');
  await one.texts!.revise([{ text: 'so so', y: 0 }]);
  assert.equal([one.labelled, one.unlabelled, one.alone!.labelled], [4, 0, 4]);
  const corrected = await round(one);
  assert.not.equal(corrected, before);
  await one.texts!.revise([{ text: 'lovely', y: 0 }]);
  assert.equal([one.labelled, one.unlabelled], [3, 1]);
  assert.not.equal(await round(one), before, 'both rows of that text have the other label');
  await one.texts!.revise([]);
  assert.equal(await round(one), before);
});

test('soft labels are drawn anew among texts that have changed', async () => {
  const one = await learner();
  await one.texts!.revise([
    ...['awful', 'lovely', 'so so'].map((text) => ({ text, y: null })),
    ...['fine', 'dull'].map((text) => ({ text, y: null })),
  ]);
  await round(one);
  const softly = [...one.texts!.softly()];
  assert.is(softly.length, 2);
  await one.texts!.revise(softly.map((text) => ({ text, y: 1 })));
  await round(one);
  assert.not.ok(
    softly.some((text) => one.texts!.softly().has(text)),
    'what has a label has no soft one',
  );
  const [probabilities] = await one.texts!.probabilities(['lovely'], run.initial);
  assert.ok(Math.abs(probabilities!.reduce((a, b) => a + b) - 1) < 1e-9);
});

test("notes outlive the peer, leave the user's file alone, and are refused where they say what cannot be", async () => {
  const folder = temporaryFolder();
  const notes = await openNotes(folder, (await learner()).texts!);
  await Promise.all([
    notes.put({ text: 'new', label: 'positive' }),
    notes.put({ text: 'so so', label: 'negative' }),
    notes.put({ text: 'plain', label: null }),
  ]);
  await notes.put({ text: 'so so', label: 'positive' });
  await notes.forget('plain');
  for (const [note, wanted] of [
    [{ text: 'x', label: 'none' }, /label: got "none"; wanted one of negative, positive, or none/],
    [{ text: ' ', label: null }, /text: got nothing; wanted some text/],
    [{ text: 'x'.repeat(20_001), label: null }, /text: got 20001 characters; wanted at most 20000/],
  ] as const) {
    const refused = await notes.put(note).then(
      () => '',
      (error: Error) => error.message,
    );
    assert.match(refused, wanted);
  }
  const again = await learner();
  await openNotes(folder, again.texts!);
  assert.equal(
    again.texts!.list().map(({ text, y, given, isNoted }) => [text, y, given, isNoted]),
    [
      ['lovely', 1, 1, false],
      ['awful', 0, 0, false],
      ['lovely', 1, 1, false],
      ['so so', 1, null, true],
      ['new', 1, undefined, true],
    ],
  );
  assert.equal(JSON.parse(readFileSync(join(folder, 'labels.json'), 'utf8')).length, 2);
  for (const bad of ['{', '{}', '[null]', '[{"text":1,"label":null}]']) {
    writeFileSync(join(folder, 'labels.json'), bad);
    const refused = await openNotes(folder, again.texts!).then(
      () => '',
      (error: Error) => error.message,
    );
    assert.match(refused, /labels\.json: .*; mend it, or remove it/, bad);
  }
});

test.after(() => trainer.stop());

test.run();
