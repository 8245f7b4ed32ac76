/** @file What every script does with its command line: shows its help, and refuses what it does not know in one line. */
import { parseArgs } from 'node:util';
import { EXIT, messageOf, UserError } from '../node/errors.ts';
import { nearest } from '../node/nearest.ts';
import { watchPipes } from '../node/pipes.ts';

/** An option with a value, or without one (a switch). */
interface Option {
  readonly about: string;
  /** What stands for its value in help; absent: a switch. */
  readonly value?: string;
  readonly multiple?: boolean;
}

/** What a script takes. */
export interface Usage {
  /** As in `npm run NAME`. */
  readonly name: string;
  readonly about: string;
  /** What its arguments without a dash are called in help; absent: it takes none. */
  readonly positionals?: string;
  readonly options: Readonly<Record<string, Option>>;
  /** Each is shown after `npm run NAME -- `. */
  readonly examples: readonly string[];
}

export interface Arguments {
  /** By name: a text, true for a switch, or a list where an option may be given again. */
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
}

/**
 * Reads a script's command line. `--help` prints the help and ends the process with exit code 0; what the script does not
 * know is refused in one line with exit code 2. Output that nobody reads any more ends a script quietly.
 */
export function readArguments(usage: Usage, args: readonly string[] = process.argv.slice(2)): Arguments {
  watchPipes(() => process.exit(EXIT.interrupted));
  if (args.includes('--help') || args.includes('-h')) {
    console.log(helpOf(usage));
    process.exit(EXIT.ok);
  }
  try {
    return parseArguments(usage, args);
  } catch (error) {
    refuse(usage.name, error);
    process.exit();
  }
}

/** Parses without printing or ending. Throws a UserError on what the script does not know. */
export function parseArguments({ options, positionals: wanted }: Usage, args: readonly string[]): Arguments {
  const names = Object.keys(options);
  for (const arg of args.slice(0, args.includes('--') ? args.indexOf('--') : args.length)) {
    const name = /^--([^=]+)/.exec(arg)?.[1];
    if (name === undefined || names.includes(name)) continue;
    const like = nearest(name, names);
    throw new UserError('usage', `unknown option --${name}${like ? `; did you mean --${like}?` : ''}`);
  }
  const { values, positionals } = parseOptions(options, args);
  if (positionals.length > 0 && wanted === undefined)
    throw new UserError('usage', `unknown argument ${JSON.stringify(positionals[0])}; it takes options only`);
  return { values, positionals };
}

function parseOptions(options: Usage['options'], args: readonly string[]): Arguments {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: Object.fromEntries(
        Object.entries(options).map(([name, { value, multiple = false }]) => [
          name,
          { type: value === undefined ? ('boolean' as const) : ('string' as const), multiple },
        ]),
      ),
    });
  } catch (error) {
    throw new UserError('usage', messageOf(error).split('\n')[0]!.split('. ')[0]!);
  }
}

/** Reads a whole number among the options. Throws a UserError outside its bounds. */
export function wholeNumber({ values }: Arguments, name: string, standard: number, min: number, max: number): number {
  const given = values[name];
  const value = given === undefined ? standard : Number(given);
  if (given === '' || !Number.isInteger(value) || value < min || value > max)
    throw new UserError(
      'usage',
      `--${name}: got ${JSON.stringify(given)}; wanted a whole number from ${min} to ${max}`,
    );
  return value;
}

/** Prints what went wrong: a user's mistake in one line, a bug with its stack; sets the exit code. */
export function refuse(name: string, error: unknown): void {
  const mistake = error instanceof UserError ? error.mistake : null;
  console.error(mistake ? `${name}: ${messageOf(error)}; see npm run ${name} -- --help` : error);
  process.exitCode = mistake ? EXIT[mistake] : EXIT.bug;
}

function helpOf({ name, about, positionals, options, examples }: Usage): string {
  const rows = Object.entries(options).map(([option, { value, about: text, multiple }]) => [
    `--${option}${value ? ` ${value}` : ''}${multiple ? ' ...' : ''}`,
    text,
  ]);
  rows.push(['--help', 'this']);
  const width = Math.max(...rows.map(([left]) => left!.length));
  return [
    `npm run ${name} --${positionals ? ` ${positionals}` : ''} [options]`,
    '',
    about,
    '',
    ...rows.map(([left, right]) => `  ${left!.padEnd(width)}  ${right}`),
    '',
    'Examples:',
    ...examples.map((example) => `  npm run ${name}${example ? ` -- ${example}` : ''}`),
  ].join('\n');
}
