/** @file `lorikeet completion`: prints what a shell reads to complete commands, options and their values. */
import type { Command } from 'commander';
import { UserError } from '../errors.ts';
import { SHELLS } from '../program/completion.ts';
import { wordsOf } from '../program/words.ts';

export function completion(shell: string, program: Command): void {
  const write = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
  if (!write)
    throw new UserError('usage', `completion: got ${JSON.stringify(shell)}; wanted ${Object.keys(SHELLS).join(', ')}`);
  process.stdout.write(write(wordsOf(program)));
}
