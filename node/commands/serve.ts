/** @file `lorikeet serve`: a model and its adapter for tools that speak OpenAI's language, on this machine alone. */
import { openAdapter } from '../adapter.ts';
import { openBase } from '../checkpoint/base.ts';
import { createDisplay } from '../display.ts';
import { messageOf, UserError } from '../errors.ts';
import { type Classifier, openClassifier } from '../generate/classifier.ts';
import { openLanguageModel } from '../generate/model.ts';
import { createModelServer } from '../generate/server.ts';
import { type Flags, integerFlag, interruptSignal, throwIfCrashed } from './flags.ts';
import { provideNamed } from './provide.ts';
import { modelOptions } from './writingflags.ts';

const MAX_ANSWER = 1 << 20;

export async function serve(flags: Flags): Promise<void> {
  await provideNamed(flags);
  const options = modelOptions(flags);
  const { base, adapter, threads } = options;
  if (base === null && adapter === null)
    throw new UserError('usage', 'serve: no model: wanted --base MODEL, or --adapter DIR whose base is here');
  // Of a task; --max-tokens is of answers here.
  const given = Object.fromEntries(
    ['base', 'prompt', 'labels'].flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]])),
  );
  const port = integerFlag(flags, 'port', 0, 65_535);
  const maxTokens = integerFlag({ 'max-tokens': flags.maxTokens }, 'max-tokens', 1, MAX_ANSWER);
  const display = createDisplay();
  const interrupt = interruptSignal(() => display.note('stopping'));
  const { architecture } =
    adapter === null ? await openBase(base!) : (await openAdapter(adapter, base ?? undefined)).base;
  const model = architecture.isCausal ? await openLanguageModel(options) : null;
  let classifier: Promise<Classifier> | null = null;
  try {
    const server = await createModelServer({
      name: adapter ?? base!,
      model,
      classifier: () => {
        classifier ??= openClassifier({ adapter, given, device: 'cpu', threads });
        return classifier;
      },
      port,
      maxTokens,
      onError: (error) => display.note(`a request failed: ${messageOf(error)}`),
    });
    model?.notes.forEach(display.note);
    const routes = model ? '/v1/completions, /v1/chat/completions, /classify' : '/classify';
    console.log(`http://127.0.0.1:${server.port} answers at ${routes}; /v1/models names the model; Ctrl-C ends it`);
    await new Promise((resolve) => interrupt.signal.addEventListener('abort', resolve));
    await server.stop();
    throwIfCrashed(interrupt.signal);
  } finally {
    interrupt.dispose();
    await model?.stop();
    await (classifier as Promise<Classifier> | null)?.then(
      (opened) => opened.stop(),
      () => {},
    );
  }
}
