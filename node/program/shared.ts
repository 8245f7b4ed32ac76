/** @file Options that commands share, declared: of settings, of texts, of the machine, of a model that writes. */
import { type Command, Option } from 'commander';
import { wantedOf } from '../../protocol/config.ts';
import type { Setting } from '../../protocol/setting.ts';
import { SETTINGS } from '../../protocol/settings.ts';
import { DEVICES } from '../engine/device.ts';

export type Flags = Record<string, string | boolean | undefined>;

/** Settings that nobody gives by hand. */
const FILLED_IN = ['baseHash', 'startHash', 'founder'];

/** What stands where a setting is empty. */
const EMPTY: Readonly<Record<string, string>> = {
  labelPrior: 'measured',
  prompt: 'of the base',
  targets: 'of the base',
};

/** What stands for a setting's value in help. */
const VALUES = { integer: 'number', number: 'number', text: 'text', choice: 'name' } as const;

/** Adds a flag for each setting wanted; its help comes from the table, or from a command's own defaults. */
export function withSettings(
  command: Command,
  wanted: (name: string, setting: Setting) => boolean = () => true,
  defaults: Readonly<Record<string, string | number>> = {},
): Command {
  for (const [name, setting] of Object.entries(SETTINGS) as [string, Setting][]) {
    if (FILLED_IN.includes(name) || !wanted(name, setting)) continue;
    const standard = defaults[name] ?? setting.default;
    const shown = standard === '' ? (EMPTY[name] ?? 'none') : standard;
    command.option(
      `--${kebab(name)} <${VALUES[setting.type]}>`,
      `${setting.about}; ${wantedOf(setting)} (default: ${shown})`,
    );
  }
  return command;
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The settings among parsed flags. */
export function settingsOf(flags: Flags): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(SETTINGS).flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]])),
  );
}

/** Settings of what is asked of a model. */
export function isTaskSetting(name: string): boolean {
  return ['base', 'prompt', 'patterns', 'labels', 'maxTokens'].includes(name);
}

/** How a file of texts is to be read, for every command that reads one. */
export function withData(command: Command): Command {
  return command
    .option('--label-map <pairs>', 'what the labels of your file mean, such as 1=positive,0=negative; "-1=": no label')
    .option('--text-column <name>', 'column or key of the texts; default: text, or another usual name')
    .option(
      '--label-column <name>',
      'column or key of the labels; none: there are none; default: label, or another usual name',
    )
    .option('--skip-bad-rows', 'leave out rows that cannot be read or whose label is no class; they are counted');
}

export function withDevice(command: Command): Command {
  return command
    .option('--device <name>', `where to compute: ${DEVICES.join(' | ')}`, 'auto')
    .option('--threads <count>', 'threads of one operator; 0: one a core', '0')
    .option(
      '--base-precision <width>',
      "what the base's matrices are kept in here: f32 | f16 | bf16 (half the memory) | int8 (faster, less exact)",
      'f32',
    )
    .option(
      '--compute <width>',
      'what is computed in: f32 | f16 (on graphics cards that can; keeps the base in f16)',
      'f32',
    );
}

export function withMachine(command: Command): Command {
  return withDevice(command).option(
    '--json',
    'print the result as one JSON object on stdout, everything else on stderr',
  );
}

/** Which peer's state a command is about. */
export function withState(command: Command): Command {
  return command.option('--state <dir>', 'state folder of the peer; default: the only *.lorikeet here');
}

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

/** Collects a flag that may stand several times. */
export function collect(value: string, earlier: string[]): string[] {
  return [...earlier, value];
}
