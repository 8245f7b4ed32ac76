/** @file `lorikeet eval`: an adapter's accuracy on labelled texts, and its base's beside it. */
import { readAdapter } from '../adapter.ts';
import { createDisplay, percent, table } from '../display.ts';
import { UserError } from '../errors.ts';
import { columnNames } from '../train/columns.ts';
import { labelData, openData } from '../train/data.ts';
import { encodeExamples, evaluate, labelWords } from '../train/learner.ts';
import { createTrainer } from '../train/trainer.ts';
import { dataOptions } from './dataflags.ts';
import { deviceFlags, type Flags, interruptSignal } from './flags.ts';

export async function evaluateAdapter(flags: Flags, given: Readonly<Record<string, unknown>>): Promise<void> {
  const path = String(flags.data);
  const { run, vector } = await readAdapter(String(flags.adapter), given);
  const options = dataOptions(flags);
  const file = openData(path, options);
  const { labelled } = labelData(file, run.task, options);
  if (labelled.length === 0)
    throw new UserError(
      'usage',
      `${path}: no row has a label (columns: ${columnNames(file.columns)}); wanted labelled texts`,
    );
  const display = createDisplay();
  const interrupt = interruptSignal(() => display.note('stopping'));
  const trainer = await createTrainer({
    base: run.settings.base,
    trainable: { type: 'lora', lora: run.lora },
    ...deviceFlags(flags),
  });
  try {
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
        }),
      );
      return;
    }
    const rows = [
      [`accuracy on ${examples.length} texts of ${path}`, ''],
      ['base, zero-shot', percent(zeroShot.share)],
      ['base, label prior removed', percent(base.share)],
      ['adapter', percent(adapter.share)],
    ];
    console.log(table(rows).join('\n'));
  } finally {
    interrupt.dispose();
    await trainer.stop();
  }
}
