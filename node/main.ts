#!/usr/bin/env node
/** @file The command line: parses, runs one command, turns what goes wrong into one line and a fixed exit code. */
import './polyfill.ts';
import { type Command, CommanderError } from 'commander';
import { EXIT, messageOf, UserError } from './errors.ts';
import { shapeHelp } from './help.ts';
import { nearest } from './nearest.ts';
import { watchPipes } from './pipes.ts';
import { placed } from './program/layers.ts';
import { createProgram } from './program/program.ts';

/** Throws a UserError where the current folder is gone: paths, and threads, begin there. */
function checkFolder(): void {
  try {
    process.cwd();
  } catch (error) {
    throw new UserError('storage', `the current folder is gone (${messageOf(error)}); change to one that is there`);
  }
}

async function main(): Promise<void> {
  watchPipes();
  const program = createProgram();
  try {
    checkFolder();
    await program.parseAsync(shapeHelp(program, process.argv));
  } catch (error) {
    process.exitCode = report(error, program);
  }
}

/** Prints what went wrong in one line and gives the exit code. */
function report(error: unknown, program: Command): number {
  if (error instanceof UserError) {
    const command = program.commands.find((known) => known.name() === process.argv[2]);
    console.error(`lorikeet: ${placed(error, command).message}`);
    return EXIT[error.mistake];
  }
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.ok;
    const command = program.commands.find((known) => known.name() === process.argv[2]);
    const help =
      error.code === 'commander.help'
        ? 'no command given'
        : (misspelt(error, command) ?? error.message.replace(/^error: /, '').replaceAll('\n', ' '));
    console.error(`lorikeet: ${help}; see "lorikeet ${command ? `${command.name()} ` : ''}--help"`);
    return EXIT.usage;
  }
  if ((error as Error | null)?.name === 'AbortError') return EXIT.interrupted;
  // One line; the stack for who asks for it.
  const said = `lorikeet: a bug: ${messageOf(error).split('\n')[0]}; what was saved is kept`;
  const stack = process.env.LORIKEET_STACK && error instanceof Error ? `\n${error.stack}` : '';
  console.error(`${said}${stack || '; LORIKEET_STACK=1 shows where'}`);
  return EXIT.bug;
}

/** Where an option is missing, or a word is too much, since a name stands there misspelt, that is the mistake to name. */
function misspelt(error: CommanderError, command: Command | undefined): string | null {
  const names = command?.commands.map((known) => known.name()) ?? [];
  if (error.code === 'commander.excessArguments' && names.length > 0) {
    const word = process.argv.slice(3).find((arg) => !arg.startsWith('-')) ?? '';
    const meant = nearest(word, names);
    return `unknown command '${word}' (${meant ? `Did you mean ${meant}?` : `wanted ${names.join(', ')}`})`;
  }
  if (error.code !== 'commander.missingMandatoryOptionValue' || !command) return null;
  const known = command.options.flatMap((option) => option.long ?? []);
  const unknown = process.argv.slice(3).find((arg) => arg.startsWith('--') && !known.includes(arg.split('=')[0]!));
  const like = unknown && nearest(unknown.split('=')[0]!, known);
  return like ? `unknown option '${unknown}' (Did you mean ${like}?)` : null;
}

await main();
