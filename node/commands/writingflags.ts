/** @file Reads the flags of the commands that write text: which model, how words are drawn, how many. */
import { UserError } from '../errors.ts';
import type { ModelOptions } from '../generate/model.ts';
import type { Sampling } from '../generate/sampling.ts';
import { type Flags, integerFlag } from './flags.ts';

/** More are a mistake. */
export const MAX_TEMPERATURE = 10;

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
