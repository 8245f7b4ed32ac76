/** @file `npm run mutate`: every reader of foreign files is fed broken ones; a line a reader, exit code 1 where one fails. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../node/errors.ts';
import { bytesText } from '../node/figures.ts';
import { type Arguments, readArguments, refuse, type Usage } from './arguments.ts';
import { type Fed, feed } from './mutate/feed.ts';
import { READERS } from './mutate/readers.ts';

const USAGE: Usage = {
  name: 'mutate',
  about: `Feeds readers files with bytes and values changed, each reader in a process of its own: each file
must be read, or refused by a typed error of one line, within 64 MB of extra memory.
READER: ${Object.keys(READERS).join(', ')}.`,
  positionals: '[READER...]',
  options: {
    count: { value: 'N', about: 'files for each reader (100000)' },
    seed: { value: 'N', about: 'of the changes (1)' },
    from: { value: 'N', about: 'the first of them, to see one again (0)' },
    here: { about: 'in this process: one reader' },
  },
  examples: ['', 'gguf --seed 2 --from 4711 --count 1'],
};
const MOST_BYTES = 64_000_000;

function main({ values, positionals }: Arguments): void {
  const number = (name: string, standard: number): number => {
    const value = Number(values[name] ?? standard);
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw new UserError('usage', `--${name}: got ${JSON.stringify(values[name])}; wanted a whole number`);
  };
  const options = { seed: number('seed', 1), count: number('count', 100_000), from: number('from', 0) };
  const other = positionals.find((name) => !Object.hasOwn(READERS, name));
  if (other !== undefined)
    throw new UserError('usage', `got the reader ${JSON.stringify(other)}; wanted ${Object.keys(READERS).join(', ')}`);
  const names = positionals.length > 0 ? positionals : Object.keys(READERS);
  if (values.here) return here(names[0]!, options);
  for (const name of names) {
    const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]);
    const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), name, ...args, '--here'], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    if (child.status !== 0) {
      process.exitCode = 1;
      if (child.signal) console.log(`${name}: FAILED, ended by ${child.signal}`);
    }
  }
}

function here(name: string, options: { seed: number; count: number; from: number }): void {
  const root = mkdtempSync(join(tmpdir(), 'lorikeet-mutate-'));
  try {
    const fed = feed(READERS[name]!, { ...options, folder: join(root, 'files') });
    const isSmall = fed.extraBytes <= MOST_BYTES;
    console.log(`${name}: ${isSmall ? '' : 'FAILED, too much memory; '}${lineOf(fed)}, seed ${options.seed}`);
    if (!isSmall) process.exitCode = 1;
  } catch (error) {
    console.log(`${name}: FAILED, ${(error as Error).message}`);
    process.exitCode = 1;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function lineOf({ count, refused, kinds, accepted, extraBytes, slowestMs }: Fed): string {
  return `${count} files, ${refused} refused by typed errors (${kinds} kinds), ${accepted} read; ${bytesText(Math.max(0, extraBytes))} more memory at most, the slowest ${slowestMs.toFixed(0)} ms`;
}

try {
  main(readArguments(USAGE));
} catch (error) {
  refuse(USAGE.name, error);
}
