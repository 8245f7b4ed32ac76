/** @file Commands that look after this machine: what it can do, and the models on it. */
import type { Command } from 'commander';
import { MOST_NEIGHBOURS } from '../../protocol/neighbours.ts';
import { SETTINGS } from '../../protocol/settings.ts';
import type { Flags } from './shared.ts';

export function addSettingUp(program: Command): void {
  program
    .command('doctor')
    .summary('what this machine can train with, each way tried')
    .description('Look at this machine: try each back end by a tiny training step, and say what to do next.')
    .option('--base <name>', 'the model whose step is tried', SETTINGS.base.default)
    .option('--network [invite]', 'instead: how others reach a peer here; with an invite, a member of its run tries')
    .option('--port <number>', 'with --network: the TCP port to try; 0: a free one', '0')
    .option('--announce <address>', 'with --network: where others are to reach it, as up and join take it')
    .option('--json', 'print what was found as one JSON object on stdout')
    .action(async (flags: Flags) => (await import('../commands/doctor.ts')).doctor(flags));

  program
    .command('config')
    .summary('which options hold here, by flags, files or defaults')
    .description('Print the options that hold here: of flags, LORIKEET_*, lorikeet.yaml, your config.yaml, defaults.')
    .command('show')
    .description('Print the options that a command would go by here; without --origins those that are no defaults.')
    .argument('[command]', 'up | join | demo', 'up')
    .option('--origins', 'all of them, each with the place it comes from: a variable, a line, default')
    .option('--config <file>', 'as up would be given it')
    .option('--json', 'print all as one JSON object on stdout')
    .action(async (name: string, flags: Flags) =>
      (await import('../commands/config.ts')).showConfig(name, flags, program),
    );

  const service = program
    .command('service')
    .description('Keep a peer at work on this machine: a systemd unit, begun at every start of the machine.');
  const withUnit = (command: Command): Command =>
    command
      .option('--user', 'a service of your own, which runs while you are logged in, instead of the machine')
      .option('--name <name>', 'what the unit is called', 'lorikeet');
  withUnit(
    service
      .command('install')
      .description('Write the unit of a command, as it would run in this folder, and begin it.'),
  )
    .argument('[command...]', 'after --: up or join with its flags; default: up --config run.yaml')
    .option('--print', 'only print the unit')
    .action(async (words: string[], flags: Flags) => (await import('../commands/service.ts')).install(words, flags));
  withUnit(
    service.command('uninstall').description('End the service and remove its unit; what it learned is kept.'),
  ).action(async (flags: Flags) => (await import('../commands/service.ts')).uninstall(flags));

  program
    .command('completion')
    .description('Print what a shell reads to complete commands, options and their values.')
    .argument('<shell>', 'bash | zsh | fish')
    .action(async (shell: string) => (await import('../commands/completion.ts')).completion(shell, program));

  program
    .command('models')
    .summary('the models on this disk')
    .description('List the models of the Hugging Face cache on this disk.')
    .option('--json', 'print the list as one JSON object on stdout')
    .action(async (flags: Flags) => (await import('../commands/models.ts')).models(flags));

  program
    .command('fetch')
    .description('Download a model of the Hub into its cache; an interrupted download goes on where it stopped.')
    .argument('<model>', 'org/name, org/name@revision, or org/name:FILE.gguf')
    .option('--json', 'print where it lies as one JSON object on stdout')
    .action(async (name: string, flags: Flags) => (await import('../commands/fetch.ts')).fetchToCache(name, flags));

  program
    .command('inspect')
    .description('Say what a model is and what training it takes, before it is downloaded.')
    .argument('<model>', 'a folder, a GGUF file, or org/name[@revision][:FILE.gguf] of the Hub')
    .option('--rank <number>', 'rank of the LoRA factors', String(SETTINGS.rank.default))
    .option(
      '--targets <names>',
      'layers that get an adapter: all, or ends of module names; default: queries and values',
    )
    .option('--tokens <number>', 'length of the texts', '256')
    .option('--batch <number>', 'texts of one optimiser step', '8')
    .option('--degree <number>', 'neighbours of a round', String(MOST_NEIGHBOURS))
    .option('--json', 'print what was found as one JSON object on stdout')
    .action(async (name: string, flags: Flags) => (await import('../commands/inspect.ts')).inspect(name, flags));
}
