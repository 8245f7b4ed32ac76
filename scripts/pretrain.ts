/**
 * @file `npm run pretrain -- --text FILE... --out DIR`: trains a masked language model on text, going on from a base or from
 * nothing, with checkpoints; the same command goes on where it was stopped.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepareFolder } from '../node/adapter.ts';
import { writeFileAtomic } from '../node/atomic.ts';
import { type Base, openBase } from '../node/checkpoint/base.ts';
import { BUNDLED } from '../node/checkpoint/places.ts';
import { interruptSignal } from '../node/commands/flags.ts';
import { createDisplay, type Display } from '../node/display.ts';
import { EXIT, UserError } from '../node/errors.ts';
import { percent } from '../node/figures.ts';
import { openTokenizer } from '../node/formats/tokenizer.ts';
import { chartSvg } from '../node/page/parts/chart-svg.ts';
import { createPrng } from '../protocol/prng.ts';
import { type Arguments, readArguments, refuse, type Usage } from './arguments.ts';
import { type Blocks, cutBlocks, readDocuments, type SpecialTokens, tokenise } from './pretraining/corpus.ts';
import { exportModel, loadCheckpoint, saveCheckpoint } from './pretraining/files.ts';
import {
  createPretrainer,
  type HeldOut,
  type Pretrainer,
  type PretrainSettings,
  type PretrainState,
  startState,
} from './pretraining/loop.ts';
import { writeStart } from './pretraining/start.ts';

/** The numbers a command line may set, with their bounds. Defaults suit a model of five million weights and two cores. */
const NUMBERS: Readonly<Record<string, { value: number; min: number; max: number; about: string }>> = {
  steps: { value: 2000, min: 1, max: 1e9, about: 'optimiser steps' },
  batch: { value: 32, min: 1, max: 4096, about: 'blocks a step' },
  tokens: { value: 96, min: 8, max: 4096, about: 'tokens a block' },
  mask: { value: 0.2, min: 0.01, max: 0.9, about: 'share of the words hidden' },
  'learning-rate': { value: 2.5e-4, min: 0, max: 1, about: 'after the warm-up; falls to zero' },
  'warm-up': { value: 0.05, min: 0, max: 0.9, about: 'share of the steps' },
  'weight-decay': { value: 0.01, min: 0, max: 1, about: 'decoupled' },
  'held-out-blocks': { value: 400, min: 1, max: 1e6, about: 'blocks never trained on, scored now and then' },
  evaluate: { value: 500, min: 1, max: 1e9, about: 'steps between evaluations and checkpoints' },
  threads: { value: 0, min: 0, max: 1024, about: '0: one a core' },
};

const USAGE: Usage = {
  name: 'pretrain',
  about: 'Trains a masked language model on text; the same command goes on where it was stopped.',
  options: {
    text: { value: 'FILE', about: 'texts to train on (required)', multiple: true },
    out: { value: 'DIR', about: 'where model, checkpoint and log are kept (required)' },
    'held-out': { value: 'FILE', about: 'texts to score on; else every hundredth of the others', multiple: true },
    base: { value: 'NAME', about: `model to go on from, a folder or ${BUNDLED} (${BUNDLED})` },
    'from-scratch': { about: 'take configuration and tokenizer from the base, nothing it has learned' },
    seed: { value: 'TEXT', about: 'of every draw (1)' },
    ...Object.fromEntries(
      Object.entries(NUMBERS).map(([name, { value, about }]) => [name, { value: 'N', about: `${about} (${value})` }]),
    ),
  },
  examples: ['--text reviews.txt.gz --out my-base', '--text a.txt b.txt --out my-base --from-scratch --steps 20000'],
};

interface Options {
  readonly text: readonly string[];
  readonly heldOut: readonly string[];
  readonly out: string;
  readonly base: string;
  readonly fromScratch: boolean;
  readonly evaluate: number;
  readonly heldOutBlocks: number;
  readonly threads: number;
  readonly settings: PretrainSettings;
}

