/** @file What can be typed where, read off the program: commands, options, what an option's value can be. */
import type { Argument, Command, Option } from 'commander';

/** What completes a value: some words, files, folders, or nothing that a shell could know. */
export type Value =
  | { readonly type: 'words'; readonly words: readonly string[] }
  | { readonly type: 'file' | 'folder' | 'unknown' };

export interface OptionWords {
  /** Such as -o and --out. */
  readonly flags: readonly string[];
  readonly about: string;
  /** Null where it takes none. */
  readonly value: Value | null;
}

export interface CommandWords {
  readonly name: string;
  readonly about: string;
  readonly options: readonly OptionWords[];
  /** What is not an option. */
  readonly operand: Value;
  readonly commands: readonly CommandWords[];
}

/** Reads a command and all below it. */
export function wordsOf(command: Command): CommandWords {
  const own = command.options.map(
    (option): OptionWords => ({
      flags: [option.short, option.long].filter((flag) => flag !== undefined),
      about: aboutOf(option.description),
      value: option.required || option.optional ? valueFor(option) : null,
    }),
  );
  const help = ['--help', ...(command.parent?.parent ? [] : ['--help-all'])];
  const first = command.registeredArguments[0];
  return {
    name: command.name(),
    about: command.summary() || aboutOf(command.description()),
    options: [...own, ...help.map((flag) => ({ flags: [flag], about: 'show help', value: null }))],
    operand: first ? valueFor(first) : { type: 'unknown' },
    commands: command.commands.map(wordsOf),
  };
}

/** Its first clause. */
function aboutOf(description: string): string {
  return description.split(/[;:(]/)[0]!.trim();
}

/** By what help says: `a | b | c`, or what stands for the value. */
function valueFor(of: Option | Argument): Value {
  const text = of.description.replace(/ \([^)]*\)/g, '');
  const [choices] = /[\w.-]+(?: \| [\w.-]+)+/.exec(text) ?? [];
  if (choices) return { type: 'words', words: choices.split(' | ') };
  const name = 'flags' in of ? (/[<[]([\w-]+)/.exec(of.flags)?.[1] ?? '') : of.name();
  if (['file', 'run', 'model'].includes(name)) return { type: 'file' };
  return { type: ['dir', 'folders'].includes(name) ? 'folder' : 'unknown' };
}
