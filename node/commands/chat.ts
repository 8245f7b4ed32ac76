/** @file `lorikeet chat`: a conversation with a model through its chat template, a line a turn; what was said is not read twice. */
import { createInterface } from 'node:readline';
import { createDisplay } from '../display.ts';
import { UserError } from '../errors.ts';
import type { ChatTemplate, Message } from '../formats/chat-template.ts';
import { type LanguageModel, openLanguageModel } from '../generate/model.ts';
import { onPipeClosed } from '../pipes.ts';
import type { Flags } from './flags.ts';
import { provideNamed } from './provide.ts';
import { modelOptions, samplingFlags } from './writingflags.ts';

export async function chat(flags: Flags): Promise<void> {
  const { sampling, maxTokens } = samplingFlags(flags);
  const display = createDisplay();
  await provideNamed(flags);
  const model = await openLanguageModel(modelOptions(flags));
  try {
    model.notes.forEach(display.note);
    const { chat: template } = model;
    if (!template)
      throw new UserError(
        'incompatible',
        `${model.name}: the model has no chat template; wanted one tuned for chats, or "lorikeet generate"`,
      );
    const system: Message[] = typeof flags.system === 'string' ? [{ role: 'system', content: flags.system }] : [];
    const talk = { model, template, system, maxTokens, note: display.note };
    let [history, turn] = [[] as Message[], 0];
    await eachLine(async (line, signal) => {
      if (line === '') return;
      const { kept, prompt } = fitting(talk, [...history, { role: 'user', content: line }]);
      const seed = `${sampling.seed}/${turn++}`;
      const answer = await model.answer(prompt, {
        sampling: { ...sampling, seed },
        maxTokens,
        signal,
        onText: (text) => process.stdout.write(text),
      });
      process.stdout.write('\n');
      history = [...kept, { role: 'assistant', content: answer.text }];
    });
  } finally {
    await model.stop();
  }
}

interface Talk {
  readonly model: LanguageModel;
  readonly template: ChatTemplate;
  readonly system: readonly Message[];
  readonly maxTokens: number;
  readonly note: (line: string) => void;
}

/** The conversation, without its oldest turns where it would leave the answer no room. Throws a UserError on a line that does. */
function fitting(
  { model, template, system, maxTokens, note }: Talk,
  messages: readonly Message[],
): { kept: readonly Message[]; prompt: readonly number[] } {
  const room = Math.min(maxTokens, Math.floor(model.maxTokens / 4));
  for (let kept = messages; ; kept = kept.slice(2)) {
    const prompt = template.encode([...system, ...kept], true).ids;
    const isFitting = prompt.length + room <= model.maxTokens;
    if (!isFitting && kept.length > 1) continue;
    const left = (messages.length - kept.length) / 2;
    if (left > 0)
      note(
        `(the first ${left === 1 ? 'turn is' : `${left} turns are`} forgotten: the model holds ${model.maxTokens} tokens)`,
      );
    return { kept, prompt };
  }
}

/**
 * Takes lines from stdin, one after the other. Ctrl-C ends the answer at hand; where none is, it ends the conversation, as the
 * end of the input does, and a reader of the output that has gone.
 */
async function eachLine(take: (line: string, signal: AbortSignal) => Promise<void>): Promise<void> {
  const terminal = process.stdin.isTTY === true;
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ', terminal });
  let [answering, isOpen] = [null as AbortController | null, true];
  lines.on('close', () => {
    isOpen = false;
  });
  const interrupt = (): void => {
    if (answering) answering.abort();
    else lines.close();
  };
  const end = (): void => {
    lines.close();
    answering?.abort();
  };
  lines.on('SIGINT', interrupt);
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', end);
  const forget = onPipeClosed(end);
  try {
    if (terminal) lines.prompt();
    for await (const line of lines) {
      answering = new AbortController();
      await take(line.trim(), answering.signal);
      answering = null;
      if (terminal && isOpen) lines.prompt();
    }
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', end);
    forget();
  }
}
