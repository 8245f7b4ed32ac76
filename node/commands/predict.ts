/** @file `lorikeet predict`: the class of each text, how sure the model is, and which come next. */

import { createDisplay, table } from '../display.ts';
import { UserError } from '../errors.ts';
import { type Classifier, openClassifier, type Prediction } from '../generate/classifier.ts';
import { labelData, openData, readRows } from '../texts/data.ts';
import { dataOptions } from './dataflags.ts';
import { deviceFlags, type Flags, interruptSignal } from './flags.ts';
import { provideNamed } from './provide.ts';

/** Classes shown after the first. */
const RUNNERS_UP = 2;
/** Characters of a text that are shown. */
const SHOWN = 60;
/** Texts that are classified before any of them is printed. */
const GROUP = 512;

export async function predict(
  words: readonly string[],
  flags: Flags,
  given: Readonly<Record<string, unknown>>,
): Promise<void> {
  if (words.length > 0 === (flags.data !== undefined))
    throw new UserError('usage', 'predict: wanted texts, or --data FILE that holds them');
  const options = dataOptions(flags);
  const texts = flags.data === undefined ? words : readRows(String(flags.data), options).map(({ text }) => text);
  await provideNamed(flags);
  const display = createDisplay();
  const interrupt = interruptSignal(() => display.note('stopping'));
  const adapter = typeof flags.adapter === 'string' ? flags.adapter : null;
  const classifier = await openClassifier({ adapter, given, ...deviceFlags(flags) });
  try {
    classifier.notes.forEach(display.note);
    if (typeof flags.calibrate === 'string') {
      const file = openData(flags.calibrate, options);
      await classifier.calibrate(labelData(file, classifier.run.task, options).labelled, interrupt.signal);
    }
    const sure = sureness(classifier);
    if (!flags.json) display.note(sure);
    for (let at = 0; at < texts.length; at += GROUP) {
      const group = await classifier.classify(texts.slice(at, at + GROUP), {
        signal: interrupt.signal,
        onProgress: (done) => display.progress('texts', at + done, texts.length),
      });
      display.close();
      const calibrated = classifier.temperature !== null;
      if (flags.json) for (const prediction of group) console.log(jsonOf(prediction, classifier.classes, calibrated));
      else
        console.log(
          table(
            group.map((prediction) => row(prediction, classifier.classes)),
            'left',
          ).join('\n'),
        );
    }
  } finally {
    display.close();
    interrupt.dispose();
    await classifier.stop();
  }
}

function sureness({ temperature }: Classifier): string {
  return temperature === null
    ? 'uncalibrated: how sure the model is may not be how often it is right; --calibrate FILE of held-out labels fits it'
    : `calibrated: temperature ${temperature.toPrecision(3)}`;
}

/** Classes and their probabilities, the likeliest first. */
function ranked({ probabilities }: Prediction, classes: readonly string[]): [name: string, probability: number][] {
  return classes.map((name, k): [string, number] => [name, probabilities[k]!]).sort((a, b) => b[1] - a[1]);
}

function row(prediction: Prediction, classes: readonly string[]): string[] {
  const percent = (p: number): string => `${(100 * p).toFixed(1)} %`;
  const [first, ...others] = ranked(prediction, classes);
  const next = others.slice(0, RUNNERS_UP).map(([name, p]) => `${name} ${percent(p)}`);
  const text = prediction.text.replace(/\s+/g, ' ');
  return [first![0], percent(first![1]), next.join(', '), text.length > SHOWN ? `${text.slice(0, SHOWN)} ...` : text];
}

function jsonOf(prediction: Prediction, classes: readonly string[], calibrated: boolean): string {
  const { text, label, isCut } = prediction;
  const all = ranked(prediction, classes);
  const confidence = all[0]![1];
  return JSON.stringify({ text, label, confidence, classes: Object.fromEntries(all), calibrated, cut: isCut });
}
