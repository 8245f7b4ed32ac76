/** @file The program: its commands, in groups by what people do. What a command needs is loaded when it runs. */
import { Command } from 'commander';
import { packageVersion } from '../package.ts';
import { applyLayers, LAYERED, originsOf, PROJECT_FILE } from './layers.ts';
import { addLooking } from './look.ts';
import { addTakingPart } from './part.ts';
import { addResearch } from './research.ts';
import { addSettingUp } from './setup.ts';
import { addUsing } from './use.ts';

/** In the order help shows them. */
const GROUPS = {
  'Take part': addTakingPart,
  Look: addLooking,
  Use: addUsing,
  Research: addResearch,
  'Set up': addSettingUp,
} as const;

/** Every command with its options; throws a CommanderError where a command line fits none. */
export function createProgram(): Command {
  const program = new Command('lorikeet')
    .description('Fine-tune a language model together, without a server.')
    .version(packageVersion())
    .enablePositionalOptions() // a command and its subcommands have options of the same names
    .configureOutput({ writeErr: () => {} })
    .exitOverride();
  program.hook('preSubcommand', async (_program, command) => {
    const words = program.args.slice(1);
    if (!LAYERED.includes(command.name()) || words.some((word) => ['-h', '--help'].includes(word))) return;
    await applyLayers(command, words);
    const ofFolder = [...originsOf(command)].filter(([, { layer }]) => layer === 'project');
    // Whoever works in a folder of others should know that it has a say.
    if (ofFolder.length > 0) console.error(`${PROJECT_FILE} says ${ofFolder.map(([name]) => name).join(', ')}`);
  });
  for (const [heading, add] of Object.entries(GROUPS)) add(program.commandsGroup(`${heading}:`));
  return program;
}
