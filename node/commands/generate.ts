/** @file `lorikeet generate`: a model writes on after a prompt, as it is, with no template around it. */
import { createDisplay } from '../display.ts';
import { EXIT } from '../errors.ts';
import { openLanguageModel } from '../generate/model.ts';
import { type Flags, interruptSignal, throwIfCrashed } from './flags.ts';
import { provideNamed } from './provide.ts';
import { modelOptions, samplingFlags } from './writingflags.ts';

export async function generate(text: string, flags: Flags): Promise<void> {
  const { sampling, maxTokens } = samplingFlags(flags);
  const display = createDisplay();
  const interrupt = interruptSignal(() => {});
  await provideNamed(flags);
  const model = await openLanguageModel(modelOptions(flags));
  try {
    model.notes.forEach(display.note);
    const began = performance.now();
    const answer = await model.answer(model.encode(text), {
      sampling,
      maxTokens,
      signal: interrupt.signal,
      ...(flags.json ? {} : { onText: (part) => process.stdout.write(part) }),
    });
    const seconds = (performance.now() - began) / 1000;
    throwIfCrashed(interrupt.signal);
    if (flags.json) console.log(JSON.stringify({ prompt: text, ...answer, seconds: Number(seconds.toFixed(3)) }));
    else process.stdout.write('\n');
    if (answer.finish === 'cancelled') process.exitCode = EXIT.interrupted;
  } finally {
    interrupt.dispose();
    await model.stop();
  }
}
