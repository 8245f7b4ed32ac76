/** @file The flags of the commands that write text: which model, how words are drawn, how many. */
import { type Command, Option } from 'commander';
import { UserError } from '../errors.ts';
import type { ModelOptions } from '../generate/model.ts';
import type { Sampling } from '../generate/sampling.ts';
import { type Flags, integerFlag } from './flags.ts';

/** More are a mistake. */
export const MAX_TEMPERATURE = 10;

/** Which model writes. */
export function withModel(command: Command): Command {
  return command
    .option('--base <name>', "a causal model: its folder, GGUF file or name; default: the adapter's base")
    .option('--adapter <dir>', 'a PEFT adapter folder; default: the base alone')
    .option('--fast', 'weights in 4 or 8 bits, activations in 8: many more words a second, sometimes other words')
    .option('--threads <count>', 'threads of one operator; 0: one a core', '0');
}

/** How it chooses its words. */
export function withSampling(command: Command, defaults: { temperature: string; maxTokens: string }): Command {
  return command
    .addOption(
      new Option('--temperature <number>', '0: always the likeliest word; higher: more freely')
        .default(defaults.temperature)
        .helpGroup('Words:'), // that of a run's settings is another
    )
    .option('--top-p <share>', 'draw from the likeliest words that have this probability together', '1')
    .option('--seed <seed>', 'the same draws again', '1')
    .option('--max-tokens <count>', 'tokens to write at most', defaults.maxTokens);
}

export function modelOptions(flags: Flags): ModelOptions {
  const text = (name: string): string | null => (typeof flags[name] === 'string' ? flags[name] : null);
  return {
    base: text('base'),
    adapter: text('adapter'),
    threads: integerFlag(flags, 'threads', 0, 1024),
    isFast: flags.fast === true,
  };
}

/** Throws a UserError outside their bounds. */
export function samplingFlags(flags: Flags): { sampling: Sampling; maxTokens: number } {
  const number = (name: string, flag: string, wanted: string, isGood: (x: number) => boolean): number => {
    const value = Number(flags[name]);
    if (flags[name] !== '' && Number.isFinite(value) && isGood(value)) return value;
    throw new UserError('usage', `--${flag}: got ${JSON.stringify(flags[name])}; wanted ${wanted}`);
  };
  const temperature = number('temperature', 'temperature', `a number from 0 to ${MAX_TEMPERATURE}`, (x) => {
    return x >= 0 && x <= MAX_TEMPERATURE;
  });
  const topP = number('topP', 'top-p', 'a share above 0, at most 1', (x) => x > 0 && x <= 1);
  const maxTokens = number('maxTokens', 'max-tokens', 'a positive integer', (x) => Number.isInteger(x) && x > 0);
  return { sampling: { temperature, topP, seed: String(flags.seed) }, maxTokens };
}
