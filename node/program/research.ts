/** @file Commands of experiments and simulations. */
import type { Command } from 'commander';
import { collect, type Flags } from './shared.ts';

export function addResearch(program: Command): void {
  program
    .command('experiment')
    .summary('compare methods over seeds and settings')
    .description('Compare methods over seeds and settings, as a YAML file says; goes on where it stopped.')
    .argument('<file>', 'such as sim/experiments/labels.yaml; "lorikeet fields experiment" lists its fields')
    .option('--set <field=value>', 'change the file, such as --set seeds=[1] or --set settings.rounds=3', collect, [])
    .option('--shard <i/n>', 'only every n-th run, for many machines')
    .option('--seeds <list>', "instead of the file's: 1..5, or 1,2,3")
    .option(
      '--out <dir>',
      'records (runs.jsonl, shared by experiments) and the report (NAME.md, .html, .json)',
      'results',
    )
    .option('--report', 'run nothing: only the report, of the runs that are there')
    .option('--threads <count>', 'threads of one operator; 0: one a core', '0')
    .option('--json', 'print the final records as JSON')
    .action(async (file: string, flags: Flags & { set: string[] }) =>
      (await import('../commands/experiment.ts')).experiment(file, flags),
    );

  const sim = program
    .command('sim')
    .summary('run peers in virtual time, thousands of rounds in seconds')
    .description(
      'Run peers in virtual time, as a YAML file says: graphs, faults, thousands of rounds in seconds; goes on where it stopped.',
    )
    .argument('<file>', 'such as sim/scenarios/consensus.yaml; "lorikeet fields scenario" lists its fields')
    .option(
      '--set <field=value>',
      'change the file, such as --set peers=64 or --set settings.schedule=torus',
      collect,
      [],
    )
    .option('--seeds <list>', "instead of the file's: 1..5, or 1,2,3")
    .option('--shard <i/n>', 'only every n-th run, for many machines')
    .option('--report', 'run nothing: only the report, of the runs that are there')
    .option('--until <ms>', 'only the first run, until this virtual time: shows every peer as it then is')
    .option('--trace <file>', 'with --until: every event as a line, columns separated by tabs')
    .option('--out <dir>', 'records and report (NAME.jsonl, .md, .html, .json)', 'results')
    .option('--json', 'print the results as JSON')
    .action(async (file: string, flags: Flags & { set: string[] }) =>
      (await import('../commands/sim.ts')).sim(file, flags),
    );
  sim
    .command('replay')
    .description('Run a recorded run once more: the same to the last event, or its state at any time.')
    .argument('<run>', 'a NAME.jsonl that "lorikeet sim" has written')
    .option('--run <line>', 'which of its runs, by line or key', '1')
    .option('--seed <seed>', 'the same world from another seed')
    .option('--until <ms>', 'until this virtual time')
    .option('--trace <file>', 'every event as a line, columns separated by tabs')
    .action(async (file: string, flags: Flags) => (await import('../commands/replay.ts')).replay(file, flags));

  program
    .command('report')
    .summary('what simulations and experiments found, as one HTML file')
    .description(
      'Show what simulations and experiments have left in a folder: one HTML file, with curves to zoom into.',
    )
    .argument('<path>', 'a folder that "sim" or "experiment" has written to, or its NAME.json or NAME.jsonl')
    .option('--out <file>', 'the HTML file; default: NAME.html there, or report.html where there are several')
    .option('--open', 'open it in the browser')
    .option('--json', 'print where it is as one JSON object on stdout')
    .action(async (path: string, flags: Flags) => (await import('../commands/report.ts')).report(path, flags));

  program
    .command('merge')
    .description('Bring the records of an experiment or a scenario that ran on many machines into one folder.')
    .argument('<folders...>', 'result folders')
    .option('--out <dir>', 'where the records go; then ask for the --report', 'results')
    .action(async (folders: string[], flags: Flags) => (await import('../commands/merge.ts')).merge(folders, flags));

  program
    .command('fields')
    .description('List what the YAML file of an experiment, a scenario, or of settings may say.')
    .argument('<kind>', 'experiment | scenario | settings')
    .option('--json', 'as JSON Schema, for editors')
    .action(async (kind: string, flags: Flags) => (await import('../commands/fields.ts')).fields(kind, flags));
}
