/** @file `lorikeet eval`: an adapter's accuracy on labelled texts, or its loss on texts it should write like, and its base's beside it. */
import { readAdapter } from '../adapter.ts';
import { createDisplay } from '../display.ts';
import { createTrainer } from '../engine/trainer.ts';
import { UserError } from '../errors.ts';
import { columnNames } from '../texts/columns.ts';
import { openData } from '../texts/data.ts';
import type { ClassRun } from '../train/run.ts';
import { classCounts, majorityShare, type Score } from '../train/score.ts';
import { readTexts } from '../train/texts.ts';
import { dataOptions } from './dataflags.ts';
import { deviceFlags, type Flags, interruptSignal } from './flags.ts';
import { provideNamed } from './provide.ts';
import { asAccuracy, baseRows, classesOf, figuresOf, hasPrior, lossFields, scoreLines } from './scores.ts';

export async function evaluateAdapter(flags: Flags, given: Readonly<Record<string, unknown>>): Promise<void> {
  const path = String(flags.data);
  await provideNamed(flags);
  const { run, vector, notes } = await readAdapter(String(flags.adapter), given);
  const options = { ...dataOptions(flags), objective: run.objective };
  const texts = readTexts(run, openData(path, options), options);
  if (texts.scored === 0)
    throw new UserError(
      'usage',
      `${path}: no row has a label (columns: ${columnNames(texts.file.columns)}); wanted labelled texts`,
    );
  const display = createDisplay();
  const interrupt = interruptSignal(() => display.note('stopping'));
  const trainer = await createTrainer({
    base: run.base.path,
    trainable: { type: 'lora', lora: run.lora },
    ...deviceFlags(flags),
  });
  try {
    [...notes, ...(texts.leftOut ? [texts.leftOut] : [])].forEach(display.note);
    if (trainer.notice) display.note(trainer.notice);
    const exam = await texts.exam(run, trainer);
    const { signal } = interrupt;
    const score = (label: string, v: Float32Array, by = exam.score): Promise<Score> =>
      by(v, { signal, onProgress: (done, total) => display.progress(label, done, total) });
    const adapter = await score('adapter', vector);
    const base = await score('base', run.initial);
    const zeroShot = exam.scoreBare ? await score('base, zero-shot', run.initial, exam.scoreBare) : null;
    display.close();
    if (flags.json) {
      const fields =
        run.objective === 'classify'
          ? classFields({ adapter, base, baseZeroShot: zeroShot ?? base }, run)
          : lossFields({ adapter, base });
      console.log(JSON.stringify({ data: path, examples: exam.count, ...fields }));
      return;
    }
    const rows = [...baseRows(base, zeroShot), { name: 'adapter', score: adapter }];
    console.log(scoreLines(`${exam.count} texts of ${path}`, rows, classesOf(run)).join('\n'));
  } finally {
    interrupt.dispose();
    await trainer.stop();
  }
}

function classFields(scores: Readonly<Record<'adapter' | 'base' | 'baseZeroShot', Score>>, run: ClassRun): object {
  const confusionOf = (score: Score) => asAccuracy(score)!.confusion;
  return {
    ...figuresOf(scores, (score) => asAccuracy(score)!.share),
    labelPriorRemoved: hasPrior(run.settings),
    balanced: figuresOf(scores, (score) => asAccuracy(score)!.balanced),
    classes: run.task.classes,
    majority: majorityShare(classCounts(confusionOf(scores.adapter))),
    confusion: {
      adapter: confusionOf(scores.adapter),
      base: confusionOf(scores.base),
      baseZeroShot: confusionOf(scores.baseZeroShot),
    },
  };
}