/** Reads the command line. Throws a UserError on what is missing or out of bounds. */
function readOptions(args: readonly string[]): Options {
  const { values } = parsed(args);
  const given = values as Record<string, string | string[] | undefined>;
  const numbers = Object.fromEntries(
    Object.entries(NUMBERS).map(([name, { value, min, max }]) => {
      const x = given[name] === undefined ? value : Number(given[name]);
      const whole = Number.isInteger(value) && Number.isInteger(min);
      if (given[name] === '' || !(x >= min && x <= max) || (whole && !Number.isInteger(x)))
        throw new UserError(
          'usage',
          `--${name}: got ${given[name]}; wanted ${whole ? 'a whole number' : 'a number'} from ${min} to ${max}`,
        );
      return [name, x];
    }),
  ) as Record<string, number>;
  if (!given.text || !given.out) throw new UserError('usage', `${given.text ? '--out' : '--text'} is missing`);
  return {
    text: given.text as string[],
    heldOut: (given['held-out'] ?? []) as string[],
    out: String(given.out),
    base: String(given.base ?? BUNDLED),
    fromScratch: values['from-scratch'] === true,
    evaluate: numbers.evaluate!,
    heldOutBlocks: numbers['held-out-blocks']!,
    threads: numbers.threads!,
    settings: {
      seed: String(given.seed ?? '1'),
      steps: numbers.steps!,
      batch: numbers.batch!,
      tokens: numbers.tokens!,
      maskShare: numbers.mask!,
      learningRate: numbers['learning-rate']!,
      warmUp: numbers['warm-up']!,
      weightDecay: numbers['weight-decay']!,
      clipNorm: 1,
    },
  };
}

/** A FILE after `--text FILE` counts as one more of them. */
function parsed(given: readonly string[]): Arguments {
  const args: string[] = [];
  let last = '';
  for (const arg of given) {
    if (arg.startsWith('--')) last = arg.split('=')[0]!;
    else if (args.length > 0 && !args.at(-1)!.startsWith('--') && (last === '--text' || last === '--held-out'))
      args.push(last);
    args.push(arg);
  }
  return readArguments(USAGE, args);
}

interface Corpora {
  readonly corpus: Blocks;
  readonly heldOut: Blocks;
  readonly special: SpecialTokens;
  readonly stream: Int32Array;
  /** Of the stream. */
  readonly sha256: string;
}

/** Tokenises the texts; without held-out files the first and every hundredth after it are held out. */
async function readCorpora(options: Options, base: Base, display: Display, signal: AbortSignal): Promise<Corpora> {
  const tokenizer = openTokenizer(base.path);
  const id = (name: string): number =>
    tokenizer.idOf(name) ??
    (() => {
      throw new UserError('usage', `${base.path}: the tokenizer has no ${name} token; wanted one of a BERT`);
    })();
  const special = { cls: id('[CLS]'), sep: id('[SEP]'), mask: id('[MASK]'), pad: id('[PAD]') };
  const documents = options.text.flatMap(readDocuments);
  const apart = options.heldOut.length > 0;
  const kept = apart ? documents : documents.filter((_, i) => i % 100 !== 0);
  const other = apart ? options.heldOut.flatMap(readDocuments) : documents.filter((_, i) => i % 100 === 0);
  const { tokens, seed, batch } = options.settings;
  const streamOf = (label: string, texts: readonly string[], seed_: string, limit: number): Promise<Int32Array> =>
    tokenise(tokenizer, texts, {
      sep: special.sep,
      limit,
      prng: createPrng(seed_).fork('documents'),
      signal,
      onProgress: (done, total) => display.progress(`reading ${label}`, done, total),
    });
  // The same words whatever the seed, so that runs can be compared.
  const few = await streamOf('held-out texts', other, 'held-out', options.heldOutBlocks * (tokens - 1));
  const heldOut = cutBlocks(few, tokens, special.cls);
  const stream = await streamOf('texts', kept, seed, Number.POSITIVE_INFINITY);
  const corpus = cutBlocks(stream, tokens, special.cls);
  for (const [name, blocks, least] of [
    ['--text', corpus, batch],
    ['--held-out', heldOut, 1],
  ] as const) {
    if (blocks.count < least)
      throw new UserError('usage', `${name}: ${blocks.count} blocks of ${tokens} tokens; wanted ${least} or more`);
  }
  return {
    corpus,
    heldOut,
    special,
    stream,
    sha256: createHash('sha256')
      .update(new Uint8Array(stream.buffer, stream.byteOffset, stream.byteLength))
      .digest('hex'),
  };
}

/** A model that has learned nothing but how words go together, made once. */
async function startFrom({ out, settings }: Options, like: Base, corpora: Corpora, display: Display): Promise<Base> {
  const name = createHash('sha256').update(`${like.sha256} ${corpora.sha256} ${settings.seed}`).digest('hex');
  const folder = join(out, `start-${name.slice(0, 12)}`);
  if (!existsSync(join(folder, 'model.safetensors'))) {
    display.note('counting which words stand together');
    await writeStart(folder, like, corpora.stream, settings.seed);
  }
  return openBase(folder);
}

interface LogLine {
  readonly step: number;
  readonly loss: number | null;
  readonly heldOut: HeldOut;
  readonly tokensPerSecond: number | null;
}

