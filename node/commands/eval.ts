/** @file `lorikeet eval`: an adapter's accuracy on labelled texts, class by class where they are uneven, and its base's beside it. */
import { readAdapter } from '../adapter.ts';
import { createDisplay } from '../display.ts';
import { UserError } from '../errors.ts';
import { columnNames } from '../train/columns.ts';
import { labelData, openData } from '../train/data.ts';
import { leftOutLine } from '../train/inspect.ts';
import { encodeExamples, evaluate, labelWords } from '../train/learner.ts';
import { classCounts, majorityShare } from '../train/score.ts';
import { createTrainer } from '../train/trainer.ts';
import { dataOptions } from './dataflags.ts';
import { deviceFlags, type Flags, interruptSignal } from './flags.ts';
import { provideBase } from './provide.ts';
import { hasPrior, scoreLines } from './scores.ts';

export async function evaluateAdapter(flags: Flags, given: Readonly<Record<string, unknown>>): Promise<void> {
  const path = String(flags.data);
  if (given.base !== undefined) await provideBase(String(given.base), { isNamed: true, flags });
  const { run, vector, notes } = await readAdapter(String(flags.adapter), given);
  const options = dataOptions(flags);
  const file = openData(path, options);
  const read = labelData(file, run.task, options);
  const { labelled } = read;
  if (labelled.length === 0)
    throw new UserError(
      'usage',
      `${path}: no row has a label (columns: ${columnNames(file.columns)}); wanted labelled texts`,
    );
  const display = createDisplay();
  const interrupt = interruptSignal(() => display.note('stopping'));
  const trainer = await createTrainer({
    base: run.base.path,
    trainable: { type: 'lora', lora: run.lora },
    ...deviceFlags(flags),
  });
  try {
    const leftOut = leftOutLine(file, read);
    [...notes, ...(leftOut ? [leftOut] : [])].forEach(display.note);
    if (trainer.notice) display.note(trainer.notice);
    const examples = await encodeExamples(run.task, labelled);
    const score = (label: string, v: Float32Array, labels = run.labels) =>
      evaluate(
        {
          trainer,
          task: run.task,
          labels,
          vector: v,
          signal: interrupt.signal,
          onProgress: (done, total) => display.progress(label, done, total),
        },
        examples,
      );
    const adapter = await score('adapter', vector);
    const base = await score('base', run.initial);
    const zeroShot = await score('base, zero-shot', run.initial, labelWords(run.task, []));
    display.close();
    if (flags.json) {
      console.log(
        JSON.stringify({
          data: path,
          examples: examples.length,
          adapter: adapter.share,
          base: base.share,
          baseZeroShot: zeroShot.share,
          labelPriorRemoved: hasPrior(run.settings),
          balanced: { adapter: adapter.balanced, base: base.balanced, baseZeroShot: zeroShot.balanced },
          classes: run.task.classes,
          majority: majorityShare(classCounts(adapter.confusion)),
          confusion: { adapter: adapter.confusion, base: base.confusion, baseZeroShot: zeroShot.confusion },
        }),
      );
      return;
    }
    const rows = [
      { name: 'base, zero-shot', accuracy: zeroShot },
      ...(hasPrior(run.settings) ? [{ name: 'base, label prior removed', accuracy: base }] : []),
      { name: 'adapter', accuracy: adapter },
    ];
    console.log(scoreLines(`${examples.length} texts of ${path}`, rows, run.task.classes).join('\n'));
  } finally {
    interrupt.dispose();
    await trainer.stop();
  }
}
