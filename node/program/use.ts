/** @file Commands that use what was learned: score it, classify and write with it, hand it to other tools. */
import type { Command } from 'commander';
import {
  type Flags,
  isTaskSetting,
  settingsOf,
  withData,
  withDevice,
  withMachine,
  withModel,
  withSampling,
  withSettings,
  withState,
} from './shared.ts';

export function addUsing(program: Command): void {
  const evaluate = program
    .command('eval')
    .summary('score an adapter, and its base beside it')
    .description('Score an adapter on labelled texts, or on texts it should write like, and its base beside it.');
  withData(withMachine(evaluate))
    .requiredOption('--adapter <dir>', 'a PEFT adapter folder')
    .requiredOption('--data <file>', 'labelled texts, or texts it should write like')
    .option('--base <name>', 'base model the adapter belongs to')
    .option('--objective <name>', 'what an adapter is scored for that does not say so: classify | next-token')
    .option('--prompt <text>', "another cloze prompt than the adapter's")
    .option('--labels <pairs>', "other classes and words than the adapter's")
    .action(async (flags: Flags) => (await import('../commands/eval.ts')).evaluateAdapter(flags, settingsOf(flags)));

  const predict = program
    .command('predict')
    .summary('classify texts: label, confidence, runners-up')
    .description('Classify texts with an adapter or a base: label, confidence, runners-up.')
    .argument('[texts...]', 'texts to classify, each in quotation marks');
  withSettings(
    withData(withDevice(predict))
      .option('--data <file>', 'texts to classify, instead: .tsv, .csv, .json or .jsonl')
      .option('--adapter <dir>', 'a PEFT adapter folder; default: the base alone')
      .option('--json', 'print a JSON object a text, a line each, on stdout, everything else on stderr')
      .option('--calibrate <file>', 'held-out labelled texts, 50 or more, to make the model as sure as it is right'),
    isTaskSetting,
  ).action(async (texts: string[], flags: Flags) =>
    (await import('../commands/predict.ts')).predict(texts, flags, settingsOf(flags)),
  );

  withState(
    program
      .command('export')
      .summary('write the adapter where other tools can load it')
      .description('Write an adapter where other tools can load it, with a card that tells of it.')
      .requiredOption('-o, --out <dir>', 'folder to write')
      .option('--format <name>', 'peft | merged | onnx | gguf | merged-gguf', 'peft')
      .option('--dtype <name>', 'of what is merged: f32 | f16 | bf16; default: f32'),
  )
    .option('--adapter <dir>', 'instead of a state: an adapter folder, also one that PEFT has made')
    .option('--base <name>', 'with --adapter: another base model than the folder names')
    .action(async (flags: Flags) => (await import('../commands/export.ts')).exportAdapter(flags));

  const generate = program
    .command('generate')
    .description('Write on after a prompt, as it is, with a causal model.')
    .argument('<prompt>', 'what the text begins with, in quotation marks');
  withSampling(withModel(generate), { temperature: '0', maxTokens: '256' })
    .option('--json', 'print prompt, text, tokens and seconds as one JSON object, instead of the text as it comes')
    .action(async (prompt: string, flags: Flags) => (await import('../commands/generate.ts')).generate(prompt, flags));

  const chat = program
    .command('chat')
    .description('Talk with a causal model through its chat template, a line a turn.');
  withSampling(withModel(chat), { temperature: '0.7', maxTokens: '1024' })
    .option('--system <text>', "what the model is told first; default: its template's own")
    .action(async (flags: Flags) => (await import('../commands/chat.ts')).chat(flags));

  const serve = program
    .command('serve')
    .description("Answer OpenAI's requests on this machine: completions, chats and classes.");
  withSettings(
    withModel(serve)
      .option('--port <number>', 'TCP port to listen on, at 127.0.0.1; 0: a free one', '8080')
      .option('--max-tokens <count>', 'tokens of an answer at most', '1024'),
    (name) => ['prompt', 'labels'].includes(name),
  ).action(async (flags: Flags) => (await import('../commands/serve.ts')).serve(flags));
}