async function pretrain(options: Options, display: Display, signal: AbortSignal): Promise<void> {
  const { out, settings } = options;
  const like = await openBase(options.base);
  await prepareFolder(out);
  if (realpathSync(out) === realpathSync(like.path))
    throw new UserError('usage', `--out ${out}: is the base itself; wanted another folder`);
  if (settings.tokens > like.architecture.maxTokens)
    throw new UserError(
      'usage',
      `--tokens: got ${settings.tokens}; this base holds ${like.architecture.maxTokens} at most`,
    );
  const corpora = await readCorpora(options, like, display, signal);
  const base = options.fromScratch ? await startFrom(options, like, corpora, display) : like;
  const identity = createHash('sha256')
    .update(JSON.stringify([base.sha256, corpora.sha256, settings]))
    .digest('hex');
  let state = loadCheckpoint(out, identity) ?? (await startState(base));
  const pretrainer = await createPretrainer({ base, settings, ...corpora, threads: options.threads });
  const blockTokens = settings.batch * settings.tokens;
  display.note(
    `${(corpora.corpus.count * settings.tokens).toLocaleString('en')} tokens; ${settings.steps} steps of ${blockTokens}${state.step > 0 ? `; going on from step ${state.step}` : ''}`,
  );
  try {
    if (state.step === 0) {
      writeFileSync(join(out, 'log.jsonl'), '');
      await log(options, pretrainer, state, null, null, display);
    }
    let [losses, spent, counted]: [number[], number, number] = [[], 0, 0];
    while (state.step < settings.steps && !signal.aborted) {
      const began = performance.now();
      const done = await pretrainer.step(state);
      spent += performance.now() - began;
      counted += 1;
      state = done.state;
      losses.push(done.loss);
      display.progress('pre-training', state.step, settings.steps);
      await new Promise((resolve) => setImmediate(resolve)); // Ctrl-C is heard between steps
      if (state.step % options.evaluate !== 0 && state.step !== settings.steps) continue;
      await saveCheckpoint(out, state, identity);
      const loss = losses.reduce((a, b) => a + b, 0) / losses.length;
      await log(options, pretrainer, state, loss, (1000 * counted * blockTokens) / spent, display);
      [losses, spent, counted] = [[], 0, 0];
    }
    await saveCheckpoint(out, state, identity);
    await exportModel(out, base, state.vector);
    await writeFileAtomic(join(out, 'loss.svg'), chartOf(out));
  } finally {
    await pretrainer.release();
  }
  display.close();
  if (signal.aborted) {
    display.note(`stopped after step ${state.step}; the same command goes on from ${out}`);
    process.exitCode = EXIT.interrupted;
  } else console.log(`${out}: the model, its checkpoint, log.jsonl and loss.svg; try it with --base ${out}`);
}

async function log(
  options: Options,
  pretrainer: Pretrainer,
  { step, vector }: PretrainState,
  loss: number | null,
  tokensPerSecond: number | null,
  display: Display,
): Promise<void> {
  const heldOut = await pretrainer.evaluate(vector);
  appendFileSync(
    join(options.out, 'log.jsonl'),
    `${JSON.stringify({ step, loss, heldOut, tokensPerSecond } satisfies LogLine)}\n`,
  );
  const trained = loss === null ? '' : `trained loss ${loss.toFixed(3)}, ${Math.round(tokensPerSecond!)} tokens/s, `;
  display.note(
    `step ${step}: ${trained}held out: loss ${heldOut.loss.toFixed(4)}, ${percent(heldOut.accuracy)} of ${heldOut.words} masked words`,
  );
}

/** Loss of training and held-out text over the steps, from the log. */
function chartOf(out: string): string {
  const lines = readFileSync(join(out, 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LogLine);
  return chartSvg({
    title: 'masked language modelling',
    x: 'step',
    y: 'nats a word',
    lines: [
      { name: 'held out', points: lines.map((l) => [l.step, l.heldOut.loss]) },
      { name: 'training', points: lines.flatMap((l) => (l.loss === null ? [] : [[l.step, l.loss] as const])) },
    ],
  });
}

async function main(args: readonly string[]): Promise<void> {
  const options = readOptions(args);
  const display = createDisplay();
  const interrupt = interruptSignal(() => display.note('stopping after this step (Ctrl-C again to stop at once)'));
  try {
    await pretrain(options, display, interrupt.signal);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    process.exitCode = EXIT.interrupted;
  } finally {
    interrupt.dispose();
  }
}

main(process.argv.slice(2)).catch((error) => refuse(USAGE.name, error));
